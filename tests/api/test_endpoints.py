"""An endpoint is declared in one place: its bound, price, queue, keys and description follow."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import count
from pkgutil import walk_packages
from typing import Any, ClassVar

import httpx2 as httpx
import pytest
from fastapi import APIRouter, Request, Response
from fastapi.testclient import TestClient
from pydantic import Field

from app import api
from app.api import direct_route, merging, openapi, points, responses
from app.api.all_endpoints import ENDPOINTS
from app.api.bodies import EditBody, LatentRows
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import DRAWING_ERRORS, RouteContext
from app.api.endpoints import Access, Endpoints, traits_by_path
from app.api.parameters import ClassesQuery, Count, EditQuery, ModelQuery
from app.api.responses import Shown
from app.errors import BodyTooLargeError
from app.imaging.sheets import Sheet
from app.latent.sampling import consecutive
from app.main import create_app
from app.middleware.body_limit import LONGEST
from app.middleware.endpoint_traits import EndpointTraits, QueueInQuery, TraitsByPath
from app.registry.draw_options import DrawOptions
from app.settings import Settings
from tests.painting import WIDTH, publish

MOST = 16
OPPOSITE = Endpoints(
    APIRouter(tags=["images"], route_class=DirectKeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=EndpointTraits(latents=MOST, pays="first", queue=QueueInQuery()),
    is_direct=True,
)


class OppositeQuery(ClassesQuery, EditQuery, ModelQuery):
    """Query of ``POST /opposite``."""

    n: Count = Field(1, description="number of seeds, from 0 on")


class OppositeBody(EditBody, ModelQuery):
    """The parameters of ``POST /opposite`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"n": 3}

    n: Count = Field(1, description="number of seeds, from 0 on")
    latents: LatentRows | None = Field(None, description="one latent per image")


@OPPOSITE.router.post(
    "/opposite",
    responses={
        **openapi.images(["image/png"], "The images on one sheet"),
        **openapi.problems(BodyTooLargeError),
    },
    openapi_extra=direct_route.description(OppositeQuery, OppositeBody),
)
async def opposite(request: Request) -> Response:
    """Generate the images of latents with the opposite signs."""
    return await merging.answer(request, OppositeQuery, OppositeBody, _images)


async def _images(route: RouteContext, given: OppositeBody) -> Response:
    shown = given.latents or consecutive(0, given.n)
    route.check_count(len(shown), n=given.n)
    version, sheet = route.find(given.model, given.version), Sheet(len(shown))
    points.check_width(version, points.named("latents", shown))
    drawing = route.drawing(version, DrawOptions(), sheet, len(shown))
    rows = drawing.rows(-drawing.latents(shown), drawing.conditions(shown))
    drawn = await drawing.draw(rows, on_sheet=True)
    return await responses.on_sheet("png", sheet, drawn, Shown(None))


KEYS = [f"the-key-of-client-{number}" for number in range(9)]


class Client:
    """Sends requests of clients that are identified by their keys."""

    def __init__(self, http: TestClient) -> None:
        self.http, self._numbers = http, count()

    def key(self) -> dict[str, str]:
        """The header of a client that has sent nothing so far."""
        return {"X-API-Key": KEYS[next(self._numbers)]}

    def post(self, query: str = "", body: object = None, **headers: str) -> httpx.Response:
        content = body if isinstance(body, str) else json.dumps(body) if body else ""
        sent = {"Content-Type": "application/json", **(headers or self.key())}
        return self.http.post(f"/opposite{query}", content=content, headers=sent)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that has one endpoint more, no room for MOST images, and a rate of one image."""
    models = tmp_path_factory.mktemp("models")
    publish("grey", models)
    settings = Settings(models=models, provider="cpu", api_keys=tuple(KEYS), rate=0.05)
    settings = settings.model_copy(update={"max_queue": MOST - 1})
    app = create_app(settings, endpoints=(*ENDPOINTS, OPPOSITE))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Client(http)


def test_it_answers_clients_with_a_key(client: Client) -> None:
    latents = [[0.5] * WIDTH, [-0.25] * WIDTH]
    answer = client.post(body={"latents": latents})
    opposite = [[-number for number in row] for row in latents]
    same = client.http.post(
        "/generate?format=png&columns=2", json={"latents": opposite}, headers=client.key()
    )
    assert answer.is_success
    assert answer.content == same.content
    assert client.http.post("/opposite").status_code == 401


def test_its_body_is_bounded_by_its_latents(client: Client) -> None:
    most = LONGEST + MOST * WIDTH * 32
    body = json.dumps({"latents": [[0.5] * WIDTH]})
    assert client.post(body=body.ljust(most)).is_success
    refused = client.post(body=body.ljust(most + 1))
    assert refused.status_code == 413
    assert str(most) in refused.text


def test_a_request_that_is_refused_explains_why_and_pays(client: Client) -> None:
    headers = client.key()
    refused = client.post(body={"n": 0}, **headers)
    assert refused.status_code == 422
    assert refused.headers["Content-Type"] == "application/problem+json"
    (error,) = refused.json()["errors"]
    assert (error["parameter"], error["in"], error["value"]) == ("n", "body", 0)
    assert error["allowed"] == "an integer from 1 to 256"
    assert client.post(**headers).status_code == 429


def test_a_full_queue_refuses_requests_before_they_are_read(client: Client) -> None:
    assert client.post(f"?n={MOST}").status_code == 503
    assert client.post("?colour=red").status_code == 503
    assert client.post("?colour=red", {"n": 1}).status_code == 422


def test_it_is_described(client: Client) -> None:
    document = client.http.get("/openapi.json").json()
    described = document["paths"]["/opposite"]["post"]
    assert described["summary"] == "Generate the images of latents with the opposite signs"
    names = {"n", "model", "version", "edit", "class", "attributes", "X-Request-Timeout"}
    assert {one["name"] for one in described["parameters"]} == names
    assert described["responses"].keys() >= {"200", "401", "413", "415", "422", "429", "503"}
    assert described["security"]
    content = described["requestBody"]["content"]["application/json"]
    assert content["example"] == OppositeBody.example
    name = content["schema"]["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][name]["properties"].keys() == {
        *names - {"X-Request-Timeout"},
        "latents",
    }
    assert "x-schemas" not in described


def test_every_endpoint_that_generates_images_has_a_price_before_it_is_read() -> None:
    traits = traits_by_path(ENDPOINTS)
    paid = {path for one in ENDPOINTS for path in one.paths if traits.of(path).pays == "first"}
    infer = {f"/v2/models/{{model}}{version}/infer" for version in ("", "/versions/{version}")}
    named = {"generate", "interpolate", "grid", "variations", "arithmetic", "encode"}
    others = {"/v1/images/generations", "/web/latent.png", "/web/morph"}
    assert paid == infer | {f"/{name}" for name in named} | others
    assert traits.of("/v2/models/digits/versions/1/infer").longest_body is None
    assert traits.of("/images/digits/1/42.png").pays == "if refused"


def test_two_routers_with_one_path_must_have_the_same_traits() -> None:
    def endpoints(traits: EndpointTraits) -> Endpoints:
        made = Endpoints(APIRouter(), traits=traits)
        made.router.get("/a")(lambda: None)
        return made

    one, same = (endpoints(EndpointTraits(pays="first")) for _ in range(2))
    assert traits_by_path([one, same]).of("/a").pays == "first"
    with pytest.raises(ValueError, match="/a: two routers have this path, with different traits"):
        traits_by_path([one, endpoints(EndpointTraits())])


def test_every_endpoint_is_in_the_list() -> None:
    modules = (import_module(one.name) for one in walk_packages(api.__path__, "app.api."))
    values = (value for module in modules for value in vars(module).values())
    found = {id(one) for one in values if isinstance(one, Endpoints)}
    assert found == set(map(id, ENDPOINTS))


def test_a_path_with_parameters_is_found_by_its_beginning_and_its_end() -> None:
    paid = EndpointTraits(pays="first")
    traits = TraitsByPath(
        {"/a/{x}": paid, "/a/{x}/b": EndpointTraits(), "/a/c": EndpointTraits(), "/{x}": paid}
    )
    found = {path: traits.of(path) == paid for path in ("/a/1", "/a/1/2", "/a/1/b", "/a/c", "/d")}
    assert found == {"/a/1": True, "/a/1/2": True, "/a/1/b": False, "/a/c": False, "/d": True}


def test_a_path_that_names_the_model_has_no_queue_in_its_query() -> None:
    with pytest.raises(ValueError, match=re.escape("/a/{model}: only paths without")):
        TraitsByPath({"/a/{model}": EndpointTraits(queue=QueueInQuery())})
