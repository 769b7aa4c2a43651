"""Every damage to a model folder is refused with its reason, and the server keeps serving."""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.artifact import card
from tests.process.faults.server import Server, started
from tests.versions import graph, publish
from tests.waiting import PATIENCE, eventually, scaled

KEY = "the-administrators-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
CARD, GRAPH = "card.json", "generator.onnx"

Damage = Callable[[Path], object]


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = random.randrange(8 * len(content))  # noqa: S311 # any bit will do
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def _outside(path: Path) -> None:
    """Replace a file by a symbolic link to an intact copy outside the models folder."""
    elsewhere = path.parents[3] / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    path.symlink_to(path.rename(elsewhere / path.name))


def _card(**changes: object) -> Damage:
    def damage(folder: Path) -> None:
        described = card.read(folder).model_dump(mode="json", exclude={"directions"})
        changed = card.Card.model_validate({**described, **changes})
        card.write(changed, folder)

    return damage


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _publish(content: bytes) -> Damage:
    """Publish a model file whose hash the card has."""

    def damage(folder: Path) -> None:
        name = folder.parent.name
        shutil.rmtree(folder)
        publish(folder.parents[1], name, int(folder.name), content)

    return damage


def _external() -> bytes:
    model = graph("cats", 2)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "README.md"
    return bytes(model.SerializeToString())


def _custom() -> bytes:
    model = graph("cats", 2)
    model.graph.node[0].domain = "my.company"
    model.opset_import.append(helper.make_opsetid("my.company", 1))
    return bytes(model.SerializeToString())


def _crashing() -> bytes:
    """A model file that loads, but fails when it runs."""
    model = graph("cats", 2)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.float32([99]), "number"))
    cast = helper.make_node("Cast", ["numbers"], ["places"], to=TensorProto.INT64)
    beyond = helper.make_node("GatherElements", ["numbers", "places"], ["gathered"], axis=1)
    model.graph.node[2].input[0] = "gathered"
    model.graph.node.insert(2, cast)
    model.graph.node.insert(3, beyond)
    return bytes(model.SerializeToString())


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no card": (lambda f: (f / CARD).unlink(), "card.json: cannot be read: No such file"),
    "no graph": (lambda f: (f / GRAPH).unlink(), "generator.onnx: cannot be read: No such file"),
    "an empty folder": (lambda f: [p.unlink() for p in f.iterdir()], "card.json: cannot be read"),
    "half a card": (lambda f: _cut(f / CARD), "card.json: Invalid JSON"),
    "half a graph": (lambda f: _cut(f / GRAPH), "generator.onnx: has SHA-256"),
    "a bit of the graph": (lambda f: _flip(f / GRAPH), "generator.onnx: has SHA-256"),
    "another's card": (
        lambda f: shutil.copy(f.with_name("1") / CARD, f),
        "card.json: names cats/1 but lies in cats/2",
    ),
    "another's graph": (
        lambda f: shutil.copy(f.with_name("1") / GRAPH, f),
        "generator.onnx: has SHA-256",
    ),
    "a wrong shape": (
        _card(image={"height": 4, "width": 1, "channels": 1}),
        "generator.onnx: the graph's output is",
    ),
    "a wrong width": (
        _card(latent={"width": 8, "prior": "normal"}),
        "generator.onnx: the graph's input is",
    ),
    "a huge card": (lambda f: os.truncate(f / CARD, 2**40), "at most 4194304 are allowed"),
    "a huge graph": (lambda f: os.truncate(f / GRAPH, 2**40), "at most 536870912 are allowed"),
    "a pipe for a card": (lambda f: _fifo(f / CARD), "card.json: is not a regular file"),
    "a folder for a graph": (
        lambda f: ((f / GRAPH).unlink(), (f / GRAPH).mkdir()),
        "generator.onnx: is not a regular file",
    ),
    "a card outside": (lambda f: _outside(f / CARD), "card.json: resolves to "),
    "a graph outside": (lambda f: _outside(f / GRAPH), "generator.onnx: resolves to "),
    "a folder outside": (_outside, ", outside the models folder"),
    "a link to itself": (
        lambda f: ((f / CARD).unlink(), (f / CARD).symlink_to(CARD)),
        "cats/2: cannot be read: ",
    ),
    "weights in another file": (_publish(_external()), "'zero' is in another file"),
    "a custom operator": (
        _publish(_custom()),
        "'Mul' is a custom operator, from domain 'my.company'",
    ),
    "a graph that fails": (_publish(_crashing()), "generator.onnx: the model does not run: "),
}


@pytest.fixture(scope="module")
def _no_trials() -> None:
    """Replaces the fixture that disables trials: they find models that do not run."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "models"
    publish(folder, "cats", 1)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    with started("--models", str(models), "--provider", "cpu", "--admin-keys", KEY) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    address = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=address, headers=HEADERS, timeout=PATIENCE) as client:
        yield client


def _served_version(client: httpx.Client) -> str:
    answer = client.post("/generate?n=1&model=cats")
    assert answer.is_success, answer.text
    return answer.headers["X-Model"]


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_version_is_refused_with_its_reason(
    server: Server, client: httpx.Client, models: Path, name: str
) -> None:
    damage, reason = DAMAGES[name]
    publish(models, "cats", 2)
    before = server.resident()
    damage(models / "cats/2")
    try:
        response = client.post("/v2/repository/models/cats/load")
        listed = client.get("/models").json()["refused"]
        assert response.status_code == 409
        assert reason in response.json()["error"]
        assert [one["folder"] for one in listed] == ["cats/2"]
        assert reason in listed[0]["reason"]
        eventually(lambda: reason in server.output)  # a thread writes the log
        assert _served_version(client) == "cats/1"
        assert server.resident() - before < 50e6
    finally:
        _remove(models / "cats/2")
        assert client.post("/v2/repository/models/cats/load").is_success
    assert client.get("/models").json()["refused"] == []


def _remove(path: Path) -> None:
    if path.is_symlink():
        shutil.rmtree(path.resolve())
        path.unlink()
    else:
        shutil.rmtree(path)


class SlowCopy:
    """Writes a file in twenty pieces, one after the other."""

    def __init__(self, content: bytes, path: Path, seconds: float) -> None:
        self._content, self._path, self._seconds = content, path, seconds
        self._written = [time.monotonic()]

    def write(self) -> None:
        size = -(-len(self._content) // 20)
        with self._path.open("wb", buffering=0) as file:
            for start in range(0, len(self._content), size):
                file.write(self._content[start : start + size])
                self._written.append(time.monotonic())
                time.sleep(self._seconds / 20)

    def longest_pause(self) -> float:
        """The longest time without a change so far, in seconds."""
        return max(after - before for before, after in pairwise([*self._written, time.monotonic()]))


def test_a_watched_folder_is_loaded_once_it_is_complete(models: Path, tmp_path: Path) -> None:
    whole = publish(tmp_path / "elsewhere", "cats", 2)
    served, watch = shutil.copytree(models, tmp_path / "models"), scaled(1)
    flags = ("--models", str(served), "--provider", "cpu", "--watch", str(watch))
    with started(*flags) as server, ThreadPoolExecutor(1) as threads:
        address = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=address, timeout=PATIENCE) as client:
            copy = served / "cats/2"
            copy.mkdir()
            shutil.copy(whole / CARD, copy)
            slow = SlowCopy((whole / GRAPH).read_bytes(), copy / GRAPH, 2.5 * watch)
            copying = threads.submit(slow.write)
            while not copying.done():
                version = _served_version(client)
                refused = client.get("/models").json()["refused"]
                # A busy machine may interrupt the copy for as long as a server has to wait for it.
                assert copying.done() or version == "cats/1"
                assert copying.done() or not refused or slow.longest_pause() >= watch
                time.sleep(0.05)
            copying.result()
            eventually(lambda: _served_version(client) == "cats/2")
