"""Conditions: the class or the attributes of an image, the second input of a conditional generator.

A condition is a row of float32 numbers, one for each class or attribute. Those of exclusive classes
sum to one; attributes are independent of each other, each from 0 (absent) to 1 (present). A seed
alone determines its condition, as it determines its latent, so that it still names one image.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from app.latent import arithmetic
from app.latent.edits import shortest_decimal
from app.latent.sampling import condition_numbers

Conditions = NDArray[np.float32]
"""Conditions of n images: float32 ``(n, k)``."""

_INDEX = re.compile(r"0|[1-9][0-9]*")
_PROBABLE = 0.5
_ONE = 1e-5
"""How far the sum of float32 weights may be from one if it is meant to be one."""
_ZERO = 1e-9
"""Sums of means that are smaller are rounding errors; sums of 16 images each are larger or 0."""


@dataclass(frozen=True, eq=False)
class ClassSampler:
    """Gives each seed one of k exclusive classes, as often as the training images have it."""

    parameter: ClassVar[Literal["class", "attributes"]] = "class"
    """The parameter of a request that names classes."""
    plural: ClassVar = "classes"
    names: tuple[str, ...]
    shares: tuple[float, ...]
    """Share of each class in the training images."""

    def index(self, name: str) -> int:
        """The index of the class with this name, else the number ``name`` if it is an index.

        Raises KeyError if there is no such class.
        """
        if name in self.names:
            return self.names.index(name)
        if _INDEX.fullmatch(name) and int(name) < len(self.names):
            return int(name)
        raise KeyError(name)

    def value(self, condition: Conditions) -> str | dict[str, float]:
        """The class of one image ``(k,)``, or the weights of a mixture by name."""
        found = np.flatnonzero(condition)
        if len(found) == 1 and condition[found[0]] == 1:
            return self.names[int(found[0])]
        weights = self._weights(condition)
        return {name: float(weight) for name, weight in weights.items()}

    def text(self, condition: Conditions) -> str:
        """The class of one image, or a mixture, as text that a request may send; see choices."""
        value = self.value(condition)
        if isinstance(value, str):
            return value
        return "+".join(map(":".join, self._weights(condition).items()))

    def _weights(self, condition: Conditions) -> dict[str, str]:
        return {self.names[k]: shortest_decimal(condition[k]) for k in np.flatnonzero(condition)}

    def typical(self) -> Conditions:
        """The most frequent class, one-hot: ``(1, k)``. Of equals it is the first."""
        return self._one_hot[[np.argmax(self.shares)]]

    def most_probable(self, probabilities: Conditions) -> Conditions:
        """The most probable class of each image ``(n, k)``, one-hot: ``(n, k)``."""
        found: Conditions = self._one_hot[probabilities.argmax(axis=1)]
        return found

    def from_seeds(self, seeds: Sequence[int]) -> Conditions:
        """The classes of ``seeds``, one-hot: ``(len(seeds), k)``. The page finds the same."""
        bounds = self._bounds
        chosen = [bisect_right(bounds, one * bounds[-1]) for one in condition_numbers(seeds)]
        if len(chosen) == 1:
            return self._one_hot[chosen[0] : chosen[0] + 1]  # a view, in a third of the time
        found: Conditions = self._one_hot.take(np.array(chosen, dtype=np.intp), axis=0)
        return found

    @cached_property
    def _one_hot(self) -> Conditions:
        """Every class, one-hot: ``(k, k)``."""
        rows = np.eye(len(self.names), dtype=np.float32)
        rows.flags.writeable = False  # conditions of seeds are views
        return rows

    @cached_property
    def _bounds(self) -> list[float]:
        return list(accumulate(self.shares))

    def from_rows(self, weights: Conditions) -> Conditions:
        """Mixtures of classes: ``weights`` ``(n, k)`` with each row scaled to sum to one.

        A row that sums to one already stays as it is. Raises ValueError for weights that are
        negative or not finite, and for a row whose weights are all 0.
        """
        _refuse(weights[~((weights >= 0) & (weights < np.inf))], "of 0 or more")
        sums = weights.sum(axis=1, keepdims=True, dtype=np.float64)
        if not sums.all():
            empty = np.flatnonzero(sums == 0)[0]
            raise ValueError(f"only zeros in row {empty} but must have a weight above 0 there")
        sums[np.abs(sums - 1) < _ONE] = 1
        mixtures: Conditions = (weights / sums).astype(np.float32)
        return mixtures

    def sum_of_means(self, plus: Sequence[Conditions], minus: Sequence[Conditions]) -> Conditions:
        """The sum of the mean classes of groups ``(n, k)``, as a mixture of classes: ``(1, k)``.

        Classes whose sum is negative count as 0. If no sum is positive, the classes in ``plus`` are
        mixed.
        """
        summed = _sum_of_means(plus, minus).clip(0)
        if not summed.any():
            summed = _sum_of_means(plus, [])
        mixture: Conditions = summed / summed.sum()
        return mixture[None]


@dataclass(frozen=True, eq=False)
class AttributeSampler:
    """Gives each seed the attributes of one of the training images on the card.

    Drawn independently, attributes would combine as no training image combines them: a person
    would have brown and blond hair, or neither.
    """

    parameter: ClassVar[Literal["class", "attributes"]] = "attributes"
    """The parameter of a request that names attributes."""
    plural: ClassVar = "attributes"
    names: tuple[str, ...]
    patterns: tuple[int, ...]
    """Attributes of training images: bit j says whether an image has attribute j."""
    excludes: Mapping[str, frozenset[str]]
    """For each attribute, those that no training image combines with it."""

    def value(self, condition: Conditions) -> dict[str, float]:
        """The attributes of one image ``(k,)`` by name."""
        texts = map(shortest_decimal, condition)
        return {name: float(text) for name, text in zip(self.names, texts, strict=True)}

    def text(self, condition: Conditions) -> str:
        """The attributes of one image as text that a request may send; see choices."""
        return ",".join(attribute_text(*one) for one in self.value(condition).items())

    def typical(self) -> Conditions:
        """The most frequent attributes: ``(1, k)``. Of equals they are the first."""
        pattern = max(self.patterns, key=Counter(self.patterns).__getitem__)
        return self._table[[self.patterns.index(pattern)]]

    def most_probable(self, probabilities: Conditions) -> Conditions:
        """1 for attributes with a probability of one half or more, else 0: ``(n, k)``."""
        return (probabilities >= _PROBABLE).astype(np.float32)

    def from_seeds(self, seeds: Sequence[int]) -> Conditions:
        """The attributes of ``seeds``, 0 or 1: ``(len(seeds), k)``."""
        table = self._table
        return table[[int(one * len(table)) for one in condition_numbers(seeds)]]

    @cached_property
    def _table(self) -> Conditions:
        """The attributes of every pattern: ``(len(patterns), k)``."""
        patterns = np.array(self.patterns, dtype=np.uint64)[:, None]
        bits = patterns >> np.arange(len(self.names), dtype=np.uint64)
        return (bits & np.uint64(1)).astype(np.float32)

    def from_rows(self, values: Conditions) -> Conditions:
        """``values`` ``(n, k)`` as they are. Raises ValueError unless all are from 0 to 1."""
        _refuse(values[~((values >= 0) & (values <= 1))], "from 0 to 1")
        return values

    def sum_of_means(self, plus: Sequence[Conditions], minus: Sequence[Conditions]) -> Conditions:
        """The sum of the mean attributes of groups ``(n, k)``, from 0 to 1: ``(1, k)``."""
        return _sum_of_means(plus, minus).clip(0, 1)[None]

    def changed(self, conditions: Conditions, requested: Mapping[str, float]) -> Conditions:
        """``conditions`` with the attributes in ``requested`` set to their values.

        An attribute that is set to more than 0 clears those that it excludes, unless they are
        requested too. Other attributes stay as they are.
        """
        changed = conditions.copy()
        excluded = {
            other for name, value in requested.items() if value for other in self.excludes[name]
        }
        for name, value in {**dict.fromkeys(excluded, 0.0), **requested}.items():
            changed[:, self.names.index(name)] = value
        return changed


Sampler = ClassSampler | AttributeSampler


@lru_cache(4096)
def text_of_seed(sampler: Sampler, seed: int) -> str:
    """The text of the condition of ``seed``, which every request for its image needs."""
    return sampler.text(sampler.from_seeds([seed])[0])


def text_of(sampler: Sampler, condition: Conditions) -> str:
    """The text of a condition ``(k,)``; the latest ones are remembered."""
    return _text(sampler, condition.tobytes())


@lru_cache(4096)
def _text(sampler: Sampler, condition: bytes) -> str:
    return sampler.text(np.frombuffer(condition, dtype=np.float32))


def _sum_of_means(plus: Sequence[Conditions], minus: Sequence[Conditions]) -> Conditions:
    """The sum of the mean conditions of groups ``(n, k)``, without rounding errors: ``(k,)``."""
    summed = arithmetic.sum_of_means(plus, minus)
    summed[np.abs(summed) < _ZERO] = 0
    return summed


def _refuse(wrong: Conditions, allowed: str) -> None:
    """Raise ValueError if there are ``wrong`` values; it says which are ``allowed``."""
    if wrong.size:
        raise ValueError(f"the value {wrong[0]:g} but must have values {allowed}")


def one_hot(classes: NDArray[np.integer], count: int) -> Conditions:
    """The conditions of class numbers ``(n,)``, each below ``count``: ``(n, count)``."""
    conditions = np.zeros((len(classes), count), dtype=np.float32)
    conditions[np.arange(len(classes)), classes] = 1
    return conditions


def attribute_text(name: str, amount: float) -> str:
    """The text of one attribute: ``glasses``, ``-beard`` or ``smile:0.5``."""
    if amount == 1:
        return name
    return f"{name}:{shortest_decimal(amount)}" if amount else f"-{name}"
