"""The benchmarks run; how fast anything is, only a person who watches the machine can tell."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


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


@needs_wrk
def test_requests_beside_a_naive_servers(root: Path, tmp_path: Path) -> None:
    few = ["--rivals", "naive", "--images", "1,4", "--connections", "2", "--rounds", "1"]
    command = [sys.executable, "-m", "tests.bench.http", *few, "--seconds", "1"]
    ended = subprocess.run(
        [*command, "--out", tmp_path / "http.json"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "ratio" in ended.stdout
    result = json.loads((tmp_path / "http.json").read_text())
    assert [one["images"] for one in result["results"]] == [1, 4]
    for one in result["results"]:
        assert one["ratio"] > 0
        assert 0 < one["ours"]["p50"] <= one["ours"]["p99"]
        assert one["naive"]["requests_per_second"] > 0


@needs_wrk
def test_starts_and_memory_beside_a_naive_servers(root: Path, tmp_path: Path) -> None:
    few = ["--rounds", "1", "--requests", "10", "--out", tmp_path / "startup.json"]
    command = [sys.executable, "-m", "tests.bench.startup", *few]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    result = json.loads((tmp_path / "startup.json").read_text())
    assert result["ready_seconds"]["ours"] > 0
    assert result["resident_megabytes"]["ours"] > 10


@needs_wrk
def test_stages_by_number_of_connections(root: Path, tmp_path: Path) -> None:
    few = ["--images", "1,4", "--connections", "1,2", "--seconds", "1"]
    out = ["--out", tmp_path / "scaling.json", "--picture", tmp_path / "scaling.png"]
    command = [sys.executable, "-m", "tests.bench.scaling", *few, *out]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    points = json.loads((tmp_path / "scaling.json").read_text())["points"]
    assert [(one["images"], one["connections"]) for one in points] == [
        (1, 1),
        (1, 2),
        (4, 1),
        (4, 2),
    ]
    for one in points:
        assert one["stages"]["compute"] > 0
        assert sum(one["stages"].values()) == pytest.approx(one["mean"])
    with Image.open(tmp_path / "scaling.png") as image:
        assert len(np.unique(np.asarray(image))) > 2
