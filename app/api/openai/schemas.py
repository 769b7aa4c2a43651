"""Request and response bodies of OpenAI's API."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from app.api.numbers import integral
from app.api.parameters import Parameters, StartSeed
from app.api.response_body import SparseBody, WholeBody
from app.api.schema_words import FORM

_MODEL = Field(examples=["fashion-mnist", "fashion-mnist/3"])
_UNUSED = "accepted, without effect"
_Text = Annotated[str, Field(max_length=1000)]


class ImageRequest(Parameters):
    """Body of ``POST /v1/images/generations``; null stands for the default of a parameter."""

    # Strict: JSON distinguishes types, so neither a string nor true is accepted as a number.
    model_config = ConfigDict(strict=True)

    prompt: Annotated[str, Field(max_length=4000)] = Field(
        description="names classes or attributes of a conditional model, and may be empty: then "
        "the seed decides; empty for other models",
        examples=["", "a red sneaker"],
    )
    model: _Text | None = Field(
        None,
        description="a served model, `name` or `name/version`; default: the server's",
        examples=["fashion-mnist"],
    )
    n: Annotated[int, Field(ge=1, le=256)] | None = Field(None, description="images; default: 1")
    size: (
        Annotated[
            str,
            Field(
                pattern="^(auto|[1-9][0-9]{0,3}x[1-9][0-9]{0,3})$",
                examples=["auto"],
                json_schema_extra={FORM: "auto or widthxheight, such as 56x56"},
            ),
        ]
        | None
    ) = Field(
        None,
        description="`auto` (default): the size of the model's images; else this size times an "
        "integer from 1 to 8, such as `56x56` for 28 × 28 pixels",
        examples=["auto"],
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="`b64_json` (default): the files; `url`: where they are"
    )
    output_format: Literal["png", "webp"] | None = Field(
        None, description="format of the files, both lossless; default: `png`"
    )
    output_compression: Annotated[int, Field(ge=100, le=100)] | None = Field(
        None, description="100, as files are lossless"
    )
    background: Literal["auto", "opaque"] | None = Field(
        None, description="images have no transparent pixels"
    )
    stream: Literal[False] | None = Field(None, description="images are not streamed")
    partial_images: Annotated[int, Field(ge=0, le=0)] | None = Field(
        None, description="0, as images are not streamed"
    )
    quality: _Text | None = Field(None, description=_UNUSED)
    style: _Text | None = Field(None, description=_UNUSED)
    moderation: _Text | None = Field(None, description=_UNUSED)
    complexity: _Text | None = Field(None, description=_UNUSED)
    user: _Text | None = Field(None, description=_UNUSED)
    safety_identifier: _Text | None = Field(None, description=_UNUSED)
    seed: StartSeed | None = Field(
        None,
        description="not in OpenAI's API: the first image's seed; random if omitted or -1. The "
        "others have the seeds that follow it",
    )

    _integers = field_validator("*", mode="before")(integral)


class CreatedImage(SparseBody):
    """One image of a response."""

    b64_json: str | None = Field(
        None, description="the file in base64", examples=["iVBORw0KGgoAAAANSUhEUgAA…"]
    )
    url: str | None = Field(
        None,
        description="absolute URL of the file",
        examples=["http://127.0.0.1:8000/images/fashion-mnist/3/42.png"],
    )
    revised_prompt: str | None = Field(
        None,
        description="what was understood of the prompt, or what the image shows if it was empty; "
        "absent for models that are not conditional",
        examples=["sneaker"],
    )
    seed: int = Field(description="the image's seed", examples=[42])


class ImagesResponse(SparseBody):
    """Response of ``POST /v1/images/generations``."""

    created: int = Field(description="now, in seconds since 1970", examples=[1800000000])
    model: str = Field(description="`name/version`", examples=["fashion-mnist/3"])
    size: str = Field(description="width and height of the images", examples=["28x28"])
    output_format: Literal["png", "webp"]
    background: Literal["opaque"] = "opaque"
    data: list[CreatedImage]


class ModelObject(WholeBody):
    """One model, or one version of it."""

    id: str = _MODEL
    object: Literal["model"] = "model"
    created: int = Field(description="when it was exported, in seconds since 1970")
    owned_by: str = "dcgan-server"


class ModelList(WholeBody):
    """Response of ``GET /v1/models``."""

    object: Literal["list"] = "list"
    data: list[ModelObject]
