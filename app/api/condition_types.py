"""Types of the parameters that name classes and attributes, with their bounds."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from app.api.query_lists import split
from app.api.schema_words import FORM, LIKE
from app.latent import choices
from app.latent.choices import Mixture


def _mixable(text: str) -> str:
    choices.parse_mixture(text)
    return text


def _each_attribute_once(texts: list[str]) -> list[str]:
    choices.parse_attributes(texts)
    return texts


def _mixtures(received: object) -> list[Mixture]:
    """The classes in a JSON body: text as in a query, an index, or the weights of a mixture."""
    match received:
        case str():
            return _mixtures_of_text(received)
        case bool():
            pass
        case int() if received >= 0:
            return [{str(received): 1.0}]
        case dict() if 1 <= len(received) <= choices.MAX_MIXED:
            weights = {name: _weight(name, weight) for name, weight in received.items()}
            return [choices.checked(weights)]
    raise ValueError("it is none of these")


def _mixture(received: object) -> Mixture:
    """One class in a JSON body, see ``_mixtures``."""
    first, *more = _mixtures(received)
    if more:
        raise ValueError("it is more than one class")
    return first


def _mixtures_of_text(text: str) -> list[Mixture]:
    texts = text.split(",")
    if len(texts) > choices.MAX_CLASSES:
        raise ValueError(f"at most {choices.MAX_CLASSES} classes")
    for one in texts:
        if not re.fullmatch(choices.MIXTURE_PATTERN, one):
            raise ValueError(f"{one!r:.99} is not a class")
    return [choices.parse_mixture(one) for one in texts]


def _weight(name: str, weight: object) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ValueError(f"the weight of {name!r:.99} is not a number")  # noqa: TRY004 for pydantic
    return weight


ClassText = Annotated[
    str,
    Field(
        pattern=choices.MIXTURE_PATTERN,
        examples=["sneaker"],
        json_schema_extra={FORM: "name, index or name:weight+name:weight"},
    ),
    AfterValidator(_mixable),
]
ClassTexts = Annotated[
    list[ClassText],
    Field(min_length=1, max_length=choices.MAX_CLASSES, fail_fast=True),
    BeforeValidator(split),
]
_Weight = Annotated[float, Field(ge=0, le=choices.MAX_WEIGHT)]
_Weights = Annotated[dict[str, _Weight], Field(min_length=1, max_length=choices.MAX_MIXED)]
_Index = Annotated[int, Field(ge=0, le=1023)]
_ClassesSchema = (
    Annotated[
        str,
        Field(
            pattern=choices.MIXTURES_PATTERN,
            json_schema_extra={
                FORM: "names, indices or name:weight+name:weight, with commas",
                LIKE: "sneaker",
            },
        ),
    ]
    | _Index
    | _Weights
)
BodyClasses = Annotated[
    list[Mixture], PlainValidator(_mixtures, json_schema_input_type=_ClassesSchema)
]
BodyClass = Annotated[
    Mixture, PlainValidator(_mixture, json_schema_input_type=ClassText | _Index | _Weights)
]
AttributeTexts = Annotated[
    list[
        Annotated[
            str,
            Field(
                pattern=choices.ATTRIBUTE_PATTERN,
                json_schema_extra={FORM: choices.ATTRIBUTE_FORM, LIKE: "glasses"},
            ),
        ]
    ],
    Field(min_length=1, max_length=choices.MAX_ATTRIBUTES, fail_fast=True),
    BeforeValidator(split),
    AfterValidator(_each_attribute_once),
]
Amount = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
