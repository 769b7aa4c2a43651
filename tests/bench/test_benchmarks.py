"""Every benchmark runs and finds plausible values. No test asserts a speed."""

import gzip
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.bench import engine, few_images, page, png, search
from tests.bench.requests import CASES
from training.__main__ import parser
from training.config import Config, from_flags
from training.data.avatars import dataset as avatars
from training.data.avatars.faces import ATTRIBUTES
from training.gan.gan import Gan

pytestmark = pytest.mark.usefixtures("_no_coverage", "_no_trials")


@pytest.fixture
def grey_images(tmp_path: Path) -> Path:
    """A folder with a hundred images of noise in the file format of Fashion-MNIST."""
    (tmp_path / "data").mkdir()
    for name, shape in (("images-idx3", (100, 28, 28)), ("labels-idx1", (100,))):
        values = np.random.default_rng(0).integers(0, 10, shape, dtype=np.uint8)
        header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
        for part in ("train", "t10k"):
            path = tmp_path / "data" / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(header + values.tobytes()))
    return tmp_path / "data"


@pytest.fixture
def in_this_process(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Runs a benchmark's ``main`` with flags; returns its output. Saves the import of PyTorch."""
    threads = torch.get_num_threads()
    monkeypatch.chdir(root)

    def run(main: Callable[[], None], *flags: object) -> str:
        monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, flags)])
        main()
        return capsys.readouterr().out

    yield run
    torch.set_num_threads(threads)


needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


def test_training_is_compared_with_a_plain_loop(root: Path, tmp_path: Path) -> None:
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


def test_the_benchmark_of_a_gpu_runs_on_a_cpu(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.gpu", "--device", "cpu", "--quick"]
    ended = subprocess.run(
        [*command, "--out", tmp_path / "gpu.json"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    found = {(row["part"], row["what"]): row["value"] for row in rows}
    for preset in ("keras-28", "paper-64", "dcgan-28", "dcgan-64"):
        for what in ("auto", "eager", "plain loop", "auto, compared with the plain loop"):
            assert found[preset, what] > 0
        assert found[preset, "operations per image"] > 0
    for name in ("ours", "another seed"):
        assert 0 < found["dcgan-28, 8 losses", f"{name}: D, largest difference"] < 100
    assert found["dcgan-28, whole run", "2 epochs in total"] > 0
    assert found["serving fashion-mnist/2", "pixels equal to the CPU's"] == 100
    assert abs(found["serving, memory", "growth in 40 batches"]) < 100
    for request in ("png of n=16", "zip of n=256"):
        assert found["HTTP, workers=1", request] > 0
        for stage in ("queue", "compute", "encode"):
            assert found["HTTP, workers=1", f"{request}, {stage}"] > 0
    assert found["PNG faces/1", "encoded by 1 threads"] > 0
    reasons = {row["part"]: row["note"] for row in rows if row["what"] == "not run"}
    assert reasons.keys() == {
        "serving, memory",
        "serving, copies",
        "TensorRT fashion-mnist/2",
        "TensorRT faces/1",
        "score",
    }, ended.stderr
    assert all(reasons.values())
    assert all(part in ended.stdout for part, _ in found)


@pytest.mark.parametrize("dataset", search.SETTINGS)
def test_every_setting_of_a_search_is_valid_for_fit(dataset: str) -> None:
    preset, settings = search.SETTINGS[dataset]
    seen = set()
    for flags in settings.values():
        command = ["fit", "--out", "run", "--dataset", dataset, *preset.split(), *flags.split()]
        options = vars(parser().parse_args(command))
        config = from_flags({k: v for k, v in options.items() if k in Config.model_fields})
        Gan(config, (3, 64, 64) if dataset == "avatars" else (1, 28, 28), torch.device("cpu"))
        seen.add(config)
    assert len(seen) == len(settings)


def test_augmentations_are_compared_on_few_images(
    in_this_process: Callable[..., str], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 3, 64, 64), dtype=np.uint8)
    attributes = {name: random.random(300) < 0.5 for name in ATTRIBUTES}
    avatars.write(tmp_path / avatars.FILE, avatars.Avatars(images, attributes, "none"), 0, {})
    few = ["--counts", "20", "--slice", "64", "--batch-size", "16", "--minutes", "0"]
    out = tmp_path / "out"
    output = in_this_process(few_images.main, "--data-dir", tmp_path, *few, "--out", out)
    found = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [one["augment"] for one in found] == ["none", "color,translation,cutout", "ada"]
    assert {(one["images"], one["seen"]) for one in found} == {(20, 64)}
    for one in found:
        assert f"| 20 | `{one['augment']}` | {one['fd_cnn']:.2f} |" in output
        assert (one["probability"] is not None) is (one["augment"] == "ada")


def test_a_search_does_not_repeat_finished_runs(
    in_this_process: Callable[..., str], tmp_path: Path, grey_images: Path
) -> None:
    out = tmp_path / "search"
    few = ["--epochs", "1", "--rounds", "1", "--only", "mirrored", "--out", out]
    small = ["--generator-filters=4", "--discriminator-filters=4", "--device=cpu", "--threads=1"]

    def searched() -> tuple[str, list[dict[str, object]]]:
        output = in_this_process(search.main, *few, "--", *small, "--data-dir", grey_images)
        return output, json.loads((out / "search.json").read_text())

    output, (one,) = searched()
    assert one["epochs"] == 1
    assert one["score"] > 0  # type: ignore[operator]
    assert "| mirrored | `--mirror` |" in output
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.pt")}
    assert written
    assert searched() == (output, [one])
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.pt")} == written


def test_a_search_continues_with_the_better_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(search.SETTINGS["avatars"][1])
    scores = {name: float(number) for number, name in enumerate(reversed(names))}
    scores[names[-1]] = float("inf")  # the best setting, but its run failed

    def trained(_: Path, name: str, flags: str, epochs: int, *__: object) -> search.Found:
        known = scores[name] if np.isfinite(scores[name]) else None
        return search.Found(name, flags, epochs, known, 1.0)

    monkeypatch.setattr(search, "trained", trained)
    monkeypatch.setattr(
        sys, "argv", ["search", "--dataset", "avatars", "--out", str(tmp_path), "--epochs", "3"]
    )
    search.main()
    found = json.loads((tmp_path / "search.json").read_text())
    by_epochs = {n: [one["setting"] for one in found if one["epochs"] == n] for n in (3, 12, 48)}
    assert len(by_epochs[3]) == len(names) == 15
    assert by_epochs[3][-1] == names[-1]
    assert by_epochs[12] == names[-2:-6:-1]
    assert by_epochs[48] == names[-2:-3:-1]


@pytest.mark.parametrize(("minutes", "reason"), [("9", "nowhere"), ("0", "no time was left")])
def test_a_search_reports_runs_that_fail(
    in_this_process: Callable[..., str], tmp_path: Path, minutes: str, reason: str
) -> None:
    out = tmp_path / "search"
    few = ["--only", "mirrored", "--minutes", minutes, "--out", out]
    nowhere = ["--device=cpu", "--data-dir", tmp_path / "nowhere"]
    output = in_this_process(search.main, *few, "--", *nowhere)
    (one,) = json.loads((out / "search.json").read_text())
    assert one["score"] is None
    assert reason in one["note"]
    assert reason in output


def test_the_engine_is_compared_with_plain_onnxruntime(
    in_this_process: Callable[..., str], tmp_path: Path
) -> None:
    few = ["--rounds", "1", "--seconds", "0.001", "--images", "1,16", "--provider", "cpu"]
    output = in_this_process(engine.main, *few, "--out", tmp_path / "engine.json")
    assert "faces/1: generator.onnx on cpu in fp32" in output
    rows = json.loads((tmp_path / "engine.json").read_text())
    assert [(row["model"], row["images"]) for row in rows] == [
        (model, images) for model in ("fashion-mnist/2", "faces/1") for images in (1, 16)
    ]
    assert all(row["ratio"] == row["ours"] / row["plain"] > 0 for row in rows)


def test_png_files_are_compared_with_pillows(
    in_this_process: Callable[..., str], tmp_path: Path
) -> None:
    few = ["--rounds", "1", "--seconds", "0.001"]
    in_this_process(png.main, *few, "--out", tmp_path / "png.json")
    result = json.loads((tmp_path / "png.json").read_text())
    assert len(result) == 3
    assert all(sides["ratio"] > 0 for sides in result.values())


@needs_wrk
def test_requests_are_compared_with_a_naive_servers(root: Path, tmp_path: Path) -> None:
    models = ["--models", "models/digits/1", "--earlier", "models/fashion-mnist/2"]
    few = ["--rivals", "naive,ray", "--images", "1,4", "--connections", "2", "--rounds", "1"]
    command = [sys.executable, "-m", "tests.bench.http", *models, *few, "--seconds", "1"]
    ended = subprocess.run(
        [*command, "--cache", tmp_path, "--out", tmp_path / "http.json"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "ray is not installed" in ended.stdout
    assert "CPUs" in ended.stdout
    result = json.loads((tmp_path / "http.json").read_text())
    assert [(one["pair"], one["images"]) for one in result["results"]] == [
        (f"ours with digits/1, naive with {theirs}", images)
        for theirs in ("fashion-mnist/2", "digits/1")
        for images in (1, 4)
    ]
    for one in result["results"]:
        assert one["ratio"] > 0
        assert 0 < one["ours"]["p50"] <= one["ours"]["p99"]
        assert one["naive"]["requests_per_second"] > 0


@needs_wrk
def test_start_and_memory_are_compared_with_a_naive_servers(root: Path, tmp_path: Path) -> None:
    few = ["--rounds", "1", "--requests", "10", "--out", tmp_path / "startup.json"]
    command = [sys.executable, "-m", "tests.bench.startup", *few]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    result = json.loads((tmp_path / "startup.json").read_text())
    assert result["ready_seconds"]["ours"] > 0
    assert result["resident_megabytes"]["ours"] > 10


@needs_wrk
def test_stages_are_measured_by_number_of_connections(root: Path, tmp_path: Path) -> None:
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


@needs_wrk
def test_requests_are_compared_with_an_empty_route(root: Path, tmp_path: Path) -> None:
    few = ["--rounds", "1", "--seconds", "1", "--out", tmp_path / "requests.json"]
    command = [sys.executable, "-m", "tests.bench.requests", *few]
    ended = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert "ratio" in ended.stdout
    result = json.loads((tmp_path / "requests.json").read_text())
    assert result.keys() == CASES.keys()
    assert all(microseconds > 0 for microseconds in result.values())


def test_the_page_is_compared_with_the_former_one(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed")
    known = ["git", "cat-file", "-e", page.FORMER]
    if subprocess.run(known, cwd=root, check=False, capture_output=True).returncode:
        pytest.skip("the commit of the former page is not in this checkout")
    command = [sys.executable, "-m", "tests.bench.page", "--rounds", "1", "--only", "requests"]
    subprocess.run([*command, "--out", tmp_path / "page.json"], cwd=root, check=True)
    (found,) = json.loads((tmp_path / "page.json").read_text())["medians"].values()
    assert found["former"] >= page.CLOTHES
    assert found["current"] < 10
