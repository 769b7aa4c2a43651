"""One pass over every request and its response."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import problems
from app.auth.addresses import TrustedProxies
from app.auth.api_keys import Authenticator
from app.auth.rate_limit import RateLimiter
from app.middleware.access_log import AccessLog
from app.middleware.body_limit import LONGEST, BodyLimit
from app.middleware.compression import Compression
from app.middleware.cors import Cors
from app.middleware.encoders import Encoders
from app.middleware.endpoint_traits import TraitsByPath
from app.middleware.load_shedding import Admission, LoadShedding
from app.middleware.pipeline import Parts, Pipeline
from app.middleware.proxy_headers import ProxyHeaders
from app.middleware.request_context import RequestContext, context_of
from app.observability.metrics import Metrics
from app.observability.request_stats import RequestStats
from app.settings import Settings


class Recorder(AccessLog):
    """Keeps the statistics that are recorded."""

    def __init__(self) -> None:
        super().__init__(Metrics(), None, write_lines=False)
        self.recorded: list[RequestStats] = []

    def record(self, scope: Scope, stats: RequestStats) -> None:
        super().record(scope, stats)
        self.recorded.append(stats)


class Cycle:
    """Stands for uvicorn's request cycle, which has the scope and receives messages."""

    scope: Scope | None = None

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}


def answered(
    app: ASGIApp, recorder: Recorder, *headers: tuple[bytes, bytes], cycle: Cycle | None = None
) -> list[Message]:
    """What a client receives of ``app``, which is behind the pipeline."""
    cycle = cycle or Cycle()
    settings, sent = Settings(), []
    authenticator = Authenticator(settings)

    def new_context(scope: Scope, receive: Receive) -> RequestContext:
        return RequestContext.open(authenticator, 9.0, scope, receive)

    admission = Admission(RateLimiter(0), {})
    parts = Parts(
        new_context=new_context,
        proxy_headers=ProxyHeaders(TrustedProxies("")),
        cors=Cors(["*"]),
        load_shedding=LoadShedding(admission, TraitsByPath({}), problems.error_response),
        body_limit=BodyLimit(lambda _: LONGEST),
        compression=Compression(Encoders(1, 2**20)),
        access_log=recorder,
    )

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b""}
    scope |= {"headers": list(headers), "client": ("192.0.2.1", 5)}
    cycle.scope = scope
    asyncio.run(Pipeline(app, parts)(scope, cycle.receive, send))
    return sent


def test_a_response_gets_the_headers_of_all_parts_and_is_recorded_once() -> None:
    recorder = Recorder()
    response = PlainTextResponse("text", 202, {"X-Own": "1"})
    start, body = answered(response, recorder, (b"x-request-id", b"mine"))
    headers = dict(start["headers"])
    assert headers[b"x-own"] == b"1"
    assert headers[b"access-control-allow-origin"] == b"*"
    assert headers[b"x-request-id"] == b"mine"
    assert body["body"] == b"text"
    (stats,) = recorder.recorded
    assert (stats.request_id, stats.status) == ("mine", 202)
    assert stats.seconds > 0


def test_a_response_that_is_sent_twice_does_not_collect_headers() -> None:
    response = Response(b"{}", media_type="application/json")
    first, second = (answered(response, Recorder())[0]["headers"] for _ in range(2))
    assert len(first) == len(second)


def test_a_response_with_a_key_is_private_unless_it_says_more() -> None:
    async def keyed(scope: Scope, receive: Receive, send: Send) -> None:
        context_of(scope).needs_key = True
        await Response(headers=own)(scope, receive, send)

    own: dict[str, str] = {}
    assert dict(answered(keyed, Recorder())[0]["headers"])[b"cache-control"] == b"private"
    own = {"Cache-Control": "private, immutable"}
    headers = answered(keyed, Recorder())[0]["headers"]
    assert [value for name, value in headers if name == b"cache-control"] == [b"private, immutable"]


def test_a_request_that_fails_before_its_response_is_recorded_as_given_up() -> None:
    async def fails(_: Scope, __: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-type", b"application/json")]})
        raise ZeroDivisionError

    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        answered(fails, recorder)
    assert [stats.status for stats in recorder.recorded] == [499]


def test_nothing_of_a_request_waits_for_the_garbage_collector() -> None:
    cycle = Cycle()
    freed = weakref.ref(cycle)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        context_of(scope)
        await receive()
        await PlainTextResponse("text")(scope, receive, send)

    gc.disable()
    try:
        answered(app, Recorder(), cycle=cycle)
        del cycle
        assert freed() is None
    finally:
        gc.enable()
