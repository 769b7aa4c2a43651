"""Which data set a name means."""

from training.config import ALLOWED_SIZES, IMAGE_SIZES, Config
from training.data import folder, idx
from training.data.folder import Skipped
from training.data.images import ByteCount, ImageSet, scaled
from training.errors import DataError

FOLDERS_SIZE = 64
"""Height and width of a folder's images where nothing is said: they have no size in common."""


def load(config: Config, progress: ByteCount, skipped: Skipped) -> ImageSet:
    """The images that ``config`` names, in the size that it asks for.

    Raises DataError where they are missing, damaged, too few, or of a size no network is made for.
    """
    if config.folder is None:
        return _published(config, progress)
    if config.data_dir is not None:
        raise DataError(f"--data-dir {config.data_dir}: --dataset names its folder already")
    size = config.image_size or FOLDERS_SIZE
    return folder.load(config.folder, size, config.batch_size, progress, skipped)


def _published(config: Config, progress: ByteCount) -> ImageSet:
    published = idx.MNIST if config.dataset == "mnist" else idx.FASHION_MNIST
    found = idx.load(published, config.data_dir, progress)
    height, width = found.pixels.shape[2:]
    if config.image_size is not None:
        pixels = scaled(found.pixels, config.image_size)
        return ImageSet(found.name, found.licence, pixels)
    if height != width or height not in IMAGE_SIZES:
        raise DataError(
            f"{found.name}: its images are {width}×{height}; say by --image-size to which size "
            f"they are to be scaled, {ALLOWED_SIZES}"
        )
    return found
