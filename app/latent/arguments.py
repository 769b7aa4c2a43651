"""Classes, attributes and edits as arguments of Python functions, read into weights and values.

Every function raises ValueError, or TypeError for a value of another type, that names the argument,
its value and what is allowed.
"""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from app.latent import choices, edits
from app.latent.choices import Amounts, Mixture

OneClass = str | int | Mapping[str, float] | Mapping[int, float] | Mapping[str | int, float]
"""A name, an index, a mixture such as ``sneaker:0.7+bag:0.3``, or its weights by name or index."""


def integer(name: str, value: object) -> int:
    """The argument ``value``."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {value!r} but must be an integer") from None


def is_between(title: str, value: object, least: float, most: float) -> bool:
    """Whether ``value`` is from ``least`` to ``most``; NaN is not. ``title`` begins its error."""
    try:
        return bool(least <= value <= most)  # type: ignore[operator]
    except (TypeError, ValueError):
        raise TypeError(f"{title} {value!r} but must be a number") from None


def strengths(edit: Mapping[str, float] | None) -> Mapping[str, float]:
    """The strengths of the attributes in ``edit``."""
    if edit is None:
        return {}
    if not isinstance(edit, Mapping):
        raise TypeError(f"edit is {edit!r} but must be strengths by name, such as {{'glasses': 2}}")
    most = edits.MAX_STRENGTH
    for name, strength in edit.items():
        if not is_between(f"edit has {name}", strength, -most, most):
            raise ValueError(f"edit has {name} {strength} but must be from -{most} to {most}")
    return edit


def amounts(attributes: Mapping[str, float] | str | Sequence[str] | None) -> Amounts:
    """The values of the attributes."""
    if isinstance(attributes, Mapping):
        return _amounts_by_name(attributes)
    texts = _attribute_texts(attributes)
    for text in texts:
        if not re.fullmatch(choices.ATTRIBUTE_PATTERN, text):
            raise ValueError(f"attributes has {text!r} but must be {choices.ATTRIBUTE_FORM}")
    try:
        return choices.parse_attributes(texts)
    except ValueError as error:
        raise ValueError(f"attributes are {','.join(texts)}: {error}") from None


def _amounts_by_name(attributes: Mapping[str, float]) -> Amounts:
    for name, amount in attributes.items():
        if not isinstance(name, str):
            raise TypeError(f"attributes has {name!r} but must be values by name")
        if not is_between(f"attributes has {name}", amount, 0, 1):
            raise ValueError(f"attributes has {name} {amount} but must be from 0 to 1")
    try:
        return choices.checked_amounts(attributes)
    except ValueError as error:
        raise ValueError(f"attributes are {attributes}: {error}") from None


def _attribute_texts(attributes: object) -> list[str]:
    if attributes is None or isinstance(attributes, str):
        return attributes.split(",") if attributes else []
    texts = list[str]()
    for text in attributes if isinstance(attributes, Iterable) else [attributes]:
        if not isinstance(text, str):
            raise TypeError(f"attributes has {text!r} but must be {choices.ATTRIBUTE_FORM}")
        texts.append(text)
    return texts


def mixtures(classes: OneClass | Sequence[OneClass] | None) -> list[Mixture]:
    """The weights of each class or mixture; empty for None."""
    return [] if classes is None else [*map(_mixture, _each_class(classes))]


def _each_class(classes: OneClass | Sequence[OneClass]) -> Iterator[OneClass]:
    match classes:
        case str():
            yield from classes.split(",")
        case np.ndarray():
            yield from np.atleast_1d(classes)
        case Sequence():
            yield from classes
        case _:
            yield classes


def _mixture(one: OneClass) -> Mixture:
    """The weights of one class or mixture."""
    try:
        match one:
            case Mapping():
                return choices.checked(_by_name(one))
            case str():
                return choices.read_mixture(one)
        return {str(operator.index(one)): 1.0}
    except TypeError:
        allowed = "a name, an index, or weights by name or index"
        raise TypeError(f"classes has {one!r} but must be {allowed}") from None
    except ValueError as error:
        raise ValueError(f"classes has {one!r}: {error}") from None


def _by_name(weights: Mapping[Any, float]) -> Mixture:
    """``weights`` with indices as text. Raises ValueError if a class occurs twice."""
    texts = [key if isinstance(key, str) else str(operator.index(key)) for key in weights]
    if len({*texts}) < len(texts):
        raise ValueError(choices.CLASSES_ONCE)
    return dict(zip(texts, weights.values(), strict=True))
