"""A loaded generator: its card and its engine, and the rows of inputs that make an image."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.artifact.card import Card, Variant
from app.artifact.version_key import VersionKey
from app.errors import invalid, parameter_error
from app.latent import choices, sampling
from app.latent.choices import NO_AMOUNTS, Amounts, Choice, Mixture
from app.latent.conditions import Conditions, text_of
from app.latent.edits import NO_EDIT, Edit
from app.latent.sampling import Latents, Points
from app.registry import chosen_conditions
from app.registry.draw_options import DEFAULT, DrawOptions
from app.runtime.arrays import GraphInputs
from app.runtime.engine import Engine


class Generator:
    """One model version that can compute images, without a queue."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self.card, self.engine = card, engine
        self.key = VersionKey(card.name, str(card.version))
        self.label = str(self.key)
        self.variant: Variant = card.variant(engine.provider)
        """The model file that runs."""

    def latents(self, points: Points, options: DrawOptions = DEFAULT) -> Latents:
        """The latents of ``points``: ``(n, width)``.

        Those of seeds are under this version's prior and truncated; others are as they are.
        """
        latent, given = self.card.latent, [one for one in points if not isinstance(one, int)]
        seeds = [one for one in points if isinstance(one, int)]
        drawn = sampling.from_seeds(seeds, latent.width, latent.prior)
        drawn = sampling.truncate(drawn, options.truncation)
        return _merged(points, drawn, np.array(given, np.float32)) if given else drawn

    def conditions(
        self,
        points: Points,
        options: DrawOptions = DEFAULT,
        images: Sequence[int] | None = None,
    ) -> Conditions:
        """The classes or attributes of ``points``: ``(n, k)``; k is 0 if it is unconditional.

        A latent that is no seed's has the most frequent ones. ``images`` has the number of each
        image in the request; by default they are 0 to n - 1.
        """
        sampler = self.card.sampler
        if sampler is None:
            return _unconditional(len(points))
        own = sampler.from_seeds([one for one in points if isinstance(one, int)])
        if others := len(points) - len(own):
            own = _merged(points, own, sampler.typical().repeat(others, axis=0))
        return options.choice(own, images)

    def typical_conditions(self, images: int, options: DrawOptions = DEFAULT) -> Conditions:
        """The most frequent class or attributes, for images without a seed: ``(images, k)``."""
        sampler = self.card.sampler
        if sampler is None:
            return _unconditional(images)
        return options.choice(sampler.typical().repeat(images, axis=0))

    def probable_conditions(
        self, probabilities: Conditions, options: DrawOptions = DEFAULT
    ) -> Conditions:
        """The most probable class or attributes of images ``(n, k)``: ``(n, k)``."""
        sampler = self.card.sampler
        if sampler is None:
            return _unconditional(len(probabilities))
        return options.choice(sampler.most_probable(probabilities))

    def sum_of_conditions(self, plus: Sequence[Points], minus: Sequence[Points]) -> Conditions:
        """The class or attributes of a sum of the mean latents of groups: ``(1, k)``."""
        sampler = self.card.sampler
        if sampler is None:
            return _unconditional(1)
        added, removed = ([*map(self.conditions, groups)] for groups in (plus, minus))
        return sampler.sum_of_means(added, removed)

    def rows(
        self, latents: Latents, conditions: Conditions, options: DrawOptions = DEFAULT
    ) -> GraphInputs:
        """The inputs of the graph: latents ``(n, width)``, which are edited, and conditions."""
        return dict(zip(self.card.inputs, (options.edit(latents), conditions), strict=False))

    def rows_from_seeds(self, seeds: list[int], options: DrawOptions = DEFAULT) -> GraphInputs:
        """The inputs of the graph for the images of ``seeds``."""
        return self.rows(self.latents(seeds, options), self.conditions(seeds, options), options)

    def image_size(self, options: DrawOptions) -> tuple[int, int]:
        """Height and width of one image, enlarged."""
        image = self.card.image
        return options.scale * image.height, options.scale * image.width

    def caption(
        self, options: DrawOptions, seed: int | None, condition: Mapping[str, str]
    ) -> dict[str, str]:
        """The text chunks of a PNG file of one image, or of images without a common seed.

        ``condition`` is the ``condition_text`` of all images in the file.
        """
        named = {} if seed is None else {"seed": str(seed)}
        return {"model": self.label, **named, **condition, **options.parameters, **condition}

    def condition_text(self, condition: Conditions | None) -> dict[str, str]:
        """The parameter that requests a condition ``(k,)``; empty without one."""
        sampler = self.card.sampler
        if sampler is None or condition is None:
            return {}
        return {sampler.parameter: text_of(sampler, condition)}

    def choice(
        self,
        mixtures: Sequence[Mixture] = (),
        amounts: Amounts = NO_AMOUNTS,
        images: int = 1,
        place: str = "query",
    ) -> Choice:
        """The choice of these classes, one for each of up to ``images`` images, or attributes.

        Raises ParameterError if the version does not have them; ``place`` is where the request
        named them.
        """
        choice: Choice = choices.NO_CHOICE
        if mixtures:
            choice = chosen_conditions.classes(self.card, mixtures, images, place=place)
        if amounts:
            choice = chosen_conditions.attributes(self.card, amounts, place)
        return choice

    def edit(self, strengths: Mapping[str, float], place: str = "query") -> Edit:
        """The edit that gives images attributes with these strengths.

        Raises ParameterError if the version has no such attribute; ``place`` is where the request
        named it.
        """
        if not strengths:
            return NO_EDIT
        vectors = {name: found.vector for name, found in self.card.editable.items()}
        unknown = [name for name in strengths if name not in vectors]
        if unknown:
            nothing = f"left out: {self.key} has no attributes to edit"
            allowed = f"one of {', '.join(sorted(vectors))}" if vectors else nothing
            raise parameter_error(*(invalid("edit", place, name, allowed) for name in unknown))
        return Edit.from_directions(vectors, strengths)


def _merged(points: Points, of_seeds: Latents, others: Latents) -> Latents:
    """The rows of all ``points``, in order, from those of the seeds and those of the others."""
    is_seed = np.array([isinstance(point, int) for point in points])
    rows = np.empty((len(points), others.shape[1]), np.float32)
    rows[is_seed], rows[~is_seed] = of_seeds, others
    return rows


def _unconditional(images: int) -> Conditions:
    return np.empty((images, 0), np.float32)
