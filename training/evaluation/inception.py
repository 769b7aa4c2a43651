"""The Fréchet inception distance, computed by torch-fidelity, which the user must install.

Images of every size and channel count are measured. Inception takes RGB images of 299×299:

- a grey image becomes RGB by repeating its channel;
- the network itself resizes the bytes bilinearly to 299×299, as the TensorFlow graph of Heusel et
  al. 2017 does; an image that is not square is stretched.

clean-fid (Parmar et al. 2022, arXiv 2104.11222) resizes before the network instead, by Pillow's
bicubic filter with antialiasing and without rounding. That matters where images are made smaller:
without antialiasing they alias. All images here have at most 256 pixels per side, so they are only
enlarged, and the FIDs that are published for such small images, of CIFAR-10 for example, are those
of the network's own resizing. The two must not be compared with each other. How photographs are
made small before that, by Lanczos filtering in ``training.data``, is the same for real images and
for those that a generator learned from.
"""

import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from app.artifact.card import digest
from training.errors import EvaluationError
from training.evaluation.metrics import ImageBytes, ImageSets
from training.evaluation.records import MeasuredMetric

WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Hash of the network that defines the FID: Inception of 2015-12-05, converted to PyTorch."""


class Inception:
    """The Inception network of the FID."""

    def __init__(self, weights: Path) -> None:
        """Check the file ``weights``.

        Raises EvaluationError if it is another file, or if torch-fidelity is not installed.
        """
        self._library = _library()
        try:
            found = digest(weights.read_bytes())
        except OSError as error:
            raise EvaluationError(f"{weights}: cannot be read: {error.strerror}") from error
        if found != WEIGHTS_SHA256:
            raise EvaluationError(
                f"{weights}: has SHA-256 {found}, but FID is defined on the weights "
                f"pt_inception-2015-12-05 with {WEIGHTS_SHA256}"
            )
        self._weights = weights

    def fid(self, pixels: ImageSets[ImageBytes], device: torch.device) -> MeasuredMetric:
        """FID of the generated images, and of as many training images, to the test images."""
        real, fake = pixels.test, pixels.fake
        with tempfile.TemporaryDirectory() as cache:
            value, floor = (
                self._distance(images, real, device, cache)
                for images in (fake, pixels.train[: len(fake)])
            )
        protocol = (
            f"Fréchet inception distance (Heusel et al. 2017) of the {len(fake)} images of seeds "
            f"0 to {len(fake) - 1} to {len(real)} test images, as Lucic et al. 2018 (arXiv "
            f"1711.10337) take it with 10,000 each; {_preparation(real)}; "
            f"torch-fidelity {self._library.__version__}, weights of SHA-256 "
            f"{WEIGHTS_SHA256[:12]}…"
        )
        return MeasuredMetric(value=value, floor=floor, protocol=protocol)

    def _distance(
        self, fake: ImageBytes, real: ImageBytes, device: torch.device, cache: str
    ) -> float:
        measured = self._library.calculate_metrics(
            input1=RgbImages(fake),
            input2=RgbImages(real),
            # The statistics of the real images are computed once, for both distances.
            input2_cache_name="real",
            cache_root=cache,
            cuda=device.type == "cuda",
            fid=True,
            feature_extractor="inception-v3-compat",
            feature_extractor_weights_path=str(self._weights),
            save_cpu_ram=True,  # no worker processes: the images are already in memory
            verbose=True,  # on a CPU this takes almost an hour
        )
        return float(measured[self._library.KEY_METRIC_FID])


def _preparation(real: ImageBytes) -> str:
    """How the images become the input of the network, for the protocol."""
    _, channels, height, width = real.shape
    colours = "the grey channel repeated as RGB" if channels == 1 else "RGB"
    return f"{colours}, {width}×{height}, resized bilinearly to 299×299 by the network"


def _library() -> ModuleType:
    try:
        import torch_fidelity
    except ImportError as error:
        raise EvaluationError(
            "--inception needs torch-fidelity: pip install torch-fidelity"
        ) from error
    library: ModuleType = torch_fidelity
    return library


class RgbImages(Dataset[Tensor]):
    """Images in the format of torch-fidelity: uint8 ``(3, height, width)`` each."""

    def __init__(self, pixels: ImageBytes) -> None:
        """Wraps ``pixels`` ``(n, 1 or 3, height, width)``; a grey channel is repeated."""
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> Tensor:
        _, *size = self._pixels[index].shape
        return torch.from_numpy(np.broadcast_to(self._pixels[index], (3, *size)).copy())
