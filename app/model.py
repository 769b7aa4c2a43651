"""Images from Python, without a server: ``app.load`` and the model that it returns.

>>> import app
>>> digits = app.load("models/digits")
>>> digits.sample(seeds=range(10), classes=[*range(10)]).shape
(10, 28, 28, 1)

The pixels are those of the server's images, on the same provider and the same kind of CPU.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from app.artifact import card, default_version
from app.artifact.card import CARD_FILE, IMAGES, Card, CardError
from app.errors import AppError
from app.imaging import sources, uploads
from app.imaging.containers import ImageFile, RefusedImageError
from app.imaging.sheets import Pixels
from app.imaging.sources import Source
from app.imaging.uploads import Invert, ModelImages, Prepared
from app.latent import arguments, interpolation
from app.latent.arguments import OneClass
from app.latent.choices import Amounts, Choice, Mixture
from app.latent.conditions import Conditions
from app.latent.interpolation import Easing
from app.latent.refinement import MAX_STEPS, Refinement
from app.latent.sampling import MAX_TRUNCATION, SEEDS, Latents, Method
from app.registry import chosen_conditions, loader
from app.registry.draw_options import DrawOptions
from app.registry.encoder import images_of, latents_and_probabilities, squared_errors
from app.registry.generator import Generator
from app.runtime import arrays
from app.runtime.arrays import GraphInputs
from app.runtime.image_encoder import ImageEncoder
from app.settings import GeneratorSettings, Precision, Provider

_INVERT: Mapping[bool | str, Invert] = {"auto": "auto", True: "true", False: "false"}

BATCH = 64
"""Images in a batch of the engine; more are computed one batch after the other."""


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
    try:
        settings = GeneratorSettings(
            models=version.parent.parent,
            provider=provider,
            precision=precision,
            engine_cache=None,
            threads=threads,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise ValueError(f"{problem['loc'][0]} is {problem['input']!r}: {problem['msg']}") from None
    generator = loader.load_generator(version, settings, BATCH)
    return Model(generator, partial(loader.load_encoder, version, generator.card, settings))


@dataclass(frozen=True)
class Encoded:
    """What the encoder of a model finds for n images."""

    latents: Latents
    """float32 ``(n, width)``; ``generate`` draws them."""
    probabilities: Conditions
    """Of each class or attribute, in the order of the card: float32 ``(n, k)``, from 0 to 1; k is 0
    for a model without any."""
    conditions: list[str | dict[str, float]]
    """The class of each reconstruction by name, as ``generate`` takes them, or its attributes by
    name; empty for a model without any."""
    pixels: Pixels
    """The reconstructions: uint8 ``(n, height, width, channels)``."""
    errors: NDArray[np.float64]
    """Mean squared differences of images and reconstructions, in pixels from 0 to 1: ``(n,)``."""
    inverted: NDArray[np.bool_]
    """Whether the colours of each image were inverted: ``(n,)``."""


class Model:
    """A generator of images. Pixels are uint8 arrays ``(n, height, width, channels)``.

    Methods also take the arguments of ``EditedOptions``, by name. They raise ValueError, or
    TypeError for a value of another type, that names the argument, its value and what is allowed.
    """

    def __init__(
        self, generator: Generator, load_encoder: Callable[[], ImageEncoder | None]
    ) -> None:
        """``load_encoder`` is called before the first image is encoded."""
        self._generator, self._load_encoder = generator, load_encoder

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
        if arguments.integer("steps", steps) < 2:
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
        try:
            rows: NDArray[np.float32] = np.asarray(latents, np.float32)
        except (TypeError, ValueError) as error:
            raise type(error)(f"latents must be numbers (n, width): {error}") from None
        width = self.card.latent.width
        if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
            raise ValueError(f"latents has the shape {rows.shape} but must have (n, {width})")
        if not np.isfinite(rows).all():
            raise ValueError("latents has numbers that are not finite but all of them must be")
        drawing = self._drawing(len(rows), classes=classes, attributes=attributes, edit=edit)
        conditions = self._generator.typical_conditions(len(rows), drawing)
        return self._draw(self._generator.rows(rows, conditions, drawing))

    def encode(
        self,
        images: Iterable[Source],
        *,
        refine: int = 0,
        invert: bool | Literal["auto"] = "auto",
        classes: OneClass | Sequence[OneClass] | None = None,
        attributes: Mapping[str, float] | str | Sequence[str] | None = None,
    ) -> Encoded:
        """The latents and classes of ``images``, by the encoder, and the images of these latents.

        ``images`` are paths or contents of PNG, JPEG, WebP and GIF files, or uint8 arrays
        ``(height, width)`` or ``(height, width, channels)``. They have any size: the centre is cut
        out and scaled. ``refine`` brings the latents nearer to them, in 0 to 100 steps. ``invert``
        says whether colours are inverted: ``auto`` does so for a dark drawing on light paper, if
        the model draws light on dark. ``classes`` or ``attributes`` replace the most probable ones.

        Also raises OSError for a file that cannot be read, CardError for a damaged encoder.

        >>> import app
        >>> digits = app.load("models/digits")
        >>> found = digits.encode(digits.sample([42], classes="7"), refine=5)
        >>> found.latents.shape, found.pixels.shape, found.conditions
        ((1, 64), (1, 28, 28, 1), ['7'])
        >>> again = digits.generate(found.latents, classes=found.conditions)
        >>> bool((again == found.pixels).all())
        True
        """
        encoder, files = self._encoder, _files(images)
        if not 0 <= arguments.integer("refine", refine) <= MAX_STEPS:
            raise ValueError(f"refine is {refine} but must be from 0 to {MAX_STEPS}")
        if invert not in _INVERT:
            raise ValueError(f"invert is {invert!r} but must be True, False or 'auto'")
        options = self._drawing(len(files), classes=classes, attributes=attributes)
        prepared = _prepared(files, images_of(self._generator), _INVERT[invert])
        return self._encoded(encoder, prepared, options, refine)

    def _encoded(
        self, encoder: ImageEncoder, images: Sequence[Prepared], options: DrawOptions, steps: int
    ) -> Encoded:
        """``images``, encoded as ``POST /encode`` does."""
        pixels, generator = np.stack([one.pixels for one in images]), self._generator
        found = _in_batches(encoder, {IMAGES: pixels})
        latents, probabilities = latents_and_probabilities(found, self.card.latent.width)
        conditions = generator.probable_conditions(probabilities, options)

        def draw(rows: Latents, of_rows: Conditions) -> Pixels:
            """The images of n latents, with n conditions or one for all."""
            of_each = of_rows.repeat(len(rows) // len(of_rows), axis=0)
            return self._draw(generator.rows(rows, of_each, options))

        drawn = draw(latents, conditions)
        for k in range(len(pixels) if steps else 0):
            refined = Refinement(pixels[k], latents[k], drawn[k], self.card.latent.prior)
            refined.run(steps, partial(draw, of_rows=conditions[k : k + 1]))
            latents[k], drawn[k] = refined.latent, refined.image
        sampler = self.card.sampler
        return Encoded(
            latents,
            probabilities,
            [sampler.value(one) for one in conditions] if sampler else [],
            drawn,
            squared_errors(pixels, drawn),
            np.array([one.inverted for one in images]),
        )

    @cached_property
    def _encoder(self) -> ImageEncoder:
        """Raises ValueError if there is none, CardError if it is damaged."""
        if encoder := self._load_encoder():
            return encoder
        key = self._generator.key
        made = f"`python -m training encoder models/{key}` makes one"
        raise ValueError(f"{key} has no encoder; {made}")

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
        if not (
            arguments.is_between("truncation is", truncation, 0, MAX_TRUNCATION) and truncation
        ):
            allowed = f"above 0 and at most {MAX_TRUNCATION}"
            raise ValueError(f"truncation is {truncation} but must be {allowed}")
        strengths, amounts = arguments.strengths(edit), arguments.amounts(attributes)
        try:
            choice = self._choice(arguments.mixtures(classes), amounts, images)
            return DrawOptions(self._generator.edit(strengths), truncation, choice=choice)
        except AppError as error:
            raise ValueError(str(error)) from None

    def _choice(self, mixtures: Sequence[Mixture], amounts: Amounts, images: int) -> Choice:
        if mixtures:
            return chosen_conditions.classes(self.card, mixtures, images, "classes")
        return self._generator.choice((), amounts)

    def _draw(self, rows: GraphInputs) -> Pixels:
        """The pixels of ``rows``."""
        return _in_batches(self._generator.engine, rows)


def _in_batches(compute: Callable[[GraphInputs], NDArray[Any]], rows: GraphInputs) -> NDArray[Any]:
    """The results for ``rows``, computed in batches."""
    starts = range(0, arrays.count(rows), BATCH)
    parts = (arrays.part(rows, slice(start, start + BATCH)) for start in starts)
    return np.concatenate([compute(part) for part in parts])


def _files(images: Iterable[Source]) -> list[ImageFile]:
    """``images``, not decoded yet. Raises ValueError, TypeError or OSError."""
    if isinstance(images, str | bytes | Path) or not isinstance(images, Iterable):
        raise TypeError(f"images is {images!r} but must be several, such as ['photo.jpg']")
    if isinstance(images, np.ndarray) and images.ndim != 4:
        allowed = "(n, height, width, channels), or be a list of images"
        raise ValueError(f"images has the shape {images.shape} but must have {allowed}")
    files = []
    for k, image in enumerate(images):
        try:
            files.append(sources.inspect(image))
        except RefusedImageError as error:
            raise _refused(k, error) from error
        except TypeError as error:
            raise TypeError(f"images[{k}] is {error}") from None
    if not files:
        raise ValueError("images has none but must have 1 or more")
    return files


def _prepared(files: Sequence[ImageFile], model: ModelImages, invert: Invert) -> list[Prepared]:
    """``files`` as the model would have drawn them. Raises ValueError for a damaged one."""
    prepared = []
    for k, file in enumerate(files):
        try:
            prepared.append(uploads.prepare(file, model, invert))
        except RefusedImageError as error:
            raise _refused(k, error) from error
    return prepared


def _refused(k: int, error: RefusedImageError) -> ValueError:
    return ValueError(f"images[{k}] is {error.found} but must be {error.allowed}")


def _version_folder(folder: Path) -> Path:
    """``folder`` if it has a card, else its default version. Raises CardError without any."""
    if (folder / CARD_FILE).exists():
        return folder
    if numbers := card.version_numbers(folder):
        return folder / str(default_version.choose(numbers, default_version.read(folder)))
    problem = "holds no version, such as 1" if folder.is_dir() else "does not exist"
    if folder.is_file():
        problem = "is no folder"
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
