"""``avatars``: many faces, drawn by several processes, become one data set."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.artifact import atomic_files
from app.imaging import png, sheets
from app.runtime.cpus import available
from training.data.avatars import dataset, drawing
from training.data.avatars.dataset import FILE, LICENCE, SHEET, SIZE, Avatars
from training.data.avatars.faces import ATTRIBUTES, choose, described
from training.data.avatars.options import Album
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
        dataset.write(staging / FILE, faces, options.seed, libraries)
        (staging / SHEET).write_bytes(sheet(faces.images[:SHOWN]))
        for path in staging.iterdir():
            atomic_files.sync(path)
        staging.rename(out)
    atomic_files.sync(out.parent)
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
    small = sheets.sheet(pixels.transpose(0, 2, 3, 1), sheets.square_columns(len(pixels)))
    return png.encode(small.repeat(SCALE, axis=0).repeat(SCALE, axis=1))


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
    context, readers = get_context("spawn"), list[Connection]()
    workers = []
    try:
        for k in range(processes):
            reader, writer = context.Pipe(duplex=False)
            work = (drawn, starts[k::processes], writer)
            worker = context.Process(target=_work, args=work, daemon=True)
            worker.start()
            writer.close()  # the worker has its own: where that ends, so does the pipe
            workers.append(worker)
            readers.append(reader)
        yield _received(readers, len(starts))
    finally:
        for reader, worker in zip(readers, workers, strict=True):
            reader.close()
            worker.kill()  # it has nothing to tidy up, and cannot be kept from ending
        for worker in workers:
            worker.join()


def _received(readers: list[Connection], count: int) -> Iterator[Block]:
    """``count`` blocks, of every worker in turn. Raises DataError where one of them is killed."""
    for k in range(count):
        try:
            received: Block = readers[k % len(readers)].recv()
        except (EOFError, OSError) as error:
            raise DataError(
                f"--processes {len(readers)}: one of them was killed, perhaps for want of memory; "
                "draw with fewer"
            ) from error
        yield received


def _work(drawn: Callable[[int], Block], starts: range, results: Connection) -> None:
    """Draw the blocks that begin at ``starts``, as long as somebody reads them.

    Each worker has a pipe of its own: a queue that all share is locked for ever where one is
    killed while it writes, and none would notice the death of the process that reads.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; its parent will end it
    with suppress(BrokenPipeError), results:
        for start in starts:
            results.send(drawn(start))
