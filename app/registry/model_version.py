"""One model version in service: its card, its engine, its queue and its leases."""

import math
import time
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.artifact.card import CLASSES, Card, Variant
from app.artifact.version_key import VersionKey
from app.batching import jobs
from app.batching.batcher import Batcher
from app.batching.jobs import Claim, Computed
from app.errors import (
    DeadlineError,
    EngineError,
    OverloadedError,
    QueueShareError,
    ShuttingDownError,
    invalid,
    parameter_error,
)
from app.latent import choices, sampling
from app.latent.choices import NO_AMOUNTS, Amounts, Choice, Mixture
from app.latent.conditions import Conditions
from app.latent.edits import NO_EDIT, Edit
from app.latent.sampling import Latents
from app.registry import chosen_conditions
from app.registry.draw_options import DEFAULT, DrawOptions
from app.registry.queued_seeds import SEEDS
from app.registry.statistics import Statistics
from app.runtime.arrays import GraphInputs
from app.runtime.engine import Engine


class ModelVersion:
    """One model version in service.

    A request holds a lease while it uses the version. A version that is retired stops its batcher
    when the last lease is released, so that requests which found it still get their images.
    """

    def __init__(
        self, card: Card, engine: Engine, batcher: Batcher, statistics: Statistics | None = None
    ) -> None:
        """``batcher`` runs ``engine``."""
        self.card, self.engine, self.batcher = card, engine, batcher
        self.statistics = statistics or Statistics()
        self.key = VersionKey(card.name, str(card.version))
        self.variant: Variant = card.variant(engine.provider)
        """The model file that runs."""
        self._leases, self._retired = 0, False

    def acquire(self) -> None:
        """Take a lease."""
        self._leases += 1

    def release(self) -> None:
        """Give a lease back."""
        self._leases -= 1
        self._close_if_unused()

    def retire(self) -> None:
        """Stop the batcher once there is no lease. The registry calls this."""
        self._retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and not self._leases:
            self.batcher.close_soon()

    def latents(self, seeds: list[int], options: DrawOptions = DEFAULT) -> Latents:
        """The latents of ``seeds`` under this version's prior, truncated: ``(n, width)``."""
        latent = self.card.latent
        rows = sampling.from_seeds(seeds, latent.width, latent.prior)
        return sampling.truncate(rows, options.truncation)

    def conditions(
        self,
        seeds: list[int],
        options: DrawOptions = DEFAULT,
        images: Sequence[int] | None = None,
    ) -> Conditions:
        """The classes or attributes of ``seeds``: ``(n, k)``; k is 0 if it is unconditional.

        ``images`` has the number of each image in the request; by default they are 0 to n - 1.
        """
        sampler = self.card.sampler
        if sampler is None:
            return _unconditional(len(seeds))
        return options.choice(sampler.from_seeds(seeds), images)

    def typical_conditions(self, images: int, options: DrawOptions = DEFAULT) -> Conditions:
        """The most frequent class or attributes, for images without a seed: ``(images, k)``."""
        sampler = self.card.sampler
        if sampler is None:
            return _unconditional(images)
        return options.choice(sampler.typical().repeat(images, axis=0))

    def sum_of_conditions(self, plus: list[list[int]], minus: list[list[int]]) -> Conditions:
        """The class or attributes of a sum of the mean latents of groups of seeds: ``(1, k)``."""
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

    def rows_to_queue(self, seeds: list[int], options: DrawOptions = DEFAULT) -> GraphInputs:
        """The rows for ``draw`` of the images of ``seeds``.

        Where the options allow that, the queue gets seeds, see ``queued_seeds``.
        """
        if options.changes_latents:
            return self.rows_from_seeds(seeds, options)
        rows: dict[str, NDArray[np.generic]] = {SEEDS: np.array(seeds, np.uint32)}
        if self.card.sampler:
            rows[CLASSES] = self.conditions(seeds, options)
        return rows

    def image_size(self, options: DrawOptions) -> tuple[int, int]:
        """Height and width of one image, enlarged."""
        image = self.card.image
        return options.scale * image.height, options.scale * image.width

    def caption(
        self, options: DrawOptions, seed: int | None, condition: Conditions | None = None
    ) -> dict[str, str]:
        """The text chunks of a PNG file of one image, or of images without a common seed.

        ``condition`` is the class or the attributes of all images in the file: ``(k,)``.
        """
        named = {} if seed is None else {"seed": str(seed)}
        found = self.condition_text(condition)
        return {"model": str(self.key), **named, **found, **options.parameters, **found}

    def condition_text(self, condition: Conditions | None) -> dict[str, str]:
        """The parameter that requests a condition ``(k,)``; empty without one."""
        sampler = self.card.sampler
        if sampler is None or condition is None:
            return {}
        return {sampler.parameter: sampler.text(condition)}

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

    def check_room(self, client: Hashable, images: int, cost: float) -> None:
        """Raise the error that refuses ``images`` of this ``cost`` of ``client`` now, if any.

        Raises QueueShareError, OverloadedError or ShuttingDownError.
        """
        try:
            self.batcher.check(client, images, cost)
        except jobs.RefusedError as error:
            raise _refusal(error) from error

    def is_full(self, images: int) -> bool:
        """Whether the queue has no room for ``images``."""
        return self.batcher.full(images)

    def note_refused(self, client: Hashable) -> None:
        """Reserve a share of the queue for ``client``, whose request found it full."""
        self.batcher.note_refused(client)

    async def draw(self, rows: GraphInputs, claim: Claim, cost: float | None = None) -> Computed:
        """The images of ``rows``: uint8 ``(n, height, width, channels)``, and times.

        ``cost`` is as in ``Batcher.submit``.
        Raises QueueShareError, OverloadedError, ShuttingDownError, DeadlineError or EngineError;
        jobs.DisconnectedError if the client disconnected.
        """
        began = time.perf_counter()
        self.acquire()
        try:
            computed = await self.batcher.submit(rows, claim, cost)
        except jobs.RefusedError as error:
            raise _refusal(error) from error
        except jobs.ExpiredError as error:
            self.statistics.failed.add(time.perf_counter() - began)
            raise DeadlineError(f"not generated in time: {error}") from error
        except jobs.BatchError as error:
            self.statistics.failed.add(time.perf_counter() - began)
            detail = f"these images could not be computed; see fault {error.fault} in the log"
            raise EngineError(detail) from error
        finally:
            self.release()
        self.statistics.succeed(computed.queue, computed.compute)
        return computed


def _unconditional(images: int) -> Conditions:
    return np.empty((images, 0), np.float32)


def _refusal(error: jobs.RefusedError) -> QueueShareError | OverloadedError | ShuttingDownError:
    """The batcher's refusal as an error for the client."""
    if isinstance(error, jobs.ShareError):
        return QueueShareError(f"other clients are waiting too: {error}", _retry_after(error))
    if isinstance(error, jobs.QueueFullError):
        return OverloadedError(f"the server is busy: {error}", _retry_after(error))
    return ShuttingDownError("the server is shutting down")


def _retry_after(error: jobs.QueueFullError) -> int:
    return max(1, math.ceil(error.retry_after))
