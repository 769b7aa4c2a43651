"""Images from Python, without a server: ``app.load`` and the model that it returns.

>>> import app
>>> digits = app.load("models/digits")
>>> digits.sample(seeds=range(10), classes=[*range(10)]).shape
(10, 28, 28, 1)

The pixels are those of the server's images, on the same provider and the same kind of CPU.
"""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.artifact import card, default_version
from app.artifact.card import CARD_FILE, Card, CardError
from app.errors import AppError
from app.imaging.sheets import Pixels
from app.latent import choices, edits, interpolation
from app.latent.choices import Amounts, Choice, Mixture
from app.latent.interpolation import Easing
from app.latent.sampling import MAX_TRUNCATION, SEEDS, Latents, Method
from app.registry import chosen_conditions, loader
from app.registry.draw_options import DrawOptions
from app.registry.generator import Generator
from app.runtime import arrays
from app.runtime.arrays import GraphInputs
from app.settings import GeneratorSettings, Precision, Provider

BATCH = 64
"""Images in a batch of the engine; more are computed one batch after the other."""

OneClass = str | int | Mapping[str, float]
"""A name, an index, a mixture such as ``sneaker:0.7+bag:0.3``, or its weights by name."""


class Options(TypedDict, total=False):
    """What images show; every argument is optional."""

    classes: OneClass | Sequence[OneClass] | None
    """For a model that has classes: one for all images, or several, which they have in turn."""
    attributes: Mapping[str, float] | str | Sequence[str] | None
    """For a model that is conditional on attributes: values from 0 to 1 by name, or texts such as
    ``glasses`` and ``-beard``; those that are not named follow the seeds."""
    truncation: float
    """The factor of the latents of seeds: below 1 images are more typical, above more unusual."""


class EditedOptions(Options, total=False):
    """``Options``, and how images are edited."""

    edit: Mapping[str, float] | None
    """Attributes to add to the images, by name, with strengths from -5 to 5; a negative strength
    removes one. ``model.card.editable`` has the names."""


def load(
    folder: str | Path,
    *,
    provider: Provider = "auto",
    precision: Precision = "auto",
    threads: int = 0,
) -> "Model":
    """The model in ``folder``: ``models/digits``, in its default version, or ``models/digits/1``.

    ``provider``, ``precision`` and ``threads`` are as in the settings of the server; 0 threads are
    all CPUs that the process may use. No environment variable changes them. The files are verified
    as the server verifies them.

    Raises CardError, a ValueError, if there is no valid version; StartupError if the provider does
    not run here; and ValueError for another argument that is not allowed.
    """
    version = _version_folder(Path(folder).absolute())
    settings = GeneratorSettings(
        models=version.parent.parent,
        provider=provider,
        precision=precision,
        engine_cache=None,
        threads=threads,
    )
    return Model(loader.load_generator(version, settings, BATCH))


class Model:
    """A generator of images. Pixels are uint8 arrays ``(n, height, width, channels)``.

    Methods also take the arguments of ``EditedOptions``, by name. They raise ValueError, or
    TypeError for a value of another type, that names the argument, its value and what is allowed.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def __repr__(self) -> str:
        height, width, channels = self.card.image.shape
        return f"<Model {self._generator.key}, {height}×{width}×{channels}>"

    @property
    def card(self) -> Card:
        """Name, version, size, classes, measurements and origin of the model."""
        return self._generator.card

    @property
    def provider(self) -> str:
        """The provider that computes the images: ``cpu``, ``cuda``, ``openvino``, ``tensorrt``."""
        return self._generator.engine.provider

    def sample(self, seeds: Iterable[int], **options: Unpack[EditedOptions]) -> Pixels:
        """The images of ``seeds``, integers from 0 to 2³² - 1.

        >>> import app
        >>> faces = app.load("models/faces")
        >>> faces.sample(range(4), attributes="glasses,-beard").shape
        (4, 64, 64, 3)
        """
        numbers = _seeds(seeds, least=1)
        drawing = self._drawing(len(numbers), **options)
        return self._draw(self._generator.rows_from_seeds(numbers, drawing))

    def edit(
        self, seeds: Iterable[int], strengths: Mapping[str, float], **options: Unpack[Options]
    ) -> Pixels:
        """The images of ``seeds``, edited: ``sample`` with ``strengths`` as the option ``edit``."""
        return self.sample(seeds, edit=strengths, **options)

    def interpolate(
        self,
        seeds: Iterable[int],
        steps: int = 8,
        *,
        method: Method = "slerp",
        loop: bool = False,
        easing: Easing = "linear",
        **options: Unpack[EditedOptions],
    ) -> Pixels:
        """The frames of a path through the images of two or more ``seeds``.

        Each segment has ``steps`` frames, including both of its ends; the frame at the end of one
        segment is the first of the next and occurs once. ``loop`` adds a segment back to the first
        seed, without its last frame. ``easing`` is ``linear``, ``ease-in``, ``ease-out`` or
        ``ease-in-out``. ``classes`` are those at the seeds.

        >>> import app
        >>> digits = app.load("models/digits")
        >>> digits.interpolate([3, 17], steps=5, classes=["3", "8"]).shape
        (5, 28, 28, 1)
        """
        numbers = _seeds(seeds, least=2)
        if operator.index(steps) < 2:
            raise ValueError(f"steps is {steps} but must be 2 or more")
        _check_one_of("method", method, get_args(Method))
        _check_one_of("easing", easing, get_args(Easing))
        drawing = self._drawing(len(numbers), **options)
        latents = interpolation.path(
            self._generator.latents(numbers, drawing), steps, method, loop=loop, easing=easing
        )
        conditions = interpolation.path(
            self._generator.conditions(numbers, drawing), steps, "lerp", loop=loop, easing=easing
        )
        return self._draw(self._generator.rows(latents, conditions, drawing))

    def latents(self, seeds: Iterable[int], *, truncation: float = 1) -> Latents:
        """The latents of ``seeds``: float32 ``(n, width)``; the same seed has the same latent.

        >>> import app
        >>> digits = app.load("models/digits")
        >>> mean = digits.latents(range(3)).mean(axis=0, keepdims=True)
        >>> digits.generate(mean, classes=7).shape
        (1, 28, 28, 1)
        """
        return self._generator.latents(
            _seeds(seeds, least=1), self._drawing(1, truncation=truncation)
        )

    def generate(
        self,
        latents: ArrayLike,
        *,
        classes: OneClass | Sequence[OneClass] | None = None,
        attributes: Mapping[str, float] | str | Sequence[str] | None = None,
        edit: Mapping[str, float] | None = None,
    ) -> Pixels:
        """The images of ``latents``: finite numbers ``(n, width)``.

        Without ``classes`` or ``attributes`` they have the most frequent ones.
        """
        rows: NDArray[np.float32] = np.asarray(latents, np.float32)
        width = self.card.latent.width
        if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
            raise ValueError(f"latents has the shape {rows.shape} but must have (n, {width})")
        if not np.isfinite(rows).all():
            raise ValueError("latents has numbers that are not finite but all of them must be")
        drawing = self._drawing(len(rows), classes=classes, attributes=attributes, edit=edit)
        conditions = self._generator.typical_conditions(len(rows), drawing)
        return self._draw(self._generator.rows(rows, conditions, drawing))

    def _drawing(
        self,
        images: int,
        *,
        classes: OneClass | Sequence[OneClass] | None = None,
        attributes: Mapping[str, float] | str | Sequence[str] | None = None,
        edit: Mapping[str, float] | None = None,
        truncation: float = 1,
    ) -> DrawOptions:
        """The options of up to ``images`` images. Raises ValueError or TypeError."""
        if not 0 < truncation <= MAX_TRUNCATION:  # refuses NaN, too
            allowed = f"above 0 and at most {MAX_TRUNCATION}"
            raise ValueError(f"truncation is {truncation} but must be {allowed}")
        strengths, amounts = _strengths(edit or {}), _amounts(attributes or {})
        try:
            choice = self._choice(_mixtures(classes), amounts, images)
            return DrawOptions(self._generator.edit(strengths), truncation, choice=choice)
        except AppError as error:
            raise ValueError(str(error)) from None

    def _choice(self, mixtures: Sequence[Mixture], amounts: Amounts, images: int) -> Choice:
        if mixtures:
            return chosen_conditions.classes(self.card, mixtures, images, "classes")
        return self._generator.choice((), amounts)

    def _draw(self, rows: GraphInputs) -> Pixels:
        """The pixels of ``rows``, computed in batches."""
        starts = range(0, arrays.count(rows), BATCH)
        parts = (arrays.part(rows, slice(start, start + BATCH)) for start in starts)
        return np.concatenate([self._generator.engine(part) for part in parts])


def _version_folder(folder: Path) -> Path:
    """``folder`` if it has a card, else its default version. Raises CardError without any."""
    if (folder / CARD_FILE).exists():
        return folder
    if numbers := card.version_numbers(folder):
        return folder / str(default_version.choose(numbers, default_version.read(folder)))
    problem = "holds no version, such as 1" if folder.is_dir() else "does not exist"
    raise CardError(f"{folder}: {problem}; name a model, such as models/digits, or a version of it")


def _seeds(seeds: Iterable[int], least: int) -> list[int]:
    """``seeds`` as a list. Raises ValueError or TypeError unless they are at least ``least``."""
    if not isinstance(seeds, Iterable):
        raise TypeError(f"seeds is {seeds!r} but must be several integers, such as range(16)")
    try:
        numbers = [operator.index(seed) for seed in seeds]
    except TypeError as error:
        raise TypeError(f"seeds must be integers: {error}") from None
    if len(numbers) < least:
        raise ValueError(f"seeds are {numbers} but must be {least} or more")
    for number in numbers:
        if not 0 <= number < SEEDS:
            raise ValueError(f"seeds has {number} but must be from 0 to {SEEDS - 1}")
    return numbers


def _check_one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r} but must be one of {', '.join(allowed)}")


def _strengths(edit: Mapping[str, float]) -> Mapping[str, float]:
    most = edits.MAX_STRENGTH
    for name, strength in edit.items():
        if not -most <= strength <= most:  # refuses NaN, too
            raise ValueError(f"edit has {name} {strength} but must be from -{most} to {most}")
    return edit


def _amounts(attributes: Mapping[str, float] | str | Sequence[str]) -> Amounts:
    if isinstance(attributes, Mapping):
        for name, amount in attributes.items():
            if not 0 <= amount <= 1:  # refuses NaN, too
                raise ValueError(f"attributes has {name} {amount} but must be from 0 to 1")
        return {name.lower(): float(amount) for name, amount in attributes.items()}
    texts = attributes.split(",") if isinstance(attributes, str) else [*attributes]
    for text in texts:
        if not re.fullmatch(choices.ATTRIBUTE_PATTERN, text):
            raise ValueError(f"attributes has {text!r} but must be {choices.ATTRIBUTE_FORM}")
    try:
        return choices.parse_attributes(texts)
    except ValueError as error:
        raise ValueError(f"attributes are {','.join(texts)}: {error}") from None


def _mixtures(classes: OneClass | Sequence[OneClass] | None) -> list[Mixture]:
    return [] if classes is None else [*map(_mixture, _each_class(classes))]


def _each_class(classes: OneClass | Sequence[OneClass]) -> Iterator[OneClass]:
    match classes:
        case str():
            yield from classes.split(",")
        case Sequence() | np.ndarray():
            yield from classes
        case _:
            yield classes


def _mixture(one: OneClass) -> Mixture:
    """The weights of one class or mixture. Raises ValueError or TypeError."""
    try:
        match one:
            case Mapping():
                return choices.checked(one)
            case str():
                return choices.read_mixture(one)
        return {str(operator.index(one)): 1.0}
    except (TypeError, ValueError) as error:
        raise type(error)(f"classes has {one!r}: {error}") from None
