"""The default version of a model: recorded in its folder, else the highest in service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.artifact import default_version
from app.main import create_app
from app.settings import Settings
from tests.versions import publish

KEY = "administrators-key"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        publish(tmp_path, "cats", number)
    default_version.write(tmp_path / "cats", 2)
    return tmp_path


def started(folder: Path) -> TestClient:
    settings = Settings(
        models=folder, provider="cpu", default_model="cats", admin_keys=(SecretStr(KEY),)
    )
    return TestClient(create_app(settings), headers={"X-API-Key": KEY})


@pytest.fixture
def server(folder: Path) -> Iterator[TestClient]:
    with started(folder) as client:
        yield client


def load(server: TestClient, **parameters: Any) -> Any:
    return server.post("/v2/repository/models/cats/load", json={"parameters": parameters})


def default(server: TestClient) -> int:
    """The default version, on which every endpoint agrees."""
    described: int = server.get("/models/cats").json()["default_version"]
    assert server.get("/models").json()["models"][0]["default_version"] == described
    assert server.get("/health/ready").json()["version"] == described
    assert server.post("/generate?n=1").headers["X-Model"] == f"cats/{described}"
    assert server.get("/variations?seed=1").headers["X-Model"] == f"cats/{described}"
    inputs = {"name": "latents", "shape": [1, 4], "datatype": "FP32", "data": [0, 0, 0, 0]}
    inferred = server.post("/v2/models/cats/infer", json={"inputs": [inputs]}).json()
    assert inferred["model_version"] == str(described)
    made = server.get("/v1/models/cats").json()["created"]
    assert server.get(f"/v1/models/cats/{described}").json()["created"] == made
    listed = {one["id"]: one["created"] for one in server.get("/v1/models").json()["data"]}
    assert listed["cats"] == listed[f"cats/{described}"]
    return described


def test_the_recorded_version_is_the_default(server: TestClient) -> None:
    assert default(server) == 2
    assert server.post("/generate?n=1&version=3").headers["X-Model"] == "cats/3"


def test_a_higher_version_does_not_become_the_default(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 4)
    assert load(server).json() == {}
    assert default(server) == 2
    assert len(server.get("/models/cats").json()["versions"]) == 4


def test_a_reload_follows_the_record(server: TestClient, folder: Path) -> None:
    default_version.write(folder / "cats", 1)
    assert load(server).json() == {}
    assert default(server) == 1
    (folder / "cats" / default_version.FILE).unlink()
    load(server)
    assert default(server) == 3


def test_the_next_lower_version_stands_in_for_a_default_that_is_not_served(
    server: TestClient, folder: Path
) -> None:
    load(server, versions=[1, 3])
    assert default(server) == 1
    load(server, versions=[3])
    assert default(server) == 3
    default_version.write(folder / "cats", 9)
    load(server)
    assert default(server) == 3


def test_a_record_of_one_model_leaves_the_others_alone(server: TestClient, folder: Path) -> None:
    publish(folder, "dogs", 1)
    publish(folder, "dogs", 2)
    server.post("/v2/repository/models/dogs/load")
    assert server.get("/models/dogs").json()["default_version"] == 2
    assert default(server) == 2


@pytest.mark.parametrize("content", ["", "two\n", "0\n", "-1", "2 3", "1" * 200])
def test_a_damaged_record_is_reported_and_the_highest_version_is_the_default(
    folder: Path, content: str
) -> None:
    (folder / "cats" / default_version.FILE).write_text(content)
    with started(folder) as server:
        assert default(server) == 3
        (refused,) = server.get("/models").json()["refused"]
        assert refused["folder"] == "cats/default"
        assert "must be a file that contains the number of a version" in refused["reason"]
        default_version.write(folder / "cats", 1)
        assert load(server).json() == {}
        assert default(server) == 1
        assert server.get("/models").json()["refused"] == []
