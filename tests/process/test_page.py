"""The page by a server whose package holds what Python writes there."""

import compileall
from pathlib import Path

import httpx

from tests.process.faults.server import started


def test_the_page_is_served_beside_pythons_cache(root: Path) -> None:
    package = root / "app/web"
    assert compileall.compile_dir(package, quiet=1)
    assert (package / "__pycache__").is_dir()
    with started() as server:
        page = httpx.get(f"http://127.0.0.1:{server.port}/", timeout=60)
    assert page.status_code == 200
    assert "<h1" in page.text
