"""What FastAPI's routing receives of HEAD, and of requests below a proxy's prefix."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from app.api.fastapi_scope import FastAPIScope


class Routing:
    """Stands for FastAPI's routing; sends three pieces."""

    def __init__(self) -> None:
        self.received: list[Scope] = []

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        self.received.append(scope)
        scope["route"] = "its route"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (True, True, False):
            await send({"type": "http.response.body", "body": b"piece", "more_body": more})


def answered(
    method: str, path: str, root_path: str = ""
) -> tuple[Scope, list[Scope], list[Message]]:
    """The scope of a request, what the routing received, and what was sent."""
    routing, sent = Routing(), []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: Scope = {"type": "http", "method": method, "path": path, "root_path": root_path}
    asyncio.run(FastAPIScope(routing)(scope, receive, send))
    return scope, routing.received, sent


def test_get_is_passed_on_as_it_is() -> None:
    scope, (received,), sent = answered("GET", "/grid")
    assert received is scope
    assert len(sent) == 4


def test_head_becomes_get_and_ends_at_the_first_piece() -> None:
    scope, (received,), sent = answered("HEAD", "/grid")
    assert (scope["method"], received["method"]) == ("HEAD", "GET")
    assert scope["route"] == "its route"
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert not sent[1].get("more_body")


def test_the_path_has_the_prefix_as_asgi_says() -> None:
    scope, (received,), _ = answered("GET", "/grid", "/a")
    assert (scope["path"], received["path"]) == ("/grid", "/a/grid")
    assert scope["route"] == "its route"


def test_the_prefix_alone_moves_to_where_relative_links_work() -> None:
    _, received, (start, _) = answered("GET", "", "/a/b")
    assert not received
    assert start["status"] == 308
    assert dict(start["headers"])[b"location"] == b"/a/b/"
