import ctypes
import platform
from types import SimpleNamespace

import pytest

from app.server import malloc


def test_arenas_are_limited_where_the_c_library_is_glibc() -> None:
    assert malloc.limit_arenas() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(malloc, "sys", SimpleNamespace(platform=system))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert not malloc.limit_arenas()
