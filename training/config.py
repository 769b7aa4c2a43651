"""The options of a training run: one validated model whose fields are the flags of ``fit``."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.latent.sampling import Prior
from training.errors import RunError
from training.image_size import ALLOWED_SIZES, ImageSizeOption
from training.presets import PRESETS, Preset

GeneratorStack = Literal["paper", "deeper", "deepest", "keras", "upsample", "lean"]
DiscriminatorStack = Literal["paper", "deeper", "keras", "upsample"]
Activation = Literal["relu", "leaky", "selu"]
Initialisation = Literal["normal", "glorot"]
Loss = Literal["hinge", "bce", "relativistic"]
Conditional = Literal["auto", "none", "classes", "attributes"]
Device = Literal["auto", "cpu", "cuda"]
ComputePrecision = Literal["auto", "fp32", "bf16"]
Execution = Literal["auto", "graph", "compile", "eager"]
CheckpointChoice = Literal["last", "best"]
"""Which of a run's checkpoints to use."""

FOLDER = "folder:"
"""Prefix of a data set that is a folder of images."""
LABELLED = frozenset({"fashion-mnist", "mnist"})
"""The data sets with classes and with test images."""
MAX_TEST_SHARE = 0.2
"""Largest share of the test images of a folder; its feature network is never trained on a fifth."""


def _check_dataset(dataset: str) -> str:
    folder = dataset.startswith(FOLDER) and dataset != FOLDER
    if not folder and dataset not in {*LABELLED, "avatars"}:
        raise PydanticCustomError("dataset", "must be fashion-mnist, mnist, avatars or folder:PATH")
    return dataset


EVERY_AUGMENTATION = "color,translation,cutout"
ADAPTIVE = "ada"
"""The value of ``--augment`` for adaptive augmentation."""
SMALL_DATA = 10_000
"""Number of images below which ``--augment auto`` augments.

With 10,000 images of CIFAR-10, augmentation halves the FID of StyleGAN2, from 23.1 to 12.2; with
all 50,000 it only takes 11.1 to 9.9 (Zhao et al. 2020, arXiv 2006.10738).
"""


TRACKERS = ("tensorboard", "mlflow", "wandb")
"""What ``--track`` may name."""


def _check_trackers(track: str) -> str:
    names = track.split(",") if track not in {"", "none"} else []
    if len(set(names)) != len(names) or not set(names) <= set(TRACKERS):
        raise PydanticCustomError(
            "track",
            "must be none, or tensorboard, mlflow and wandb, each at most once, separated by "
            "commas",
        )
    return ",".join(names)


def _check_policy(augment: str) -> str:
    if augment in {"auto", "none", ADAPTIVE}:
        return augment.removesuffix("none")
    names = augment.split(",") if augment else []
    if len(set(names)) != len(names) or not set(names) <= set(EVERY_AUGMENTATION.split(",")):
        raise PydanticCustomError(
            "augment",
            "must be auto, none or ada alone, or color, translation and cutout, each at most once, "
            "separated by commas",
        )
    return augment


EMPTY_PATH = "must be a path, but is empty"


def _check_path(path: object) -> object:
    """``path``, unless it is an empty text, which would mean the current folder."""
    if path == "":
        raise PydanticCustomError("path", EMPTY_PATH)
    return path


GivenPath = Annotated[Path, BeforeValidator(_check_path)]
Trackers = Annotated[str, AfterValidator(_check_trackers)]
Policy = Annotated[str, AfterValidator(_check_policy)]
Dataset = Annotated[str, AfterValidator(_check_dataset)]


class Architecture(BaseModel):
    """The architecture of both networks, apart from their width."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    generator: GeneratorStack = Field(
        "lean",
        description="layers of the generator; deeper adds to the paper's a 3×3 convolution on the "
        "smallest feature map, deepest one on every feature map; lean has residual blocks on small "
        "feature maps",
    )
    generator_blocks: int = Field(
        2,
        ge=1,
        le=8,
        description="residual blocks on the smallest feature map of a lean generator; each larger "
        "map has one fewer, but at least one",
    )
    generator_mapping: int = Field(
        0,
        ge=0,
        le=8,
        description="residual blocks of two dense layers that map the latent of a lean generator "
        "before its first feature map",
    )
    discriminator: DiscriminatorStack = Field(
        "deeper",
        description="layers of the discriminator; deeper adds to the paper's a 3×3 convolution on "
        "the smallest feature map",
    )
    activation: Activation = Field("relu", description="activation function of the generator")
    initialisation: Initialisation = Field(
        "normal", description="distribution of the initial weights"
    )
    batch_norm: bool = Field(
        False, description="batch norm in the discriminator, unless it has spectral norm"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout rate of the discriminator")
    norm_momentum: float = Field(
        0.1, gt=0, le=1, description="weight of the newest batch in batch norm's statistics"
    )
    norm_eps: float = Field(
        1e-5, gt=0, lt=1, description="number that batch norm adds to the variance"
    )


class Config(Architecture):
    """All options of a run. Frozen, because they are written into its folder when it begins."""

    dataset: Dataset | None = Field(
        None,
        description="training images: fashion-mnist, mnist, avatars or folder:PATH "
        "(default: fashion-mnist, or unknown if the files in --data-dir are others)",
    )
    image_size: ImageSizeOption | None = Field(
        None,
        description="size to which images are cropped and scaled: "
        f"{ALLOWED_SIZES} (default: the data set's own size; 64 for a folder)",
    )
    preset: Preset = Field(
        "dcgan-28",
        description="recipe that sets the defaults of other flags; for a folder and for avatars it "
        "is dcgan-64",
    )
    epochs: int | None = Field(
        None, ge=1, description="passes over the data set (default: as many as --images-seen takes)"
    )
    images_seen: int = Field(
        3_000_000,
        ge=1,
        description="images that the run shows, repetitions included: decides its number of epochs "
        "if --epochs does not",
    )
    batch_size: int = Field(64, ge=2, description="images per step, over all processes")
    seed: int = Field(
        0, ge=0, lt=2**32, description="decides initial weights, order of images and latents"
    )

    init_from: GivenPath | None = Field(
        None,
        description="initial weights: those of a run, of a published model such as models/digits, "
        "or of a state dict of PyTorch's DCGAN example (default: random)",
    )
    freeze_discriminator: int = Field(
        0,
        ge=0,
        description="convolutions of the discriminator, from the image on, that keep the weights "
        "of --init-from (FreezeD, Mo et al. 2020)",
    )

    teacher: GivenPath | None = Field(
        None,
        description="a run, or a published model such as models/digits, whose images the generator "
        "also learns to reproduce from the same latents (distillation, Aguinaldo et al. 2019)",
    )
    teacher_weight: float = Field(
        10.0,
        gt=0,
        description="weight of the distance to the images of --teacher in the generator's loss",
    )

    conditional: Conditional = Field(
        "auto",
        description="labels that the generator takes beside the latent: the classes or the "
        "attributes of the training images; auto takes the labels there are, none ignores them",
    )
    classes: str = Field(
        "", description="classes to train on, separated by commas; empty for all of them"
    )
    test_share: float = Field(
        0.0,
        ge=0,
        le=MAX_TEST_SHARE,
        description="share of the images of a folder that is held out for evaluate, at most "
        f"{MAX_TEST_SHARE:g}; no run trains on them, whatever its seed",
    )
    latent_dim: int = Field(64, ge=1, le=4096, description="numbers in a latent")
    prior: Prior = Field("normal", description="distribution of the latents")
    generator_filters: int = Field(
        32, ge=1, le=4096, description="input channels of the generator's last layer"
    )
    discriminator_filters: int = Field(
        64, ge=1, le=4096, description="output channels of the discriminator's first layer"
    )
    spectral_norm: bool = Field(
        False, description="spectral norm in the discriminator (Miyato et al. 2018)"
    )
    loss: Loss = Field("bce", description="adversarial loss")
    auxiliary: float = Field(
        0.2,
        ge=0,
        description="weight of the auxiliary classification loss of conditional networks (Odena et "
        "al. 2017), for both networks",
    )
    r1_gamma: float = Field(
        1.0,
        ge=0,
        description="weight of the gradient penalty on real images (Mescheder et al. 2018); "
        "0 disables it",
    )
    r2_gamma: float = Field(
        0.0, ge=0, description="weight of the gradient penalty on generated images; 0 disables it"
    )
    penalty_interval: int = Field(
        8,
        ge=1,
        description="steps between two gradient penalties, whose weight is multiplied by it",
    )
    augment: Policy = Field(
        "auto",
        description="differentiable augmentation (Zhao et al. 2020): color, translation and "
        "cutout, separated by commas, or none; auto is all three for fewer than "
        f"{SMALL_DATA} images, else none; ada, alone, adapts how often it augments to how much the "
        "discriminator overfits (Karras et al. 2020)",
    )
    mirror: bool = Field(
        False, description="mirror a random half of the real images, left to right"
    )
    generator_lr: float = Field(2e-3, gt=0, description="learning rate of the generator")
    discriminator_lr: float = Field(1e-3, gt=0, description="learning rate of the discriminator")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    decay_from: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the run after which both learning rates fall linearly to zero; "
        "1 keeps them constant",
    )
    average_decay: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="decay per step of the averaged generator (EMA); 0 disables averaging",
    )

    collapse_epochs: int = Field(
        3,
        ge=0,
        description="consecutive epochs with a discriminator that is always right after which the "
        "run ends; 0 disables this",
    )
    score_every: int = Field(
        0,
        ge=0,
        description="epochs between two scores (fd_cnn), by which the best checkpoint is kept; the "
        "last epoch is always scored; 0 disables scores",
    )

    features: GivenPath | None = Field(
        None,
        description="feature network of a folder, by python -m training features, for scores "
        "(default: the one beside the folder)",
    )
    checkpoint_minutes: float = Field(
        5.0, gt=0, description="longest time without a checkpoint, also inside an epoch"
    )

    track: Trackers = Field(
        "tensorboard",
        description="trackers of the run, which get its options, figures, samples and summary: "
        "tensorboard (in its folder), mlflow and wandb, separated by commas, or none",
    )
    data_dir: GivenPath | None = Field(None, description="folder of the data set's files")
    device: Device = Field("auto", description="where to train; auto uses the GPU if there is one")
    precision: ComputePrecision = Field(
        "auto", description="precision; auto uses bf16 if the device has units for it, else fp32"
    )
    execution: Execution = Field(
        "auto",
        description="how a step runs: graph replays a CUDA graph, compile also fuses operations by "
        "torch.compile, eager runs one operation at a time; auto is graph on a GPU, else eager",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="CPU threads; 0 for as many as are idle, more than CPUs are much slower",
    )

    @property
    def trackers(self) -> tuple[str, ...]:
        """The names in ``track``, in their order."""
        return tuple(self.track.split(",")) if self.track else ()

    @property
    def policy(self) -> tuple[str, ...]:
        """The names in ``augment``, in their order; none before ``for_images`` resolves auto."""
        unnamed = {"", "auto", ADAPTIVE}
        return () if self.augment in unnamed else tuple(self.augment.split(","))

    @property
    def is_adaptive(self) -> bool:
        """Whether ``augment`` is adaptive augmentation."""
        return self.augment == ADAPTIVE

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names in ``classes``, in their order."""
        return tuple(self.classes.split(",")) if self.classes else ()

    @property
    def folder(self) -> Path | None:
        """The folder that ``dataset`` names, or None for another data set."""
        return folder_of(self.dataset)

    @property
    def feature_file(self) -> Path | None:
        """The file of the feature network of a folder; None for other data sets."""
        return self.features or (feature_file(self.folder) if self.folder else None)


def folder_of(dataset: str | None) -> Path | None:
    """The folder that ``dataset`` names, or None for another data set."""
    if dataset is None or not dataset.startswith(FOLDER):
        return None
    return Path(dataset.removeprefix(FOLDER)).expanduser()


def feature_file(folder: Path) -> Path:
    """The file of the feature network of the images in ``folder``: beside it, as it is the data."""
    place = folder.resolve()
    return place.with_name(f"{place.name}-features.pt")


PLACEMENT = frozenset({"data_dir", "features", "device", "execution", "threads", "track"})
"""The options that decide where a run computes and what it tells whom, but not its result."""

ADJUSTABLE = PLACEMENT | {
    "epochs",
    "images_seen",
    "teacher",  # it may have been moved: its hash must be the same
    "precision",
    "collapse_epochs",
    "score_every",
    "checkpoint_minutes",
}
"""The options that may change when a run is resumed."""


def from_flags(flags: dict[str, Any]) -> Config:
    """The preset's options, overridden by ``flags``; without a preset, that of the data set.

    Raises ValidationError for invalid values.
    """
    name = flags.get("preset", default_preset(flags.get("dataset")))
    return Config.model_validate({**PRESETS.get(name, {}), "preset": name, **flags})


def default_preset(dataset: str | None) -> Preset:
    """The preset of ``dataset``: one for colour images of 64×64, or for grey ones of 28×28."""
    coloured = dataset == "avatars" or folder_of(dataset) is not None
    return "dcgan-64" if coloured else "dcgan-28"


def for_images(options: Config, count: int) -> Config:
    """``options`` with ``--augment auto`` resolved for ``count`` images."""
    if options.augment != "auto":
        return options
    augment = EVERY_AUGMENTATION if count < SMALL_DATA else ""
    return options.model_copy(update={"augment": augment})


def resumed(saved: Config, flags: dict[str, Any]) -> Config:
    """The options ``saved`` with the run, with those of ``flags`` that may change.

    Raises RunError if ``flags`` contradict other options, and ValidationError for invalid values.
    """
    if flags.get("augment") == "auto":  # as resolved when the run began
        flags = {**flags, "augment": saved.augment}
    if "images_seen" in flags:
        flags = {"epochs": None, **flags}
    merged = Config.model_validate({**saved.model_dump(), **flags})
    adjustable = ADJUSTABLE | {"dataset"} if _is_moved(saved.folder, merged.folder) else ADJUSTABLE
    check_unchanged("the run", saved, merged, Config.model_fields.keys() - adjustable)
    return merged


def _is_moved(before: Path | None, now: Path | None) -> bool:
    """Whether ``now`` may be the folder of images ``before``, moved: both have the same name."""
    return bool(before and now and before.resolve().name == now.resolve().name)


def check_unchanged(title: str, before: BaseModel, now: BaseModel, names: Iterable[str]) -> None:
    """Raise RunError if an option of ``names`` is not what ``title`` began with, ``before``."""
    fixed = {*names}
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(now, name)
        if name in fixed and old != new:
            raise RunError(
                f"{_flag(name, new)} contradicts {title}, which began with {_flag(name, old)}"
            )


def _flag(name: str, value: object) -> str:
    """An option as written on the command line."""
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{words}" if value else f"--no-{words}"
    if value is None:
        return f"no --{words}"
    # These two store none as an empty text.
    text = "none" if value == "" and name in {"augment", "track"} else str(value)
    return f"--{words} {shlex.quote(text)}"
