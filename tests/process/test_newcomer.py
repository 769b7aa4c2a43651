"""The transcript of a newcomer's own pictures in training/README.md, from folder to served image.

Its commands run as they stand, except that the networks are tiny, the port is free, and the run is
stopped as soon as it has shown its first epoch. What they print is the transcript's text, apart
from numbers, the device and the estimated time.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.serving import serving
from tests.waiting import PATIENCE, scaled

ADDRESS = "http://127.0.0.1:8000"
PYTHON = ".venv/bin/python"
SHORT = (
    "--batch-size=16 --latent-dim=4 --generator-filters=2 --discriminator-filters=2 "
    "--device=cpu --threads=1"
)
MEASURED = ("device", "threads", "time")
"""Rows whose words depend on the machine."""


class Command(NamedTuple):
    """A command of the transcript, and the lines that it prints there."""

    words: str
    output: list[str]


@pytest.fixture(scope="module")
def transcript(root: Path) -> dict[str, Command]:
    """The commands of the transcript, by what they do."""
    blocks = (root / "training" / "README.md").read_text().split("```console\n")[1:]
    text = "".join(block.partition("```")[0] for block in blocks)
    commands = [Command(part[0], part[1:]) for part in map(str.splitlines, text.split("$ ")[1:])]
    names = ("count", "fit", "export", "serve", "sheet", "image")
    return dict(zip(names, commands, strict=True))


@pytest.fixture(scope="module")
def place(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a folder of 100 drawn faces, half of them JPEG files."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "pictures").mkdir()
    random = np.random.default_rng(0)
    for number in range(100):
        skin, hair = (tuple(map(int, random.integers(60, 256, 3))) for _ in range(2))
        image = Image.new("RGB", (80, 72), "white")
        drawing = ImageDraw.Draw(image)
        drawing.ellipse((16, 4, 64, 60), fill=hair)
        drawing.ellipse((20, 12, 60, 68), fill=skin)
        for x in (32, 44):
            drawing.ellipse((x, 32, x + 5, 37), fill="black")
        image.save(folder / "pictures" / f"face-{number:03}.{('jpg', 'png')[number % 2]}")
    for name in ("app", "training"):
        (folder / name).symlink_to(root / name)
    return folder


def said(text: str) -> list[str]:
    """The lines of ``text`` without progress bars, as one reads them when they have passed."""
    shown = (line.rpartition("\r")[2].rstrip() for line in text.splitlines())
    return [line.replace(sys.executable, PYTHON) for line in shown if line and "%|" not in line]


def shape(line: str) -> str:
    """``line`` with ``#`` for every number; of a row that depends on the machine, its name."""
    name = line.partition(" ")[0]
    return name if name in MEASURED else re.sub(r"\d[\d,.]*", "#", line)


def check(command: Command, printed: str) -> None:
    """The lines of the transcript are in ``printed``, in this order; epochs after ``…`` may not."""
    found = iter(map(shape, said(printed)))
    for line in dict.fromkeys(map(shape, command.output)):
        if line not in {"…", "^C", "threads"}:  # threads are named on a busy machine alone
            assert line in found, (line, printed)


def run(command: Command, place: Path, words: str = "") -> str:
    ended = subprocess.run(  # noqa: S602 # as in a terminal
        (words or command.words).replace(PYTHON, sys.executable),
        shell=True,
        cwd=place,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def trained(transcript: dict[str, Command], place: Path) -> str:
    """What ``fit`` prints until Ctrl-C, after its first epoch."""
    words, log = transcript["fit"].words, place / "log"
    assert words == f"{PYTHON} -m training fit --dataset folder:pictures --out runs/pictures"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("w") as file:
        command = [sys.executable, *words.split()[1:], *SHORT.split()]
        process = subprocess.Popen(command, cwd=place, stdout=file, stderr=file, env=environment)
        end = time.monotonic() + scaled(PATIENCE)
        while "epoch 1/" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(scaled(PATIENCE)) == 130
    return log.read_text()


@pytest.fixture(scope="module")
def published(trained: str, transcript: dict[str, Command], place: Path) -> str:
    """What ``export`` prints about the stopped run."""
    assert trained
    return run(transcript["export"], place)


@pytest.fixture(scope="module")
def server(published: str, transcript: dict[str, Command], place: Path) -> Iterator[str]:
    """The address of a server of the published model."""
    assert published
    words = transcript["serve"].words.removesuffix(" &").split()
    assert words[0] == PYTHON
    with serving([sys.executable, *words[1:]], place, place / "server.log") as address:
        yield address


def test_the_folder_has_a_hundred_pictures(transcript: dict[str, Command], place: Path) -> None:
    check(transcript["count"], run(transcript["count"], place))


def test_fit_says_what_the_transcript_says(transcript: dict[str, Command], trained: str) -> None:
    check(transcript["fit"], trained)


def test_a_stopped_run_is_published(transcript: dict[str, Command], published: str) -> None:
    check(transcript["export"], published)


def test_the_model_is_served(transcript: dict[str, Command], server: str, place: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    check(transcript["serve"], (place / "server.log").read_text().replace(server, ADDRESS))
    for name, size in (("sheet", None), ("image", (64, 64))):
        command = transcript[name]
        assert ADDRESS in command.words
        check(command, run(command, place, command.words.replace(ADDRESS, server)))
        (file,) = re.findall(r" -o (\S+)", command.words)
        with Image.open(place / file) as image:
            assert image.format == "PNG"
            assert size in {None, image.size}
