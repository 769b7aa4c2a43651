"""Choices: classes or attributes that a request names, in place of those of its seeds.

As text, a class is a name or an index, ``sneaker`` or ``7``; a mixture of classes is a sum,
``sneaker:0.7+bag:0.3``, in which a missing weight is 1; attributes are ``glasses`` (present),
``-beard`` (absent) or ``smile:0.5``. A plus sign in a URL is a space to its reader, so a space
stands for a plus sign. Names are case-insensitive.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Protocol, Self

import numpy as np

from app.latent.conditions import (
    AttributeSampler,
    ClassSampler,
    Conditions,
    Sampler,
    attribute_text,
    one_hot,
)
from app.latent.edits import shortest_decimal

MAX_CLASSES, MAX_MIXED, MAX_WEIGHT = 256, 16, 1000
"""How many classes a request may name, how many one mixture may have, and their weights."""
MAX_ATTRIBUTES = 64

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(:[0-9]{1,4}(\.[0-9]{1,20})?)?"
_MIXTURE = rf"{_NAME}([+ ]{_NAME}){{0,{MAX_MIXED - 1}}}"
MIXTURE_PATTERN = rf"^{_MIXTURE}$"
"""A class or a mixture of classes, as text."""
MIXTURES_PATTERN = rf"^{_MIXTURE}(,{_MIXTURE})*$"
"""Several of them, with commas between them."""
_ATTRIBUTE = r"[A-Za-z][A-Za-z0-9_]{0,31}"
ATTRIBUTE_PATTERN = rf"^(-?{_ATTRIBUTE}|{_ATTRIBUTE}:(0(\.[0-9]+)?|1(\.0+)?))$"
"""One attribute, as text."""
ATTRIBUTE_FORM = "name, -name or name:value with a value from 0 to 1"
"""That pattern in words."""

Mixture = Mapping[str, float]
"""Weights by the names or indices of classes."""
Amounts = Mapping[str, float]
"""Values of attributes by name, from 0 (absent) to 1 (present)."""
NO_AMOUNTS: Amounts = MappingProxyType({})

_DECIMALS = 6
CLASSES_ONCE = "a mixture names every class once"
_ATTRIBUTES_ONCE = "every attribute is named once"


class Choice(Protocol):
    """What a request wants of the conditions of its images."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query parameters that make this choice; equal for equal choices."""

    def __call__(self, own: Conditions, images: Sequence[int] | None = None, /) -> Conditions:
        """The conditions of images whose seeds have the conditions ``own``: ``(n, k)``.

        ``images`` has the number of each image in the request; by default they are 0 to n - 1.
        """

    def of_image(self, image: int, /) -> "Choice":
        """The choice for one image of the request."""


class NoChoice:
    """Every image has the condition of its seed."""

    parameters: Mapping[str, str] = {}

    def __call__(self, own: Conditions, _: Sequence[int] | None = None) -> Conditions:
        """Return ``own``."""
        return own

    def of_image(self, _: int) -> Self:
        """Return itself."""
        return self


NO_CHOICE = NoChoice()


@dataclass(frozen=True)
class ChosenClasses:
    """The first image has the first class, and so on; after the last class comes the first."""

    sampler: ClassSampler
    conditions: Conditions
    """``(m, k)``: one row for each class or mixture that the request names."""

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameter ``class``."""
        return {"class": ",".join(map(self.sampler.text, self.conditions))}

    def __call__(self, own: Conditions, images: Sequence[int] | None = None) -> Conditions:
        """The classes of the images: ``(n, k)``."""
        numbers = np.arange(len(own)) if images is None else np.asarray(images)
        return self.conditions[numbers % len(self.conditions)]

    def of_image(self, image: int) -> Self:
        """The class of one image."""
        return self._singles[image % len(self.conditions)]

    @cached_property
    def _singles(self) -> list[Self]:
        """The choice of each class alone."""
        return [replace(self, conditions=row[None]) for row in self.conditions]


@dataclass(frozen=True)
class ChosenAttributes:
    """All images have the attributes that the request names; the others follow their seeds."""

    sampler: AttributeSampler
    amounts: Amounts

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameter ``attributes``."""
        named = (name for name in self.sampler.names if name in self.amounts)
        return {"attributes": ",".join(attribute_text(name, self.amounts[name]) for name in named)}

    def __call__(self, own: Conditions, _: Sequence[int] | None = None) -> Conditions:
        """The attributes of the images: ``(n, k)``."""
        return self.sampler.changed(own, self.amounts)

    def of_image(self, _: int) -> Self:
        """Return itself, as it is the same for all images."""
        return self


@dataclass(frozen=True)
class ChosenRows:
    """Every row of a sheet has a choice of its own."""

    requested: Choice
    """What the request names."""
    rows: Sequence[Choice]
    columns: int

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of what the request names."""
        return self.requested.parameters

    def __call__(self, own: Conditions, images: Sequence[int] | None = None) -> Conditions:
        """The conditions of the images, row by row: ``(n, k)``."""
        numbers = range(len(own)) if images is None else images
        return np.concatenate(
            [self.of_image(image)(own[k : k + 1]) for k, image in enumerate(numbers)]
        )

    def of_image(self, image: int) -> Choice:
        """The choice of the row of one image."""
        return self.rows[image // self.columns]


def in_rows(sampler: Sampler, requested: Choice, columns: int) -> ChosenRows:
    """A row for each class that the request names, or for each of all classes or attributes.

    In the row of an attribute, those that it excludes are not requested.
    """
    if isinstance(requested, ChosenClasses):
        numbers = range(len(requested.conditions))
        return ChosenRows(requested, [requested.of_image(k) for k in numbers], columns)
    if isinstance(sampler, ClassSampler):
        each = one_hot(np.arange(len(sampler.names)), len(sampler.names))
        return ChosenRows(requested, [ChosenClasses(sampler, row[None]) for row in each], columns)
    amounts = requested.amounts if isinstance(requested, ChosenAttributes) else NO_AMOUNTS
    rows = [
        ChosenAttributes(sampler, {**_without(amounts, sampler.excludes[name]), name: 1.0})
        for name in sampler.names
    ]
    return ChosenRows(requested, rows, columns)


def _without(amounts: Amounts, names: Container[str]) -> Amounts:
    return {name: amount for name, amount in amounts.items() if name not in names}


def read_mixture(text: str) -> Mixture:
    """The weights in any text. Raises ValueError as ``parse_mixture``, and for other texts."""
    if not re.fullmatch(MIXTURE_PATTERN, text):
        raise ValueError("write a name, an index or a mixture, such as sneaker:0.7+bag:0.3")
    return parse_mixture(text)


def parse_mixture(text: str) -> Mixture:
    """The weights in a text that matches MIXTURE_PATTERN. Raises ValueError as ``checked``."""
    parts = [part.partition(":") for part in text.replace(" ", "+").split("+")]
    mixture = {name.lower(): float(weight or 1) for name, _, weight in parts}
    if len(mixture) < len(parts):
        raise ValueError(CLASSES_ONCE)
    return checked(mixture)


def checked(mixture: Mixture) -> Mixture:
    """``mixture``, with names in lower case.

    Raises ValueError for weights that cannot be mixed, and if a class occurs twice.
    """
    for name, weight in mixture.items():
        if not 0 <= weight <= MAX_WEIGHT:  # refuses NaN, too
            raise ValueError(f"the weight of {name!r:.99} is {weight!r:.20}, not 0 to {MAX_WEIGHT}")
    if not any(mixture.values()):
        raise ValueError("at least one weight of a mixture is above 0")
    found = {name.lower(): weight for name, weight in mixture.items()}
    if len(found) < len(mixture):
        raise ValueError(CLASSES_ONCE)
    return found


def mixture_text(mixture: Mixture) -> str:
    """``mixture`` as text that a request may send."""
    return "+".join(
        name if weight == 1 else f"{name}:{shortest_decimal(weight)}"
        for name, weight in mixture.items()
    )


def parse_attributes(texts: Sequence[str]) -> Amounts:
    """The values in texts that match ATTRIBUTE_PATTERN.

    Raises ValueError if an attribute occurs twice.
    """
    amounts = {}
    for text in texts:
        name, _, amount = text.lower().partition(":")
        amounts[name.removeprefix("-")] = 0.0 if name[0] == "-" else float(amount or 1)
    if len(amounts) < len(texts):
        raise ValueError(_ATTRIBUTES_ONCE)
    return amounts


def checked_amounts(amounts: Amounts) -> dict[str, float]:
    """``amounts``, with names in lower case. Raises ValueError if an attribute occurs twice."""
    found = {name.lower(): float(amount) for name, amount in amounts.items()}
    if len(found) < len(amounts):
        raise ValueError(_ATTRIBUTES_ONCE)
    return found


def mixed(sampler: ClassSampler, mixture: Mixture) -> Conditions:
    """The condition of ``mixture``, whose weights are scaled to sum to one: ``(k,)``.

    They have six decimals, so that their text is short and gives the same condition again. Raises
    KeyError with the name of a class that does not exist.
    """
    if len(mixture) == 1:
        index = np.array([*map(sampler.index, mixture)])
        only: Conditions = one_hot(index, len(sampler.names))[0]
        return only
    total = sum(mixture.values())
    rounded = abs(total - 1) < len(mixture) * 10**-_DECIMALS
    divisor = 1 if rounded else total
    condition = np.zeros(len(sampler.names))
    for name, weight in mixture.items():
        condition[sampler.index(name)] += weight / divisor
    return condition.round(_DECIMALS).astype(np.float32)
