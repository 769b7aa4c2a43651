"""Admission: decides whether a request may generate images, before any work is done.

A queue that had no room for one request is remembered: while it is full, further requests to it are
refused before they are read, which costs a fraction of the work. So are the requests of a client
over its rate; other requests pay for being read, and for their images once their number is known.
"""

import math
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Scope

from app.auth.rate_limit import RateLimiter
from app.batching.jobs import Claim
from app.errors import AppError, OverloadedError, QueueShareError, RateLimitError
from app.middleware import cost
from app.middleware.endpoint_traits import QueueInQuery, TraitsByPath
from app.middleware.request_context import RequestContext, context_of
from app.registry.queued import Queued

ErrorResponse = Callable[[str, AppError], Response]
"""Makes the response for an error from the request's path and the error."""

_QUEUE = re.compile(rb"(?:^|&)((?:model|version)=[^&]*)")
# Full queues that are remembered at once: a bound on memory.
_MOST_QUEUES = 100


@dataclass
class _FullQueue:
    """A queue that had no room for a request."""

    queue: Queued
    images: int
    error: OverloadedError
    responses: dict[str, Response] = field(default_factory=dict)
    """The refusal for each path; it is the same for every client."""


class Admission:
    """Applies the rate limit, the bound of the queue, the client's share of it, and shutdown."""

    def __init__(self, rates: RateLimiter, queues: Mapping[str, QueueInQuery]) -> None:
        """``queues``: by the paths whose query names a queue."""
        self._rates, self._queues = rates, queues
        self.has_rate = bool(rates.rate)
        """Whether there is a rate limit."""
        self._full: dict[Hashable, _FullQueue] = {}

    def admit(self, context: RequestContext, queue: Queued, images: int, price: float) -> Claim:
        """The claim under which ``queue`` may take ``images`` of this request.

        ``price`` is their cost, see ``cost.images``. Raises the errors of ``charge``, and
        QueueShareError, OverloadedError or ShuttingDownError.
        """
        if self.has_rate:
            self._check_rate(context)
        try:
            queue.check_room(context.client, images, price)
        except QueueShareError:
            raise
        except OverloadedError as error:
            queue.note_refused(context.client)
            self._remember(context.scope, _FullQueue(queue, images, error))
            raise
        return self.charge(context, price)

    def charge(self, context: RequestContext, price: float) -> Claim:
        """The claim of a request that may not need the queue; ``price`` counts towards the rate.

        Raises RateLimitError, or ParameterError if the request's timeout is not allowed.
        """
        claim = context.claim()
        if self.has_rate:
            self._check_rate(context)
            prepaid = min(price, context.prepaid)
            context.prepaid -= prepaid
            self._rates.charge(context.client, price - prepaid)
        return claim

    def prepay(self, context: RequestContext) -> None:
        """Charge the cost of a refused request before the request is read.

        It counts towards the price of a request that is served. Raises RateLimitError.
        """
        self._check_rate(context)
        context.prepaid = cost.REFUSED
        self._rates.charge(context.client, cost.REFUSED)

    def settle_refused(self, context: RequestContext) -> None:
        """Charge a request that was refused, unless it has paid already."""
        if not context.rate_checked:
            self._rates.charge(context.client, cost.REFUSED)

    def _check_rate(self, context: RequestContext) -> None:
        if not context.rate_checked and (wait := self._rates.wait(context.client)):
            limit = f"the rate limit is {self._rates.rate:g} images per second on average"
            raise RateLimitError(limit, math.ceil(wait))
        context.rate_checked = True

    def _remember(self, scope: Scope, full: _FullQueue) -> None:
        key = self._key(scope)
        if key is not None and len(self._full) < _MOST_QUEUES:
            self._full[key] = full

    def _key(self, scope: Scope) -> Hashable | None:
        """The queue that the query of a request names; None if it does not say which."""
        queue = self._queues.get(scope["path"])
        if queue is None or (queue.or_in_body and context_of(scope).has_body):
            return None
        return queue.of, tuple(_QUEUE.findall(scope["query_string"]))

    def forget_queues(self) -> None:
        """Forget which queues were full, as the same query may mean another version now."""
        self._full.clear()

    def early_refusal(self, scope: Scope, respond: ErrorResponse) -> Response | None:
        """The refusal of a request whose queue still has no room; None if it must be read."""
        key = self._key(scope) if self._full else None
        if key is None or (full := self._full.get(key)) is None:
            return None
        context, path = context_of(scope), scope["path"]
        if not full.queue.is_full(full.images):
            del self._full[key]
            return None
        full.queue.note_refused(context.client)
        context.stats.refusal_reason = full.error.refusal_reason
        if path not in full.responses:
            full.responses[path] = respond(path, full.error)
        return full.responses[path]


class LoadShedding:
    """Refuses requests before they are read, see ``Admission.early_refusal``."""

    def __init__(self, admission: Admission, traits: TraitsByPath, respond: ErrorResponse) -> None:
        self._admission, self._traits, self._respond = admission, traits, respond

    def refusal(self, scope: Scope, context: RequestContext) -> Response | None:
        """The refusal of a request; None if a route may read it, for which it has then paid."""
        refused = self._admission.early_refusal(scope, self._respond)
        if refused or not self._admission.has_rate:
            return refused
        return self._prepaid(scope, context)

    def settle(self, scope: Scope, context: RequestContext) -> None:
        """Charge a request that a route has refused, unless it has paid already."""
        if not self._admission.has_rate or not _is_refusal(context.stats.status):
            return
        if self._traits.of(scope["path"]).pays == "if refused":
            self._admission.settle_refused(context)

    def _prepaid(self, scope: Scope, context: RequestContext) -> Response | None:
        """None once the request has paid for being read; the refusal of one over its rate."""
        path = scope["path"]
        if self._traits.of(path).pays != "first":
            return None
        try:
            self._admission.prepay(context)
        except RateLimitError as error:
            context.stats.refusal_reason = error.refusal_reason
            return self._respond(path, error)
        return None


def _is_refusal(status: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.TOO_MANY_REQUESTS
