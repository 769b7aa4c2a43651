"""The preamble that all drawing routes share: find the version, check the limits, draw.

A route parses its parameters, makes a ``Drawing`` of them, draws rows of latents, and encodes the
result with ``app.api.responses``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.api.dependencies import Services, services_of
from app.api.drawn import ENCODING, Drawn, Generation
from app.api.parameters import Version
from app.errors import (
    DeadlineError,
    EngineError,
    NotAcceptableError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    ParameterError,
    QueueShareError,
    RateLimitError,
    ShuttingDownError,
    invalid,
    parameter_error,
)
from app.imaging.sheets import MAX_PIXELS, Sheet
from app.latent.conditions import Conditions
from app.latent.sampling import Latents, Points
from app.middleware import cost
from app.middleware.request_context import RequestContext, context_of
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.runtime import arrays
from app.runtime.arrays import GraphInputs

DRAWING_ERRORS = (
    NotFoundError,
    NotAcceptableError,
    ParameterError,
    QueueShareError,
    RateLimitError,
    NotReadyError,
    OverloadedError,
    ShuttingDownError,
    EngineError,
    DeadlineError,
)
"""The errors that all drawing routes may raise."""


@dataclass(slots=True)
class Drawing:
    """A request to one version, whose limits have been checked."""

    context: RequestContext
    services: Services
    version: ModelVersion
    options: DrawOptions
    sheet_pixels: int
    """The pixels of the sheet with all images of the request."""

    def latents(self, points: Points) -> Latents:
        """The latents of ``points``: ``(n, width)``."""
        return self.version.latents(points, self.options)

    def conditions(self, points: Points) -> Conditions:
        """The classes or attributes of ``points``: ``(n, k)``."""
        return self.version.conditions(points, self.options)

    def rows(self, latents: Latents, conditions: Conditions) -> GraphInputs:
        """The inputs of the graph for latents ``(n, width)`` and conditions ``(n, k)``."""
        return self.version.rows(latents, conditions, self.options)

    async def draw(self, rows: GraphInputs, *, on_sheet: bool) -> Drawn:
        """The images of ``rows``, to be encoded on one sheet, or each by itself.

        Raises OverloadedError if the encoders are busy, and the errors of ``Admission.admit`` and
        of ``Queued.compute``.
        """
        services, stats, count = self.services, self.context.stats, arrays.count(rows)
        pixels = self.sheet_pixels if on_sheet else self._each_pixels(count)
        services.encoders.check(ENCODING * pixels * self.version.card.image.channels)
        price = cost.images(self.version, count, pixels)
        claim = services.admission.admit(self.context, self.version, count, price)
        generation = Generation(self.version, self.options, stats, services.encoders)
        return await generation.images(rows, claim, price)

    def _each_pixels(self, count: int) -> int:
        """The pixels of ``count`` images that are encoded each by itself."""
        height, width = self.version.image_size(self.options)
        return count * height * width


@dataclass(slots=True)
class RouteContext:
    """What a drawing route needs besides its parameters."""

    request: RequestContext
    services: Services
    accept: str | None
    """The header ``Accept``; None without one."""

    def find(self, name: str | None, version: Version | None, place: str = "query") -> ModelVersion:
        """The requested version, leased until the request ends.

        Raises NotFoundError or NotReadyError.
        """
        number = None if version == "latest" else version
        found = self.services.registry.find(name, number, place)
        self.request.lease(found)
        return found

    def check_count(self, count: int, place: str = "query", /, **parameters: object) -> None:
        """Raise ParameterError that names ``parameters`` if ``count`` images are too many."""
        most = self.services.settings.max_images
        if count > most:
            requested, allowed = f"{count} images", f"at most {most} images in all"
            raise _too_much(requested, allowed, place, parameters)

    def drawing(
        self,
        version: ModelVersion,
        options: DrawOptions,
        sheet: Sheet,
        count: int,
        place: str = "query",
        /,
        **parameters: object,
    ) -> Drawing:
        """The drawing of ``count`` images.

        Raises ParameterError that names ``parameters`` if a sheet of them has more than MAX_PIXELS
        pixels. This bounds every format: the images in a ZIP have no more pixels than a sheet.
        """
        height, width = sheet.size(count, *version.image_size(options))
        if height * width > MAX_PIXELS:
            requested, allowed = f"{width} × {height} pixels", f"at most {MAX_PIXELS} pixels"
            raise _too_much(requested, allowed, place, parameters)
        return Drawing(self.request, self.services, version, options, height * width)


def route_context(request: Request) -> RouteContext:
    """The context of ``request``."""
    context = context_of(request.scope)
    return RouteContext(context, services_of(request), context.header(b"accept"))


async def _route_context(request: Request) -> RouteContext:
    return route_context(request)


Route = Annotated[RouteContext, Depends(_route_context)]


def require_absent(name: str, others: Mapping[str, object], place: str = "query") -> None:
    """Raise ParameterError that names ``others`` that are not None, as ``name`` replaces them."""
    allowed = f"left out where {name} is given"
    given = {other: value for other, value in others.items() if value is not None}
    if given:
        raise parameter_error(*(invalid(one, place, given[one], allowed) for one in given))


def _too_much(
    requested: str, allowed: str, place: str, parameters: Mapping[str, object]
) -> ParameterError:
    errors = [invalid(name, place, value, allowed) for name, value in parameters.items()]
    named = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return ParameterError(f"{named} asks for {requested} but must ask for {allowed}", errors)
