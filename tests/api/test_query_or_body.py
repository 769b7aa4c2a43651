"""Every ``POST`` for images has its parameters in the query or in the JSON body."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.painting import SHAPES, publish

SHARED: dict[str, Any] = {"model": "grey", "version": 1, "scale": 2, "truncation": 0.5}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/generate", {"n": 3, "seed": 42, "columns": 2, "padding": 1}, {}),
    ("/generate", {"seeds": [3, 17, 99]}, {}),
    ("/interpolate", {"from": 1, "to": 2, "steps": 3, "loop": True, "easing": "ease-in"}, {}),
    ("/interpolate", {"seeds": [1, 2, 3], "method": "lerp", "format": "gif", "fps": 20}, {}),
    ("/grid", {"seed": 5, "rows": 2, "cols": 3}, {}),
    ("/grid", {"seeds": [3, 17, 99], "cols": 2}, {}),
    ("/grid", {"corners": [1, 2, 3, 4], "rows": 2, "cols": 2}, {}),
    ("/variations", {"seed": 42, "radius": 0.5, "rows": 2, "cols": 2}, {}),
    ("/arithmetic", {"neighbours": 9, "radius": 0.5}, {"plus": [[1, 2], [3]], "minus": [[4]]}),
]
"""Parameters of requests, and those that only a body may have."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    for name in SHAPES:
        publish(name, models)
    app = create_app(Settings(models=models, default_model="colour", provider="cpu"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def text(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as a query has them."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in parameters.items()
    }


def content(client: TestClient, path: str, query: Any, body: Any) -> bytes:
    """What the request gets; without a body if that is empty."""
    response = client.post(path, params=query, json=body or None, headers={"Accept": "image/*"})
    assert response.status_code == 200, response.text
    return response.content


@pytest.mark.parametrize(("path", "own", "body_alone"), CASES)
def test_each_parameter_may_be_in_the_query_or_in_the_body(
    client: TestClient, path: str, own: dict[str, Any], body_alone: dict[str, Any]
) -> None:
    given = SHARED | own
    expected = content(client, path, {}, given | body_alone)
    assert content(client, path, text(given), body_alone) == expected
    for name in given:
        rest = {other: value for other, value in given.items() if other != name} | body_alone
        assert content(client, path, text({name: given[name]}), rest) == expected
    if path not in {"/generate", "/arithmetic"}:
        assert client.get(path, params=text(given)).content == expected


@pytest.mark.parametrize(("path", "own", "body_alone"), CASES)
def test_a_parameter_in_both_is_refused(
    client: TestClient, path: str, own: dict[str, Any], body_alone: dict[str, Any]
) -> None:
    for name, value in (SHARED | own).items():
        one = {name: value}
        response = client.post(path, params=text(one), json=one | body_alone)
        assert response.status_code == 422
        (problem,) = response.json()["errors"]
        assert (problem["parameter"], problem["in"]) == (name, "query")
        assert problem["allowed"].endswith("in the query or in the body, not in both")


@pytest.mark.parametrize(
    ("path", "query", "body", "parameter", "place"),
    [
        ("/grid", "rows=257", {}, "rows", "query"),
        ("/grid", "", {"rows": 257}, "rows", "body"),
        ("/grid", "rows=1", {"corners": [1, 2, 3, 4]}, "rows", "query"),
        ("/grid", "corners=1,2,3,4", {"rows": 1}, "rows", "body"),
        ("/grid", "edit=hat:1", {"model": "grey"}, "edit", "query"),
        ("/grid", "model=grey", {"edit": {"hat": 1}}, "edit", "body"),
        ("/variations", "seed=1", {"point": 2}, "seed", "query"),
        ("/variations", "class=boot", {"model": "grey"}, "class", "query"),
        ("/variations", "model=grey", {"class": "boot"}, "class", "body"),
        ("/interpolate", "from=1", {"steps": 4}, "to", "body"),
        ("/interpolate", "from=1", None, "to", "query"),
        ("/arithmetic", "neighbours=8", {"plus": [[1]]}, "neighbours", "query"),
        ("/arithmetic", "neighbours=9", None, "body", "body"),
        ("/arithmetic", "neighbours=9", {}, "plus", "body"),
        ("/arithmetic", "plus=1", {"plus": [[1]]}, "plus", "query"),
        ("/interpolate", "points=1,2", {}, "points", "query"),
    ],
)
def test_an_error_names_the_place_of_the_parameter(
    client: TestClient, path: str, query: str, body: Any, parameter: str, place: str
) -> None:
    response = client.post(f"{path}?{query}", json=body)
    assert response.status_code == 422, response.text
    problem = response.json()["errors"][0]
    assert (problem["parameter"], problem["in"]) == (parameter, place)


@pytest.mark.parametrize("path", ["/generate", "/interpolate", "/grid", "/variations"])
def test_a_body_must_be_an_object(client: TestClient, path: str) -> None:
    for body in (b"null", b"[]", b"1"):
        response = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 422
        assert response.json()["errors"][0]["allowed"] == "a JSON object, sent as application/json"


@pytest.mark.parametrize("path", ["/generate", "/interpolate", "/grid", "/variations"])
def test_a_parameter_that_is_null_is_refused(client: TestClient, path: str) -> None:
    document = client.get("/openapi.json").json()
    (content,) = document["paths"][path]["post"]["requestBody"]["content"].values()
    fields = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    body = dict.fromkeys(fields["properties"])
    for name in body:
        detail = client.post(path, json={name: None}).json()["detail"]
        assert detail.startswith(f"{name} is null but must be ")
        assert detail.endswith(", or left out for its default")
    assert len(body) > 10


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        (
            "/arithmetic",
            '{"plus": null}',
            "plus is null but must be a list of 1 to 8 values, each ",
        ),
        ("/generate", '{"seeds": [1, null]}', "seeds.1 is null but must be an integer from 0"),
        (
            "/generate",
            '{"many": null}',
            "many is null but must be left out: it is not one of the parameters ",
        ),
        ("/generate", "null", "body is null but must be a JSON object, sent as application/json"),
        ("/v2/repository/index", "null", "body is null but must be a JSON object"),
        ("/v2/repository/index", '{"ready": null}', "ready is null but must be true or false, or"),
    ],
)
def test_null_is_named_in_errors(client: TestClient, path: str, body: str, detail: str) -> None:
    response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    problem = response.json()
    assert problem.get("detail", problem.get("error")).startswith(detail)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/generate", "n"),
        ("/web/morph", "fps"),
        ("/v1/images/generations", "prompt"),
        ("/v2/repository/index", "ready"),
        ("/v2/models/grey/infer", "id"),
    ],
)
def test_a_body_has_every_name_once(client: TestClient, path: str, name: str) -> None:
    body = f'{{"{name}": 1, "{name}": 2}}'
    response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == (400 if path.startswith("/v1") else 422)
    assert f"{name} is [1, 2] but must be given once" in response.text


@pytest.mark.parametrize("path", ["/generate", "/grid", "/variations"])
def test_a_missing_seed_and_minus_one_are_random(client: TestClient, path: str) -> None:
    requests = [("", None), ("?seed=-1", None), ("", {"seed": -1})]
    seeds = {client.post(path + query, json=body).headers["X-Seed"] for query, body in requests}
    assert len(seeds) == 3


def test_a_list_of_seeds_shows_the_same_images_on_every_endpoint(client: TestClient) -> None:
    sheet = content(client, "/grid", "seeds=3,17,99&cols=3", None)
    assert content(client, "/generate", "seeds=3,17,99&columns=3", None) == sheet
