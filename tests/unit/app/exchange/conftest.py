"""``python -m app pull`` in this process, without settings of the user."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app import __main__


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home folder is empty, and so are the variables with addresses and credentials."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The models folder to pull into, which does not exist yet."""
    return tmp_path / "here" / "models"


@pytest.fixture
def pull(here: Path) -> Callable[..., int]:
    """Runs ``python -m app pull`` in this process; returns the exit status."""
    here.parent.mkdir()

    def run(source: str, *flags: str, name: str = "mine") -> int:
        common = ["--name", name, "--models", str(here), "--provider", "cpu"]
        return __main__.main(["pull", source, *common, *flags])

    return run
