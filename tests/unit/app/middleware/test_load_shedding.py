from typing import Any, cast

import pytest
from starlette.responses import Response
from starlette.types import Message

from app.api.all_endpoints import ENDPOINTS
from app.api.endpoints import traits_by_path
from app.auth.api_keys import Authenticator
from app.auth.rate_limit import BURST, RateLimiter
from app.errors import AppError, OverloadedError, QueueShareError, RateLimitError
from app.middleware.load_shedding import Admission
from app.middleware.request_context import RequestContext
from app.observability.request_stats import RequestStats
from app.registry.model_version import ModelVersion
from app.settings import Settings

QUEUES = traits_by_path(ENDPOINTS).queues


class Queue:
    """Stands for a model version whose queue has ``room`` for so many images."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.share_exceeded = False
        self.refused_clients: list[object] = []

    def check_room(self, _client: object, images: int, _cost: float) -> None:
        if self.share_exceeded:
            raise QueueShareError("other clients are waiting too", 1)
        if self.is_full(images):
            raise OverloadedError("the server is busy", 7)

    def is_full(self, images: int) -> bool:
        return images > self.room

    def note_refused(self, client: object) -> None:
        self.refused_clients.append(client)


async def receive() -> Message:
    raise AssertionError


def context(path: str, query: str = "", host: str = "192.0.2.1") -> RequestContext:
    method = "GET" if path in {"/interpolate", "/grid", "/variations"} else "POST"
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path}
    scope |= {"query_string": query.encode(), "http_version": "1.1"}
    scope |= {"headers": [], "client": (host, 1), "state": {}}
    authenticator, stats = Authenticator(Settings()), RequestStats("id")
    created = RequestContext(scope, receive, {}, authenticator, 30.0, stats)
    scope["state"]["context"] = created
    return created


def respond(_path: str, error: AppError) -> Response:
    return Response(status_code=error.status, headers=error.headers)


def early(admission: Admission, request: RequestContext) -> Response | None:
    return admission.early_refusal(request.scope, respond)


def admit(admission: Admission, request: RequestContext, queue: Queue, images: int) -> None:
    admission.admit(request, cast("ModelVersion", queue), images, images)


@pytest.fixture
def admission() -> Admission:
    return Admission(RateLimiter(0), QUEUES)


@pytest.fixture
def queue() -> Queue:
    return Queue(room=2)


def test_a_request_with_room_is_admitted_under_its_claim(admission: Admission) -> None:
    request = context("/generate")
    claim = admission.admit(request, cast("ModelVersion", Queue(room=2)), 2, 2)
    assert claim.client == "address:192.0.2.1"
    assert claim.deadline == request.stats.began + 30


def test_a_client_over_its_rate_is_refused_but_a_request_that_has_begun_is_not() -> None:
    admission = Admission(RateLimiter(1, lambda: 1000.0), QUEUES)
    first, second = context("/generate"), context("/generate")
    admission.charge(first, 40)
    admission.charge(first, 10)
    with pytest.raises(RateLimitError) as refused:
        admission.charge(second, 1)
    assert refused.value.headers == {"Retry-After": str(40 + 10 - BURST)}
    admission.charge(context("/generate", host="192.0.2.2"), 1)


def test_requests_to_a_full_queue_are_refused_early(admission: Admission, queue: Queue) -> None:
    assert early(admission, context("/generate", "n=3")) is None
    with pytest.raises(OverloadedError):
        admit(admission, context("/generate", "n=3"), queue, 3)
    other = context("/grid", host="192.0.2.2")
    for request in (context("/generate", "n=1"), other):
        response = early(admission, request)
        assert response is not None
        assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
        assert request.stats.refusal_reason == "full"
    assert queue.refused_clients == ["address:192.0.2.1"] * 2 + ["address:192.0.2.2"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/generate", "model=faces"),
        ("/generate", "version=1"),
        ("/images/faces/1/1.png", ""),
        ("/arithmetic", ""),
        ("/v1/images/generations", ""),
    ],
)
def test_requests_to_other_queues_or_paths_are_not_refused_early(
    admission: Admission, queue: Queue, path: str, query: str
) -> None:
    with pytest.raises(OverloadedError):
        admit(admission, context("/generate"), queue, 3)
    assert early(admission, context(path, query)) is None


def test_a_queue_with_room_again_is_forgotten(admission: Admission, queue: Queue) -> None:
    with pytest.raises(OverloadedError):
        admit(admission, context("/generate"), queue, 3)
    queue.room = 3
    assert early(admission, context("/generate")) is None
    queue.room = 0
    assert early(admission, context("/generate")) is None


def test_all_queues_are_forgotten_when_the_models_in_service_change(
    admission: Admission, queue: Queue
) -> None:
    for query in ("", "model=faces"):
        with pytest.raises(OverloadedError):
            admit(admission, context("/generate", query), queue, 3)
    admission.forget_queues()
    assert early(admission, context("/generate")) is None
    assert early(admission, context("/generate", "model=faces")) is None


def test_an_exceeded_share_and_other_paths_are_not_remembered(
    admission: Admission, queue: Queue
) -> None:
    with pytest.raises(OverloadedError):
        admit(admission, context("/arithmetic"), queue, 3)
    assert early(admission, context("/generate")) is None
    queue.share_exceeded = True
    with pytest.raises(QueueShareError):
        admit(admission, context("/generate"), queue, 1)
    assert early(admission, context("/generate")) is None


def test_the_number_of_remembered_queues_is_bounded(admission: Admission, queue: Queue) -> None:
    requests = [context("/generate", f"version={k}") for k in range(110)]
    for request in requests:
        with pytest.raises(OverloadedError):
            admit(admission, request, queue, 3)
    refused = [early(admission, request) is not None for request in requests]
    assert refused == [True] * 100 + [False] * 10


def test_an_encoder_has_a_queue_of_its_own(admission: Admission, queue: Queue) -> None:
    with pytest.raises(OverloadedError):
        admit(admission, context("/encode"), queue, 3)
    assert early(admission, context("/encode")) is not None
    assert early(admission, context("/generate")) is None


@pytest.mark.parametrize("path", ["/generate", "/interpolate", "/grid", "/variations"])
@pytest.mark.parametrize("header", [(b"content-length", b"9"), (b"transfer-encoding", b"chunked")])
def test_a_body_may_name_the_model(
    admission: Admission, queue: Queue, path: str, header: tuple[bytes, bytes]
) -> None:
    with pytest.raises(OverloadedError):
        admit(admission, context("/generate"), queue, 3)
    assert early(admission, context(path)) is not None
    request = context(path)
    request.scope["method"], request.headers = "POST", dict([header])
    assert early(admission, request) is None
