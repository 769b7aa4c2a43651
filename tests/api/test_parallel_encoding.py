"""Many images are encoded on several threads, to the same bytes."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.api import responses
from app.imaging.png import encode_all
from app.main import create_app
from app.settings import Settings


@pytest.fixture(scope="module")
def client(models: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=models, provider="cpu", threads=3))) as client:
        yield client


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each of three threads encodes."""
    found: list[int] = []

    def encoded(*arguments: object) -> list[bytes]:
        files = encode_all(*arguments)  # type: ignore[arg-type]
        found.append(len(files))
        return files

    monkeypatch.setattr(responses, "encode_all", encoded)
    return found


def zipped(client: TestClient, path: str) -> dict[str, bytes]:
    response = client.post(path, headers={"Accept": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(response.raise_for_status().content)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_many_pixels_are_encoded_on_all_cpus(client: TestClient, parts: list[int]) -> None:
    files = zipped(client, "/generate?n=64&seed=7&model=faces")
    assert list(files) == [f"{seed}.png" for seed in range(7, 71)]
    assert sorted(parts) == [21, 21, 22]
    for seed in (7, 27, 28, 49, 70):
        single = client.get(f"/images/faces/1/{seed}.png").content
        assert files[f"{seed}.png"] == single


def test_few_pixels_are_encoded_on_one_thread(client: TestClient, parts: list[int]) -> None:
    assert len(zipped(client, "/generate?n=16&seed=7&model=faces")) == 16
    assert parts == [16]
