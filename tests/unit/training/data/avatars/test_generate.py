import contextlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("python_avatars", reason="the extra 'avatars' is not installed")
pytest.importorskip("resvg_py", reason="the extra 'avatars' is not installed")

from tests.waiting import PATIENCE, eventually
from training.__main__ import main
from training.data.avatars import dataset, rendering
from training.data.avatars.dataset import FILE, SHEET
from training.data.avatars.faces import ATTRIBUTES, attributes_of, sample_face

COUNT, SEED = 40, 3


def draw(out: Path, *flags: object) -> int:
    usual = ["--count", str(COUNT), "--seed", str(SEED), "--processes", "1"]
    return main(["avatars", "--out", str(out), *usual, *map(str, flags)])


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty faces, two blocks, drawn by one process. Read-only."""
    out = tmp_path_factory.mktemp("drawn") / "data" / "faces"
    assert draw(out) == 0
    return out


# The generated data set.


def test_a_folder_holds_the_faces_and_a_sheet(faces: Path) -> None:
    assert {path.name for path in faces.iterdir()} == {FILE, SHEET}
    assert [path.name for path in faces.parent.iterdir()] == [faces.name]
    found = dataset.read(faces)
    assert found.images.shape == (COUNT, 3, 64, 64)
    assert list(found.attributes) == list(ATTRIBUTES)
    for number in (0, 31, 32, COUNT - 1):
        face = sample_face(SEED, number)
        np.testing.assert_array_equal(found.images[number], rendering.render(face))
        attributes = [bool(column[number]) for column in found.attributes.values()]
        assert attributes == attributes_of(face)


def test_the_sheet_shows_the_first_faces_four_times_as_large(faces: Path) -> None:
    with Image.open(io.BytesIO((faces / SHEET).read_bytes())) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (6 * 256, 7 * 256, 3)  # 40 in rows of 7
    first = pixels[:256, 256:512]
    np.testing.assert_array_equal(first[::4, ::4].transpose(2, 0, 1), second(faces))
    np.testing.assert_array_equal(first[::4], first[3::4])


def second(faces: Path) -> np.ndarray:
    return dataset.read(faces).images[1]


def test_two_processes_draw_what_one_draws(faces: Path, tmp_path: Path) -> None:
    assert draw(tmp_path / "faces", "--processes", 2) == 0
    for name in (FILE, SHEET):
        assert (tmp_path / "faces" / name).read_bytes() == (faces / name).read_bytes()


def test_fewer_faces_are_the_first_of_more(faces: Path, tmp_path: Path) -> None:
    assert draw(tmp_path / "faces", "--count", 5) == 0
    few, many = dataset.read(tmp_path / "faces"), dataset.read(faces)
    np.testing.assert_array_equal(few.images, many.images[:5])
    for name, column in few.attributes.items():
        np.testing.assert_array_equal(column, many.attributes[name][:5])


def test_another_seed_draws_other_faces(faces: Path, tmp_path: Path) -> None:
    assert draw(tmp_path / "faces", "--count", 3, "--seed", 4) == 0
    assert np.any(dataset.read(tmp_path / "faces").images != dataset.read(faces).images[:3])


def test_by_default_there_is_one_process_per_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    real = multiprocessing.get_context("spawn")

    class Context:
        Pipe = real.Pipe

        @staticmethod
        def Process(**call: Any) -> Any:  # noqa: N802 - its name in multiprocessing
            begun.append(call)
            return real.Process(**call)

    monkeypatch.setattr("training.data.avatars.generate.get_context", lambda _: Context)
    monkeypatch.setattr("training.data.avatars.generate.available", lambda: 2)
    assert draw(tmp_path / "faces", "--processes", 0) == 0
    assert len(begun) == 2
    # No more of them than there are blocks to draw.
    assert draw(tmp_path / "more", "--processes", 9) == 0
    assert len(begun) == 4
    assert not multiprocessing.active_children()


def test_progress_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(tmp_path / "faces", "--count", 2) == 0
    output = capsys.readouterr()
    assert "2/2" in output.err
    assert output.out == f"generated {tmp_path / 'faces'}\n"


# Errors.


@pytest.mark.parametrize("kind", ["faces", "an empty folder", "a file"])
def test_an_existing_path_is_not_overwritten(
    kind: str, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = faces if kind == "faces" else tmp_path / "here"
    if kind == "an empty folder":
        place.mkdir()
    elif kind == "a file":
        place.write_text("mine")
    before = sorted((path, path.stat().st_mtime_ns) for path in (place, *place.rglob("*")))
    assert draw(place, "--count", 1) == 1
    assert capsys.readouterr().err == (
        f"error: --out {place}: already exists; generated faces are never overwritten\n"
    )
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (place, *place.rglob("*")))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--count", "0"),
        ("--count", "1000001"),
        ("--count", "many"),
        ("--seed", "-1"),
        ("--seed", "4294967296"),
        ("--processes", "-1"),
    ],
)
def test_an_invalid_value_is_reported_with_its_flag_and_nothing_is_written(
    flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["avatars", "--out", str(tmp_path / "faces"), f"{flag}={value}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag} {value}: ")
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert draw(tmp_path / "file" / "faces", "--count", 1) == 1
    output = capsys.readouterr().err
    assert output.startswith("error: ")
    assert str(tmp_path / "file") in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, OSError("the disk is full")])
def test_an_unfinished_command_leaves_nothing(
    trouble: BaseException | type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def troubled(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(dataset, "write", troubled)
    assert draw(tmp_path / "faces", "--count", 2) in {1, 130}
    assert list(tmp_path.iterdir()) == []


# Other processes.


def children(pid: int) -> list[int]:
    """The running child processes of ``pid``."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether ``pid`` runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Undoes that a shell lets background processes, and their children, ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def started(
    root: Path, out: Path, log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process that draws more faces than it can finish, and its child processes."""
    call = ["avatars", "--count", "100000", "--processes", "2", "--out", str(out)]
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "training", *call], cwd=root, stderr=file, start_new_session=True
        )
    try:
        eventually(lambda: "32/100000" in log.read_text())
        workers = children(process.pid)
        assert len(workers) >= 2
        yield process, workers
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


listed = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="this system does not list processes in /proc"
)


@listed
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_command_leaves_no_faces_and_no_process(
    stop: signal.Signals, root: Path, tmp_path: Path
) -> None:
    place, log = tmp_path / "data", tmp_path / "log"
    with started(root, place / "faces", log) as (process, workers):
        process.send_signal(stop)
        code = process.wait(PATIENCE)
        eventually(lambda: not any(alive(pid) for pid in workers))
    assert code == (130 if stop == signal.SIGINT else -stop)
    assert "Traceback" not in log.read_text()
    # A killed process cannot clean up: it leaves a hidden folder, but no data set.
    left = list(place.iterdir())
    assert all(path.name.startswith(".part-") for path in left)
    assert stop != signal.SIGINT or not left
    assert not list(place.rglob(FILE))


@listed
def test_a_killed_worker_is_reported_in_one_line(root: Path, tmp_path: Path) -> None:
    place, log = tmp_path / "data", tmp_path / "log"
    with started(root, place / "faces", log) as (process, workers):
        # Python's resource tracker is a child process too.
        calls = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in workers}
        os.kill(next(pid for pid, call in calls.items() if "spawn_main" in call), signal.SIGKILL)
        assert process.wait(PATIENCE) == 1
    assert "error: --processes 2: a worker process was killed" in log.read_text().splitlines()[-1]
    assert "Traceback" not in log.read_text()
    assert list(place.iterdir()) == []


def test_other_commands_import_none_of_the_drawing_libraries(root: Path) -> None:
    program = (
        "import sys, training.__main__, training.data.datasets; "
        "training.__main__.parser(); "
        "print(*{'python_avatars', 'resvg_py', 'torch'} & sys.modules.keys())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True
    )
    assert ended.stdout.split() == []
