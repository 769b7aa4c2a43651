"""What a training run is told: one validated model, whose fields are the flags of ``fit``."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.latent.sampling import Prior
from training.errors import RunError
from training.presets import PRESETS, Preset

GeneratorStack = Literal["paper", "deeper", "deepest", "keras", "upsample"]
DiscriminatorStack = Literal["paper", "deeper", "keras", "upsample"]
Activation = Literal["relu", "leaky", "selu"]
Initialisation = Literal["normal", "glorot"]
Loss = Literal["hinge", "bce", "relativistic"]
Device = Literal["auto", "cpu", "cuda"]
ComputePrecision = Literal["auto", "fp32", "bf16"]
Execution = Literal["auto", "graph", "compile", "eager"]
CheckpointChoice = Literal["last", "best"]
"""Of a run's checkpoints."""

FOLDER = "folder:"
LABELLED = frozenset({"fashion-mnist", "mnist"})
"""The data sets whose images have classes, and that have test images."""
IMAGE_SIZES = range(16, 129, 4)
ALLOWED_SIZES = "a multiple of 4 from 16 to 128"


def _known(dataset: str) -> str:
    folder = dataset.startswith(FOLDER) and dataset != FOLDER
    if not folder and dataset not in {*LABELLED, "avatars"}:
        raise PydanticCustomError("dataset", "must be fashion-mnist, mnist, avatars or folder:PATH")
    return dataset


def _fits(image_size: int) -> int:
    if image_size not in IMAGE_SIZES:
        raise PydanticCustomError("size", "must be {allowed}", {"allowed": ALLOWED_SIZES})
    return image_size


def _policy(augment: str) -> str:
    names = augment.split(",") if augment else []
    if len(set(names)) != len(names) or not set(names) <= {"color", "translation", "cutout"}:
        raise PydanticCustomError(
            "augment", "must be color, translation and cutout, each at most once, with commas"
        )
    return augment


Policy = Annotated[str, AfterValidator(_policy)]
Dataset = Annotated[str, AfterValidator(_known)]
ImageSize = Annotated[int, AfterValidator(_fits)]


class Architecture(BaseModel):
    """What the two networks are made of, whatever their width."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    generator: GeneratorStack = Field(
        "deepest",
        description="the generator's stack of layers; deeper is the paper's and a 3×3 convolution "
        "on its stem, deepest one on every feature map",
    )
    discriminator: DiscriminatorStack = Field(
        "deeper",
        description="the discriminator's; deeper is the paper's and a 3×3 convolution on its stem",
    )
    activation: Activation = Field("relu", description="between the generator's layers")
    initialisation: Initialisation = Field("normal", description="distribution of first weights")
    batch_norm: bool = Field(
        True, description="batch norm in a discriminator that has no spectral norm"
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the discriminator's activations that is dropped"
    )
    norm_momentum: float = Field(
        0.1, gt=0, le=1, description="weight of the newest batch in batch norm's statistics"
    )
    norm_eps: float = Field(1e-5, gt=0, lt=1, description="batch norm's addition to a variance")


class Config(Architecture):
    """Every option of a run. Frozen: a run's options are written once, into its folder."""

    dataset: Dataset = Field(
        "fashion-mnist",
        description="the images to learn: fashion-mnist, mnist, avatars or folder:PATH",
    )
    image_size: ImageSize | None = Field(
        None,
        description=f"height and width to scale images to, {ALLOWED_SIZES}; "
        f"without it the data set's own, 64 for a folder",
    )
    preset: Preset = Field("dcgan-28", description="the recipe that the other flags refine")
    epochs: int = Field(50, ge=1, description="passes over the data set")
    batch_size: int = Field(32, ge=2, description="images a step")
    seed: int = Field(0, ge=0, lt=2**32, description="decides weights, order and latents")

    latent_dim: int = Field(64, ge=1, le=4096, description="width of a latent")
    prior: Prior = Field("normal", description="distribution of the latents")
    generator_filters: int = Field(64, ge=1, description="channels before the last layer")
    discriminator_filters: int = Field(64, ge=1, description="channels after the first layer")
    spectral_norm: bool = Field(
        False, description="normalise the discriminator's weights (Miyato et al. 2018)"
    )
    loss: Loss = Field("bce", description="adversarial loss")
    r1_gamma: float = Field(
        0.0,
        ge=0,
        description="strength of the gradient penalty on real images (Mescheder et al. 2018); "
        "0 for none",
    )
    r2_gamma: float = Field(0.0, ge=0, description="the same on generated images")
    penalty_interval: int = Field(
        1, ge=1, description="steps from one penalty to the next, which is as many times as strong"
    )
    augment: Policy = Field(
        "",
        description="what the discriminator sees images through, separated by commas: "
        "color, translation, cutout (Zhao et al. 2020); nothing for none",
    )
    mirror: bool = Field(
        False, description="show every real image mirrored, left to right, half of the times"
    )
    generator_lr: float = Field(2e-3, gt=0, description="the generator's learning rate")
    discriminator_lr: float = Field(1e-3, gt=0, description="the discriminator's learning rate")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's second decay")
    decay_from: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the run after which both learning rates fall to zero in a straight "
        "line; 1 for never",
    )
    average_decay: float = Field(
        0.999, ge=0, lt=1, description="decay a step of the averaged generator; 0 for no average"
    )

    collapse_epochs: int = Field(
        3,
        ge=0,
        description="epochs in a row with a discriminator that is always right after which the run "
        "ends; 0 to go on",
    )
    score_every: int = Field(
        0,
        ge=0,
        description="epochs from one score to the next, by which the best checkpoint is kept; the "
        "last epoch always has one; 0 for none",
    )

    data_dir: Path | None = Field(None, description="folder of the data set's files")
    device: Device = Field("auto", description="auto takes the GPU where there is one")
    precision: ComputePrecision = Field(
        "auto", description="auto takes bf16 where the device is fast at it"
    )
    execution: Execution = Field(
        "auto",
        description="how a step runs: graph records it as a CUDA graph, compile has torch.compile "
        "fuse it too, eager runs one operation at a time; auto is graph on a GPU, else eager",
    )
    threads: int = Field(0, ge=0, description="CPU threads; 0 for all this process may use")

    @property
    def policy(self) -> tuple[str, ...]:
        """The changes that ``augment`` names."""
        return tuple(self.augment.split(",")) if self.augment else ()

    @property
    def folder(self) -> Path | None:
        """The folder that ``dataset`` names, if it names one."""
        if not self.dataset.startswith(FOLDER):
            return None
        return Path(self.dataset.removeprefix(FOLDER)).expanduser()


PLACEMENT = frozenset({"data_dir", "device", "execution", "threads"})
"""The options that say where a run computes, not what."""

ADJUSTABLE = PLACEMENT | {"epochs", "precision", "collapse_epochs", "score_every"}
"""The options that may change when a run goes on."""


def from_flags(flags: dict[str, Any]) -> Config:
    """The preset's options with ``flags`` on top. Raises pydantic's ValidationError."""
    preset = PRESETS.get(flags.get("preset", Config.model_fields["preset"].default), {})
    return Config.model_validate({**preset, **flags})


def resumed(saved: Config, flags: dict[str, Any]) -> Config:
    """``saved`` with what ``flags`` may adjust; RunError where they contradict the saved run."""
    merged = Config.model_validate({**saved.model_dump(), **flags})
    for name in Config.model_fields.keys() - ADJUSTABLE:
        before, now = getattr(saved, name), getattr(merged, name)
        if before != now:
            raise RunError(
                f"{_flag(name, now)} contradicts the run, which began with {_flag(name, before)}"
            )
    return merged


def _flag(name: str, value: object) -> str:
    """An option as it stands on the command line."""
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{words}" if value else f"--no-{words}"
    if value is None:
        return f"no --{words}"
    return f"--{words} {value}"
