"""The benchmarks run; how fast anything is, only a person who watches the machine can tell."""

import json
import subprocess
import sys
from pathlib import Path


def test_training_beside_a_plain_loop(root: Path, tmp_path: Path) -> None:
    few = ["--batch-size", "8", "--steps", "2", "--rounds", "2"]
    command = [sys.executable, "-m", "tests.bench.train", *few, "--out", tmp_path / "train.json"]
    ended = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert "ratio" in ended.stdout
    result = json.loads((tmp_path / "train.json").read_text())
    assert result["ratio"] > 0
    assert {side: len(speeds) for side, speeds in result["rounds"].items()} == {
        "ours": 2,
        "plain": 2,
    }


def test_png_files_beside_pillows(root: Path, tmp_path: Path) -> None:
    few = ["--rounds", "1", "--seconds", "0.001"]
    command = [sys.executable, "-m", "tests.bench.png", *few, "--out", tmp_path / "png.json"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    result = json.loads((tmp_path / "png.json").read_text())
    assert len(result) == 3
    assert all(sides["ratio"] > 0 for sides in result.values())
