"""Settings of ``python -m app render``, by flag (``--count 100``) or environment."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from app.artifact.card import ModelName, VersionNumber
from app.imaging.sheets import MAX_SCALE
from app.latent import choices, edits
from app.latent.choices import Amounts, Mixture
from app.latent.sampling import MAX_TRUNCATION, SEEDS
from app.settings import GeneratorSettings, GivenPath


def _step(text: str) -> str:
    if not re.fullmatch(edits.STEP_PATTERN, text):
        most = edits.MAX_STRENGTH
        raise ValueError(f"write name:strength, from -{most} to {most}, such as glasses:2")
    return text


def _class(text: str) -> str:
    choices.read_mixture(text)
    return text


def _attribute(text: str) -> str:
    if not re.fullmatch(choices.ATTRIBUTE_PATTERN, text):
        raise ValueError(f"write {choices.ATTRIBUTE_FORM}")
    return text


def _each_attribute_once(texts: list[str]) -> list[str]:
    choices.parse_attributes(texts)
    return texts


def _each_once(steps: list[str]) -> list[str]:
    edits.parse(steps)
    return steps


Steps = Annotated[
    list[Annotated[str, AfterValidator(_step)]],
    AfterValidator(_each_once),
    Field(min_length=1, max_length=edits.MAX_ATTRIBUTES),
]
Classes = Annotated[
    list[Annotated[str, AfterValidator(_class)]],
    Field(min_length=1, max_length=choices.MAX_CLASSES),
]
AttributeTexts = Annotated[
    list[Annotated[str, AfterValidator(_attribute)]],
    AfterValidator(_each_attribute_once),
    Field(min_length=1, max_length=choices.MAX_ATTRIBUTES),
]


class RenderSettings(GeneratorSettings):
    """Generate many images into files, without a server. An interrupted run can be resumed."""

    model_config = SettingsConfigDict(
        cli_prog_name="python -m app render", cli_shortcuts={"classes": "class"}
    )

    out: GivenPath = Field(description="folder for PNG files, or one file that ends in .npz")
    model: ModelName | None = Field(None, description="name of a model; default: the server's")
    version: VersionNumber | None = Field(
        None, description="its version; default: the model's default version"
    )
    count: int = Field(ge=1, le=SEEDS, description="number of images")
    seed: int = Field(
        0, ge=0, le=SEEDS - 1, description="seed of the first image; the others follow it"
    )
    classes: Classes | None = Field(
        None,
        description="classes of the images, in turn: names, indices or mixtures such as "
        "sneaker:0.7+bag:0.3; default: those of the seeds",
    )
    attributes: AttributeTexts | None = Field(
        None,
        description="attributes of the images, such as glasses,-beard; the others follow the seeds",
    )
    edit: Steps | None = Field(
        None, description="attributes to change and how strongly, such as glasses:2,beard:-1.5"
    )
    truncation: float = Field(
        1.0,
        gt=0,
        le=MAX_TRUNCATION,
        allow_inf_nan=False,
        description="factor of the latents: below 1 images are more typical, above 1 more unusual",
    )
    scale: int = Field(
        1,
        ge=1,
        le=MAX_SCALE,
        description="integer upscaling factor: 4 turns 64x64 pixels into 256x256",
    )

    @property
    def strengths(self) -> dict[str, float]:
        """The strength of every attribute in ``edit``."""
        return edits.parse(self.edit or [])

    @property
    def mixtures(self) -> list[Mixture]:
        """The classes."""
        return [choices.parse_mixture(text) for text in self.classes or []]

    @property
    def amounts(self) -> Amounts:
        """The value of every attribute in ``attributes``."""
        return choices.parse_attributes(self.attributes or [])
