"""Fixtures for every test, and how pytest-xdist shares the tests out."""

import gc
import io
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from coverage import CoverageData, CoverageException
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from app.artifact import default_version
from app.main import create_app
from app.settings import Settings

gc.disable()  # until all tests are collected: nothing of what is imported is garbage

ROOT = Path(__file__).parent.parent
TOGETHER = tuple(f"tests/{name}/" for name in ("browser", "deploy", "process/faults", "gpu"))
"""Folders whose tests share what takes long to start, a browser or images, or load the machine."""
SLOWEST = (
    *TOGETHER,
    "tests/bench/",
    "tests/process/test_schemathesis.py",
    "tests/process/test_house.py",
    "tests/process/",
    "tests/api/test_loading.py",
    "tests/api/test_round_trip.py",
    "tests/unit/training/loop/",
    "tests/unit/training/evaluation/",
)
"""Where tests take long. They run first, so that no process waits for another at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files that take longest first, and skip slow tests unless ``-m`` selects them."""
    items.sort(key=lambda item: _rank(item.nodeid))
    if "slow" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes minutes; select it with -m slow"))


def pytest_collection_finish() -> None:
    """Hide modules and tests from the garbage collector, which would look at them again and again.

    PyTorch alone has a million objects.
    """
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Remove files of coverage of processes that were killed while they wrote them."""
    result, config = (yield), session.config
    if config.pluginmanager.hasplugin("_cov") and not hasattr(config, "workerinput"):
        for path in config.rootpath.glob(".coverage.*"):
            try:
                CoverageData(no_disk=True).update(CoverageData(str(path), read_only=True))
            except CoverageException:
                path.unlink()
    return result


def _rank(nodeid: str) -> int:
    """The place of a test's file among the slowest; all others come after them, as collected."""
    places = (place for place, path in enumerate(SLOWEST) if nodeid.startswith(path))
    return next(places, len(SLOWEST))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers, however many cores there are; none for one file, which starts faster alone.

    None for a path that does not exist, either: with workers, pytest would not name it.
    """
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    one_file = len(paths) == 1 and paths[0].suffix == ".py"
    return 0 if one_file or not all(path.exists() for path in paths) else 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> "ByFile":
    config.option.loadscopereorder = False  # files with few tests would come last, however slow
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):
    """Shares tests out by file, so that a fixture of a module is created once.

    A folder of ``TOGETHER`` stays on one worker, each on the one that is free first.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if path.startswith(folder)), path)


@pytest.fixture(scope="session", autouse=True)
def _hidden() -> Iterator[None]:
    """What is hidden from the garbage collector stays so when an application ends.

    The start of the next one would look at it, for a second: longer than it takes to load all
    models.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "unfreeze", lambda: None)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped models. Tests must not write to it.

    The default versions of clothes and faces are those without classes and attributes, as most
    tests are of requests that name none.
    """
    copy = tmp_path_factory.mktemp("shipped") / "models"
    shutil.copytree(ROOT / "models", copy)
    for name, version in (("fashion-mnist", 2), ("faces", 1)):
        default_version.write(copy / name, version)
    return copy


@pytest.fixture(scope="session")
def clothes(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with version 2 of the clothes alone. Tests must not write to it.

    An application with it starts in a fifth of the time that all shipped models take.
    """
    folder = tmp_path_factory.mktemp("clothes") / "models"
    shutil.copytree(models / "fashion-mnist/2", folder / "fashion-mnist/2")
    return folder


@pytest.fixture(scope="session")
def client(models: Path) -> Iterator[TestClient]:
    """The application with the shipped models. It answers its failures as a real server does."""
    # Explicit admin_keys: the first test to use this may have set environment variables.
    app = create_app(Settings(models=models, provider="cpu", admin_keys=()))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def _no_trials() -> Iterator[None]:
    """Servers load versions without a trial, whose process takes half the time of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_LOAD_TIMEOUT", "0")
        patch.setenv("DCGAN_LOAD_MEMORY", "0")
        yield


@pytest.fixture
def _no_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not measure coverage in processes that the test starts, which slows them down."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def _undecodable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test fails that lets Pillow open an image."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an image is decoded")

    monkeypatch.setattr(Image, "open", fail)


@pytest.fixture(scope="session")
def decode() -> Callable[[bytes], NDArray[np.uint8]]:
    """Decodes PNG files to pixels, with Pillow."""

    def decoded(content: bytes) -> NDArray[np.uint8]:
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "PNG"
            return np.asarray(image)

    return decoded
