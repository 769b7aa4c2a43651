"""What the pipeline must know about an endpoint before its route reads a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.middleware.body_limit import LONGEST, longest_with


@dataclass(frozen=True)
class QueueInQuery:
    """The query names the queue that a request needs: that of ``model`` and ``version``."""

    of: Literal["generator", "encoder"] = "generator"
    """Each has a queue of its own."""
    or_in_body: bool = True
    """Whether a body may name the model, so that the query of a request with one is not enough."""


@dataclass(frozen=True, kw_only=True)
class EndpointTraits:
    """How requests for an endpoint are treated."""

    longest_body: int | None = LONGEST
    """Bytes, besides latents; None if the route bounds its body, with ``body_limit.read``."""
    latents: int | None = 0
    """The most latents in a body; None for as many as a request may have images."""
    pays: Literal["first", "if refused"] | None = None
    """When a request that is refused pays for that under a rate limit.

    ``first``: before it is read; if it is served, that counts towards its price. ``if refused``:
    afterwards, for requests that may cost nothing, such as those for cached images. None: never.
    """
    queue: QueueInQuery | None = None
    """Set if a full queue refuses requests before they are read."""

    def body_bound(self, max_images: int, latent_width: int) -> int | None:
        """The longest body in bytes, with latents of this width; None if the route bounds it.

        ``max_images`` is the most images of a request.
        """
        if self.longest_body is None:
            return None
        rows = max_images if self.latents is None else self.latents
        return longest_with(rows * latent_width, self.longest_body)


PLAIN = EndpointTraits()
"""Of endpoints that generate no images, and of paths without an endpoint."""


class TraitsByPath:
    """Finds the traits of an endpoint by the path of a request."""

    def __init__(self, by_template: Mapping[str, EndpointTraits]) -> None:
        """``by_template``: by the paths of routes, which may have parameters, ``/images/{seed}``.

        Raises ValueError for a queue of a path with parameters, as they may name the model.
        """
        self._literal = {path: one for path, one in by_template.items() if "{" not in path}
        self.queues = {path: one.queue for path, one in by_template.items() if one.queue}
        """Of paths whose query names a queue."""
        if wrong := self.queues.keys() - self._literal:
            named = ", ".join(sorted(wrong))
            raise ValueError(f"{named}: only paths without parameters may have a queue")
        templates = {path: one for path, one in by_template.items() if "{" in path}
        special = [_ends(path) for path, one in templates.items() if one != PLAIN]
        distinct = {
            (*_ends(path), one)
            for path, one in templates.items()
            if any(path.startswith(beginning) and path.endswith(end) for beginning, end in special)
        }
        self._templates = sorted(distinct, key=lambda one: (-len(one[0] + one[1]), one[2] == PLAIN))
        """The most specific first; without plain ones, unless they begin and end like another."""

    def of(self, path: str) -> EndpointTraits:
        """The traits of the endpoint at ``path``.

        A path with parameters is found by its beginning and its end: wrong paths pay, too.
        """
        if found := self._literal.get(path):
            return found
        for beginning, end, traits in self._templates:
            if path.startswith(beginning) and path.endswith(end, len(beginning)):
                return traits
        return PLAIN


def _ends(template: str) -> tuple[str, str]:
    """What comes before and after all parameters of a path."""
    return template.partition("{")[0], template.rpartition("}")[2]
