"""What a request wants of classes or attributes, as a choice among those of a version's card."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from app.artifact.card import Card
from app.errors import ParameterError, invalid, parameter_error
from app.latent import choices
from app.latent.choices import Amounts, ChosenAttributes, ChosenClasses, Mixture
from app.latent.conditions import ClassSampler, Conditions

_MOST_NAMES = 64
"""Names in an error message; ``GET /models`` lists all."""


def classes(
    card: Card,
    mixtures: Sequence[Mixture],
    images: int,
    parameter: str = "class",
    place: str = "query",
) -> ChosenClasses:
    """The choice of at least one class or mixture for up to ``images`` images.

    Raises ParameterError that names ``parameter`` in ``place`` for a class that the card does not
    have, and for more of them than images.
    """
    sampler = card.sampler
    if not isinstance(sampler, ClassSampler):
        raise _refused(parameter, place, _names(mixtures), _no_classes(card))
    if len(mixtures) > images:
        most = "one class" if images == 1 else f"at most {images} classes"
        allowed = f"{most}, as there is one for each seed or image"
        text = ",".join(map(choices.mixture_text, mixtures))
        raise parameter_error(invalid(parameter, place, text, allowed))
    rows = []
    for mixture in mixtures:
        try:
            rows.append(choices.mixed(sampler, mixture))
        except KeyError as error:
            allowed = f"one of {listed(sampler.names)}, or an index from 0"
            allowed = f"{allowed} to {len(sampler.names) - 1}"
            raise _refused(parameter, place, error.args, allowed) from None
    return ChosenClasses(sampler, np.stack(rows))


def ends(card: Card, own: Conditions, named: Mapping[str, Mixture]) -> ChosenClasses:
    """The choice of ``from_class``, ``to_class`` or both, for seeds with the classes ``own``.

    Raises ParameterError that names the parameter whose class does not exist.
    """
    chosen = {name: classes(card, [mixture], 1, name) for name, mixture in named.items()}
    rows = own.copy()
    for name, choice in chosen.items():
        rows[0 if name == "from_class" else -1] = choice.conditions[0]
    return replace(next(iter(chosen.values())), conditions=rows)


def attributes(card: Card, amounts: Amounts, place: str = "query") -> ChosenAttributes:
    """The choice of attributes.

    Raises ParameterError that names ``attributes`` in ``place`` for those that the card does not
    have.
    """
    sampler = card.sampler
    if sampler is None or isinstance(sampler, ClassSampler):
        raise _refused("attributes", place, amounts, _no_attributes(card))
    if unknown := [name for name in amounts if name not in sampler.names]:
        raise _refused("attributes", place, unknown, f"one of {listed(sampler.names)}")
    return ChosenAttributes(sampler, amounts)


def _refused(parameter: str, place: str, names: Iterable[str], allowed: str) -> ParameterError:
    return parameter_error(*(invalid(parameter, place, name, allowed) for name in names))


def _names(mixtures: Iterable[Mixture]) -> list[str]:
    return [name for mixture in mixtures for name in mixture][:1]


def _no_classes(card: Card) -> str:
    found = f"left out: {card.name}/{card.version} has no classes"
    return f"{found}; it has the attributes {listed(card.sampler.names)}" if card.sampler else found


def _no_attributes(card: Card) -> str:
    found = f"left out: {card.name}/{card.version} has no attributes to choose"
    return f"{found}; it has the classes {listed(card.sampler.names)}" if card.sampler else found


def listed(names: Sequence[str]) -> str:
    """``names`` for an error message, separated by commas; the first of very many."""
    more = ["…"] if len(names) > _MOST_NAMES else []
    return ", ".join([*names[:_MOST_NAMES], *more])
