"""Nobody is told that somebody uses this."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def left_behind(program: str, root: Path, home: Path) -> list[Path]:
    """What a program leaves in its user's folder. Under CI onnxruntime would be silent anyway."""
    told = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, env=told)
    return [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "program",
    ["import app.runtime.engine", "from training.export.runtime import onnxruntime; onnxruntime()"],
)
def test_onnxruntime_leaves_no_mark_of_this_machine(
    program: str, root: Path, tmp_path: Path
) -> None:
    assert left_behind(program, root, tmp_path) == []


def test_that_check_can_fail(root: Path, tmp_path: Path) -> None:
    if not left_behind("import onnxruntime", root, tmp_path):
        pytest.skip("this build of onnxruntime tells nobody by itself")
