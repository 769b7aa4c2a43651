"""Every example of a request in the OpenAPI document succeeds, on every endpoint.

The documentation page sends the ``example`` of each parameter and of the body. ``examples`` in
schemas are values of one parameter; they are sent with what the operation needs besides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings

Schema = dict[str, Any]
ADMINISTRATORS = ("/v2/repository/models/{model}/load", "/v2/repository/models/{model}/unload")
"""These need a key, and would take models out of service."""
UPLOADS = ("/encode",)
"""Its body is files, which the document cannot contain."""
PLACES = {"seed", "seeds", "n", "points", "point", "corners", "from", "to", "latents"}
"""What says which images are drawn: an example of one stands in place of the others."""
ENDS = {"from", "to"}
"""A path between two seeds needs both; only such a path takes a class for each."""


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[TestClient]:
    """A server with the models of this repository."""
    app = create_app(Settings(models=root / "models", provider="cpu"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@dataclass
class Operation:
    """One operation of the document, and what the documentation page would send."""

    method: str
    path: str
    described: Schema
    components: Schema

    def parameters(self, place: str) -> list[Schema]:
        return [one for one in self.described.get("parameters", []) if one["in"] == place]

    def url(self) -> str:
        found = {one["name"]: one["example"] for one in self.parameters("path")}
        return self.path.format(**found)

    def query(self) -> Schema:
        """The parameters that the page fills in."""
        return {
            one["name"]: one.get("example", one["schema"].get("example"))
            for one in self.parameters("query")
            if "example" in one or "example" in one["schema"]
        }

    def body(self) -> Schema | None:
        content = self.described.get("requestBody", {}).get("content", {})
        example: Schema | None = content.get("application/json", {}).get("example")
        return example

    def fields(self) -> Schema:
        """The fields of the body."""
        content = self.described["requestBody"]["content"]["application/json"]
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        fields: Schema = self.components.get(name, {}).get("properties", {})
        return fields

    def requests(self) -> Iterator[tuple[Schema, Schema | None]]:
        """The query and the body of every example."""
        yield self.query(), self.body()
        for one in self.parameters("query"):
            name, body = one["name"], self.body()
            alone = name in PLACES and name not in self.query()
            for value in one["schema"].get("examples", []):
                if body is None or (alone and self.path != "/interpolate"):
                    yield ({} if alone else self.query()) | {name: _text(value)}, None
                elif name not in PLACES | body.keys() and not name.endswith("_class"):
                    yield {name: _text(value)}, body
        if body := self.body():
            for name, field in self.fields().items():
                for value in field.get("examples", []):
                    if name in ENDS or name.endswith("_class"):
                        base = {end: self.fields()[end]["example"] for end in ENDS}
                    else:
                        base = {} if name in PLACES and self.path.count("/") == 1 else body
                    yield {}, {**base, name: value}


def _text(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list) else value


def operations(client: TestClient) -> Iterator[Operation]:
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield Operation(method, path, described, document["components"]["schemas"])


def test_every_example_succeeds(server: TestClient) -> None:
    sent = 0
    for operation in operations(server):
        if operation.path in ADMINISTRATORS + UPLOADS:
            continue
        for query, body in operation.requests():
            response = server.request(operation.method, operation.url(), params=query, json=body)
            about = operation.method, operation.path, query, body
            assert response.status_code == 200, (about, response.text)
            sent += 1
    assert sent > 100


def test_every_parameter_in_a_path_and_every_body_has_an_example(server: TestClient) -> None:
    for operation in operations(server):
        assert all("example" in one for one in operation.parameters("path")), operation.path
        if operation.method == "post" and operation.path not in ADMINISTRATORS + UPLOADS:
            optional = not operation.described["requestBody"].get("required")
            assert operation.body() is not None or optional, operation.path


def test_every_operation_has_a_sentence_as_its_summary(server: TestClient) -> None:
    summaries = [one.described["summary"] for one in operations(server)]
    for summary in summaries:
        assert summary[0].isupper()
        assert " " in summary
        assert not set(summary) & {"`", "\n"}
        assert len(summary) <= 100, summary
