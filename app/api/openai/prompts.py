"""Finds the names of classes and attributes in a prompt, by words.

Upper and lower case, hyphens and underscores do not matter, nor do endings such as those of plurals
("sneakers", "smiling"). Negated names ("no beard", "without glasses or a hat", "beardless") are
attributes that images must not have.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.latent.choices import Amounts, Mixture
from app.latent.conditions import ClassSampler, Conditions, Sampler

_TOKEN: Final = re.compile(r"[a-z0-9]+|[,.;:!?]")
_NEGATIONS: Final = frozenset(
    ("no", "not", "without", "neither", "never", "lacking", "minus", "excluding")
)
_ENDS: Final = frozenset((",", ".", ";", ":", "!", "?", "but", "with", "who"))
"""Words after which a negation no longer holds."""
_ENDINGS: Final = (
    *(("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", "")),
    *(("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e")),
)
"""Endings of words, and what may stand in their place."""
_NUMBERS: Final = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_SAME: Final = dict(
    [(word, str(number)) for number, word in enumerate(_NUMBERS)]
    + [("gray", "grey"), ("blonde", "blond"), ("tee", "t")]
    + [("men", "man"), ("women", "woman"), ("people", "person"), ("children", "child")]
    + [("feet", "foot"), ("geese", "goose"), ("mice", "mouse"), ("teeth", "tooth")]
)
"""Words that count as another one."""

_MOST_WORDS: Final = 32
"""A name of 64 characters has no more."""

_Word = frozenset[str]
"""The forms of a word; two words match if they have a form in common."""


@dataclass(frozen=True)
class Understood:
    """What a prompt says about the class or the attributes of images."""

    mixture: Mixture
    """Equal weights of the classes that the prompt names."""
    amounts: Amounts
    """1 for each attribute that the prompt names, 0 for each that it negates."""
    text: str
    """The same in words, which are understood in the same way; empty if it names nothing."""


@dataclass(frozen=True)
class _Phrase:
    name: str
    words: tuple[_Word, ...]


def understand(prompt: str, sampler: Sampler) -> Understood:
    """What ``prompt`` says in the names of ``sampler``. Negated classes are ignored."""
    exclusive = isinstance(sampler, ClassSampler)
    found = dict(_found(prompt, _phrases(sampler.names, heads=exclusive)))
    if exclusive:
        named = [name for name, wanted in found.items() if wanted]
        return Understood(dict.fromkeys(named, 1.0), {}, " and ".join(named))
    return Understood({}, {name: float(found[name]) for name in found}, _listed(found))


def described(sampler: Sampler, condition: Conditions) -> str:
    """The class or the attributes of an image, ``(k,)``, in words that ``understand`` reads."""
    pairs = zip(sampler.names, condition, strict=True)
    if isinstance(sampler, ClassSampler):
        return " and ".join(name for name, weight in pairs if weight)
    return _listed({name: bool(value) for name, value in pairs})


def _listed(attributes: Mapping[str, bool]) -> str:
    words = {name: name.replace("_", " ") for name in attributes}
    return ", ".join(
        words[name] if has else f"no {words[name]}" for name, has in attributes.items()
    )


def _found(prompt: str, phrases: Mapping[str, Sequence[_Phrase]]) -> Iterator[tuple[str, bool]]:
    """Every name in ``prompt``, and whether it is wanted or negated."""
    tokens = _TOKEN.findall(prompt.lower().replace("\u2019", "'").replace("n't", " not"))
    words = [_forms(token) for token in tokens]
    negation, place = "", 0
    while place < len(tokens):
        token = tokens[place]
        if phrase := _longest(words[place : place + _MOST_WORDS], phrases):
            yield phrase.name, not negation
            place += len(phrase.words)
            if not _goes_on(negation, tokens[place : place + 1]):
                negation = ""
            continue
        if token.endswith("less") and (one := _longest([_forms(token[:-4])], phrases)):
            yield one.name, False
        elif token in _NEGATIONS:
            negation = token
        elif token in _ENDS:
            negation = ""
        place += 1


def _goes_on(negation: str, following: Sequence[str]) -> bool:
    """Whether a negation includes what comes after a name: "no hat or …", "without hat and …"."""
    return following in (["or"], ["nor"]) or (following == ["and"] and negation == "without")


def _longest(words: Sequence[_Word], phrases: Mapping[str, Sequence[_Phrase]]) -> _Phrase | None:
    """The longest phrase with which ``words`` begin."""
    begun = {phrase: None for form in sorted(words[0]) for phrase in phrases.get(form, ())}
    fitting = [phrase for phrase in begun if _fits(phrase.words, words)]
    return max(fitting, key=lambda phrase: len(phrase.words), default=None)


def _fits(phrase: Sequence[_Word], words: Sequence[_Word]) -> bool:
    pairs = zip(phrase, words, strict=False)
    return len(phrase) <= len(words) and all(one & other for one, other in pairs)


@lru_cache(64)
def _phrases(names: tuple[str, ...], *, heads: bool) -> Mapping[str, Sequence[_Phrase]]:
    """The phrases that stand for ``names``, by each form of their first words.

    They are the words of a name, the same as one word ("tshirt") and, if ``heads``, its last word
    ("boot" for "ankle-boot"), unless other names end with that word, too.
    """
    parts = {name: re.split("[-_]+", name.strip("-_")) for name in names}
    last = [words[-1] for words in parts.values()]
    by_form: dict[str, list[_Phrase]] = {}
    for name, words in parts.items():
        spellings = {tuple(words), ("".join(words),)}
        if heads and last.count(words[-1]) == 1:
            spellings.add((words[-1],))
        for spelling in sorted(spellings):
            phrase = _Phrase(name, tuple(map(_forms, spelling)))
            for form in phrase.words[0]:
                by_form.setdefault(form, []).append(phrase)
    return by_form


@lru_cache(4096)
def _forms(word: str) -> _Word:
    """``word`` and its stems."""
    forms = {word}
    for ending, instead in _ENDINGS:
        stem = word.removesuffix(ending) + instead
        if word.endswith(ending) and (len(stem) > 2 or stem.isdigit()):
            forms.add(stem)
    return frozenset(_SAME.get(form, form) for form in forms)
