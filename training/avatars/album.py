"""``avatars``: many faces, drawn by several processes, become one data set."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app import images
from app.cpus import available
from training import files
from training.avatars import drawing
from training.avatars.faces import ATTRIBUTES, choose, described
from training.avatars.options import Album
from training.data import avatars
from training.data.avatars import FILE, LICENCE, SHEET, SIZE, Avatars
from training.errors import DataError

Block = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""Images ``(n, 3, SIZE, SIZE)`` and their attributes ``(n, k)``."""

SHOWN = 64
"""Faces on the sheet."""
SCALE = 4
"""How many times as large they are there."""

_BLOCK = 32
"""Faces that a process draws between two reports: a fraction of a second."""


def draw(options: Album) -> Path:
    """Draw the faces that ``options`` ask for; returns their folder.

    The folder appears whole or not at all. Raises DataError where it is there already, where
    what draws is not installed, or where a process that draws is killed.
    """
    out = options.out
    if out.exists():
        raise DataError(f"--out {out}: is there already; faces that were drawn are not changed")
    libraries = drawing.libraries()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=out.parent) as beside:
        staging = Path(beside) / out.name
        staging.mkdir()
        faces = collected(options)
        avatars.write(staging / FILE, faces, options.seed, libraries)
        (staging / SHEET).write_bytes(sheet(faces.images[:SHOWN]))
        for path in staging.iterdir():
            files.sync(path)
        staging.rename(out)
    files.sync(out.parent)
    return out


def collected(options: Album) -> Avatars:
    """The faces 0 to ``count - 1`` of ``options``, with a progress bar."""
    count = options.count
    pixels = np.empty((count, 3, SIZE, SIZE), dtype=np.uint8)
    table = np.empty((count, len(ATTRIBUTES)), dtype=np.bool_)
    done = 0
    with _blocks(options) as blocks, tqdm(total=count, unit="face") as bar:
        for some, told in blocks:
            pixels[done : done + len(some)] = some
            table[done : done + len(some)] = told
            done += len(some)
            bar.update(len(some))
    return Avatars(pixels, dict(zip(ATTRIBUTES, table.T, strict=True)), LICENCE)


def sheet(pixels: NDArray[np.uint8]) -> bytes:
    """Images ``(n, 3, h, w)`` as the squarest sheet, ``SCALE`` times as large, as a PNG."""
    small = images.sheet(pixels.transpose(0, 2, 3, 1), images.square(len(pixels)))
    return images.png(small.repeat(SCALE, axis=0).repeat(SCALE, axis=1))


def block(seed: int, count: int, start: int) -> Block:
    """The faces from number ``start`` on, ``_BLOCK`` of them or fewer at the end of ``count``."""
    faces = [choose(seed, number) for number in range(start, min(start + _BLOCK, count))]
    return np.stack([drawing.drawn(face) for face in faces]), np.array([*map(described, faces)])


@contextmanager
def _blocks(options: Album) -> Iterator[Iterator[Block]]:
    """Every block in its order, drawn by as many processes as ``options`` ask for."""
    starts = range(0, options.count, _BLOCK)
    drawn = partial(block, options.seed, options.count)
    processes = min(options.processes or available(), len(starts))
    if processes == 1:
        yield map(drawn, starts)
        return
    # Spawned, not forked: this process has threads.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin)
    try:
        yield pool.map(drawn, starts)
    except BrokenProcessPool as error:
        raise DataError(
            f"--processes {processes}: one of them was killed, perhaps for want of memory; "
            "draw with fewer"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Let a worker end when its parent tells it or is killed, but not by itself at Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
