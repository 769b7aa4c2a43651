"""No telemetry: onnxruntime reports nothing about its use."""

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

VERSION = tuple(map(int, onnxruntime.__version__.split(".")[:2]))


def left_behind(program: str, root: Path, home: Path) -> list[Path]:
    """The files that a program leaves in its home folder."""
    # With CI variables in the environment, onnxruntime reports nothing anyway.
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, env=environment)
    return [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "program",
    [
        "import app.runtime.engine",
        "from training.export.cpu_session import require_onnxruntime; require_onnxruntime()",
    ],
)
def test_onnxruntime_stores_no_identifier_of_this_machine(
    program: str, root: Path, tmp_path: Path
) -> None:
    assert left_behind(program, root, tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it may store none in files")
@pytest.mark.skipif(VERSION < (1, 29), reason="onnxruntime has no telemetry before 1.29")
def test_an_identifier_would_be_found(root: Path, tmp_path: Path) -> None:
    assert left_behind("import onnxruntime", root, tmp_path) != []
