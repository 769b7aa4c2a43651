"""``python -m app render`` with real processes, real files and the shipped models."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app import __main__
from app.main import create_app
from app.settings import Settings
from tests import conditional
from tests.waiting import eventually

STANDS_STILL = """
import itertools, sys, time
from app.__main__ import main
from app.runtime.engine import Engine

compute, batches = Engine.__call__, itertools.count()

def stopping(engine, rows):
    if next(batches) == 15:  # of 20 or more
        time.sleep(3600)
    return compute(engine, rows)

Engine.__call__ = stopping
sys.exit(main(sys.argv[1:]))
"""
"""``python -m app``, whose engine stands still before all images are there."""
Decode = Callable[[bytes], NDArray[np.uint8]]


@pytest.fixture
def render(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A function that renders in this process, in an empty folder; returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*flags: object) -> int:
        common = ["render", "--models", models, "--provider", "cpu", "--out", "out"]
        return __main__.main([str(flag) for flag in (*common, *flags)])

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_equal_the_responses_of_the_server(
    render: Callable[..., int], tmp_path: Path, client: TestClient
) -> None:
    edit = "beard:-1.5,glasses:2"
    flags = ["--count", 3, "--seed", 2**32 - 2, "--edit", edit, "--truncation", 0.7, "--scale", 2]
    assert render("--model", "faces", *flags) == 0
    there = content(tmp_path / "out")
    manifest = json.loads(there.pop("manifest.json"))
    assert there.keys() == {f"{seed}.png" for seed in (2**32 - 2, 2**32 - 1, 0)}
    query = f"edit={edit}&truncation=0.7&scale=2"
    for name, file in there.items():
        assert file == client.get(f"/images/faces/1/{name}?{query}").content
    card = client.get("/models/faces").json()["versions"][0]["card"]
    (graph,) = (one["sha256"] for one in card["variants"] if one["provider"] == "any")
    assert manifest == {
        "model": "faces",
        "version": 1,
        "digest": graph,
        "provider": "cpu",
        "precision": "fp32",
        "seed": 2**32 - 2,
        "count": 3,
        "edit": edit,
        "truncation": 0.7,
        "scale": 2,
        "height": 128,
        "width": 128,
        "channels": 3,
    }


@pytest.mark.parametrize(
    ("flag", "query", "named"),
    [
        ("--class=Sneaker,0,boot:0.3+sneaker:0.7", "class={}", "class"),
        ("--attributes=-smile,blond:0.5", "attributes={}", "attributes"),
        ("--edit=hat:1", "edit=hat:1", "edit"),
    ],
)
def test_classes_and_attributes_are_those_of_the_server(
    render: Callable[..., int], tmp_path: Path, flag: str, query: str, named: str
) -> None:
    model, seeds = "people" if "attributes" in flag else "shoes", (2**32 - 2, 2**32 - 1, 0, 1)
    conditional.publish(model, tmp_path / "models")
    flags = ["--models", tmp_path / "models", "--model", model, "--count", 4, "--seed", seeds[0]]
    assert render(*flags, flag) == 0
    values = {
        "class": ["sneaker", "0", "boot:0.3+sneaker:0.7", "sneaker"],
        "attributes": ["blond:0.5,-smile"] * 4,
        "edit": ["hat:1"] * 4,
    }[named]
    with TestClient(create_app(Settings(models=tmp_path / "models", provider="cpu"))) as client:
        files = {
            f"{seed}.png": client.get(f"/images/{model}/1/{seed}.png?{query.format(value)}").content
            for seed, value in zip(seeds, values, strict=True)
        }
    (tmp_path / "out" / "1.png").unlink()  # its class does not depend on what is missing
    assert render(*flags, flag) == 0
    there = content(tmp_path / "out")
    manifest = json.loads(there.pop("manifest.json"))
    assert there == files
    expected = ",".join(values[:3]) if named == "class" else values[0]
    assert manifest[named] == expected
    assert {"class", "attributes"} & manifest.keys() == {named} - {"edit"}
    assert render(*flags, flag, "--truncation=0.5") == 1


def test_an_archive_holds_the_same_pixels(
    render: Callable[..., int], tmp_path: Path, decode: Decode
) -> None:
    assert render("--count", 70, "--seed", 2**32 - 3) == 0
    assert render("--count", 70, "--seed", 2**32 - 3, "--out", "all.npz") == 0
    files = content(tmp_path / "out")
    with np.load(tmp_path / "all.npz") as archive:
        assert archive["seeds"].dtype == np.uint32
        assert str(archive["manifest"]).encode() == files["manifest.json"]
        for seed, pixels in zip(archive["seeds"], archive["pixels"], strict=True):
            assert np.array_equal(decode(files[f"{seed}.png"]), pixels[..., 0])
        assert len(archive["seeds"]) == 70
    assert {path.name for path in tmp_path.iterdir()} == {"out", "all.npz"}


@pytest.mark.parametrize("out", ["out", "out.npz"])
def test_a_killed_run_resumes_and_ends_with_the_same_bytes(
    render: Callable[..., int], root: Path, models: Path, tmp_path: Path, out: str
) -> None:
    count = 1280
    flags = ["--models", models, "--provider", "cpu", "--count", count, "--out"]
    command = [sys.executable, "-c", STANDS_STILL, "render", *map(str, flags), str(tmp_path / out)]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE)
    place = tmp_path / (out if out == "out" else f"{out}.part")

    def found() -> list[Path]:
        return [path for path in place.glob("*") if path.suffix != ".part"]

    try:
        eventually(lambda: len(found()) > 6 or process.poll() is not None)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert not (tmp_path / "out.npz").exists()
    written = {path: path.stat().st_mtime_ns for path in found()}
    assert len(written) < count
    if out == "out":
        damaged = next(path for path in written if path.suffix == ".png")
        damaged.write_bytes(damaged.read_bytes()[:-5])
        written.pop(damaged)

    assert render("--count", count, "--out", tmp_path / out) == 0
    assert render("--count", count, "--out", f"whole-{out}") == 0
    if out == "out":
        assert all(path.stat().st_mtime_ns == time for path, time in written.items())
        assert content(tmp_path / "out") == content(tmp_path / "whole-out")
        assert len(content(tmp_path / "out")) == count + 1
    else:
        assert (tmp_path / out).read_bytes() == (tmp_path / f"whole-{out}").read_bytes()
        assert not place.exists()


@pytest.mark.parametrize("out", ["out", "out.npz"])
def test_a_finished_output_is_not_written_again(
    render: Callable[..., int], tmp_path: Path, out: str
) -> None:
    assert render("--count", 3, "--out", out) == 0
    files = [tmp_path / out, *(tmp_path / out).glob("*")]
    before = [path.stat().st_mtime_ns for path in files]
    assert render("--count", 3, "--out", out) == 0
    assert [path.stat().st_mtime_ns for path in files] == before


@pytest.mark.parametrize("out", ["out", "out.npz"])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", 7], "seed 0, not 7"),
        (["--count", 4], "count 3, not 4"),
        (["--model", "faces"], "model 'fashion-mnist', not 'faces'"),
        (["--truncation", 0.5], "truncation 1.0, not 0.5"),
        (["--scale", 2], "scale 1, not 2"),
    ],
    ids=lambda flags: str(flags[0]).strip("-") if isinstance(flags, list) else "",
)
def test_an_output_with_other_images_is_refused(
    render: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    out: str,
    flags: list[object],
    message: str,
) -> None:
    assert render("--count", 3, "--out", out) == 0
    before = content(tmp_path / out) if out == "out" else (tmp_path / out).read_bytes()
    assert render("--count", 3, "--out", out, *flags) == 1
    error = capsys.readouterr().err
    assert f"error: {out}" in error
    assert message in error
    assert "choose another --out" in error
    after = content(tmp_path / out) if out == "out" else (tmp_path / out).read_bytes()
    assert after == before


def test_an_output_of_another_version_is_refused(
    render: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render("--count", 3) == 0
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 2', '"version": 1'))
    assert render("--count", 3) == 1
    assert "version 1, not 2" in capsys.readouterr().err


def test_other_files_are_not_touched(
    render: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0.png").write_text("mine")
    assert render("--count", 3) == 1
    assert "holds other files, but no manifest.json" in capsys.readouterr().err
    assert content(tmp_path / "out") == {"0.png": b"mine"}

    (tmp_path / "out" / "manifest.json").write_text("{}")
    assert render("--count", 3) == 1
    assert "not a manifest of rendered images" in capsys.readouterr().err

    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for mine in (b"mine", b"", array.getvalue()):
        (tmp_path / "mine.npz").write_bytes(mine)
        assert render("--count", 3, "--out", "mine.npz") == 1
        assert "mine.npz: not an archive of rendered images" in capsys.readouterr().err
        assert (tmp_path / "mine.npz").read_bytes() == mine


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        ([], 2, "error: --count is required"),
        (["--count", 0], 2, "error: count: Input should be greater than or equal to 1, not '0'"),
        (["--count", 1, "--model", "cats"], 1, "model is 'cats' but must be one of digits,"),
        (["--count", 1, "--version", 77], 1, "version of fashion-mnist is 77 but must be one of"),
        (["--count", 1, "--edit", "hat:1"], 1, "fashion-mnist/2 has no attributes to edit"),
        (["--count", 1, "--class", "boot"], 1, "left out: fashion-mnist/2 has no classes"),
        (["--count", 1, "--class", "a:0"], 2, "error: classes.0: at least one weight"),
        (["--count", 1, "--class", "a,"], 2, "error: classes.1: write a name, an"),
        (["--count", 1, "--attributes", "hat"], 1, "fashion-mnist/2 has no attributes to choose"),
        (["--count", 1, "--attributes", "a:2"], 2, "attributes.0: write name, -name"),
        (["--count", 1, "--attributes=a,-a"], 2, "attributes: every attribute is"),
        (["--count", 1, "--scale", 9], 2, "scale: Input should be less than or equal to 8, not"),
        (
            ["--count", 1, "--edit", "hat"],
            2,
            "error: edit.0: write name:strength, from -5",
        ),
        (["--count", 1, "--out", "file/out"], 1, "Not a directory"),
    ],
)
def test_a_wrong_argument_is_reported(
    render: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[object],
    status: int,
    message: str,
) -> None:
    (tmp_path / "file").touch()
    assert render(*flags) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_wrong_variable_of_the_server_is_reported(
    render: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DCGAN_MAX_QUEUE", "5")
    assert render("--count", 1) == 2
    assert "max_queue 5 is less than max_images 256" in capsys.readouterr().err


def test_ctrl_c_prints_how_to_resume(
    render: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.rendering.render.open_output", stopped)
    assert render("--count", 3) == 130
    assert "run the same command again to continue" in capsys.readouterr().err


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        __main__.main(["render", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name in (
        "out",
        "model",
        "version",
        "count",
        "seed",
        "class",
        "attributes",
        "edit",
        "truncation",
        "scale",
        "provider",
    ):
        assert f"--{name} " in text
    assert "--port" not in text
