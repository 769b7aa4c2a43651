"""``avatars``: renders many faces in several processes and writes them as one data set."""

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
from training.data.avatars import dataset, rendering
from training.data.avatars.dataset import FILE, LICENCE, SHEET, SIZE, Avatars
from training.data.avatars.faces import ATTRIBUTES, attributes_of, sample_face
from training.data.avatars.options import AvatarsOptions
from training.errors import DataError

Block = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""Images ``(n, 3, SIZE, SIZE)`` and their attributes ``(n, k)``."""

SHEET_IMAGES = 64
"""Number of faces on the sheet."""
SHEET_SCALE = 4
"""Scale of the faces on the sheet."""

_BLOCK = 32
"""Faces that a worker renders between two results: a fraction of a second."""


def generate(options: AvatarsOptions) -> Path:
    """Render the faces of ``options`` into its output folder, and return that folder.

    The folder appears only once it is complete. Raises DataError if it exists already, if the
    drawing libraries are not installed, or if a worker process is killed.
    """
    out = options.out
    if out.exists():
        raise DataError(f"--out {out}: already exists; generated faces are never overwritten")
    libraries = rendering.libraries()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=out.parent) as beside:
        staging = Path(beside) / out.name
        staging.mkdir()
        faces = render_all(options)
        dataset.write(staging / FILE, faces, options.seed, libraries)
        (staging / SHEET).write_bytes(sheet(faces.images[:SHEET_IMAGES]))
        for path in staging.iterdir():
            atomic_files.sync(path)
        staging.rename(out)
    atomic_files.sync(out.parent)
    return out


def render_all(options: AvatarsOptions) -> Avatars:
    """The faces 0 to ``count - 1`` of ``options``. Shows a progress bar."""
    count = options.count
    images = np.empty((count, 3, SIZE, SIZE), dtype=np.uint8)
    attributes = np.empty((count, len(ATTRIBUTES)), dtype=np.bool_)
    done = 0
    with _blocks(options) as blocks, tqdm(total=count, unit="face") as bar:
        for block_images, block_attributes in blocks:
            rows = slice(done, done + len(block_images))
            images[rows], attributes[rows] = block_images, block_attributes
            done = rows.stop
            bar.update(len(block_images))
    return Avatars(images, dict(zip(ATTRIBUTES, attributes.T, strict=True)), LICENCE)


def sheet(pixels: NDArray[np.uint8]) -> bytes:
    """Images ``(n, 3, h, w)`` as a PNG contact sheet, as square as possible and magnified."""
    small = sheets.sheet(pixels.transpose(0, 2, 3, 1), sheets.square_columns(len(pixels)))
    return png.encode(small.repeat(SHEET_SCALE, axis=0).repeat(SHEET_SCALE, axis=1))


def render_block(seed: int, count: int, start: int) -> Block:
    """The faces from number ``start`` on: ``_BLOCK`` of them, or fewer at the end of ``count``."""
    numbers = range(start, min(start + _BLOCK, count))
    faces = [sample_face(seed, number) for number in numbers]
    images = np.stack([rendering.render(face) for face in faces])
    return images, np.array([*map(attributes_of, faces)])


@contextmanager
def _blocks(options: AvatarsOptions) -> Iterator[Iterator[Block]]:
    """All blocks in order, rendered by ``options.processes`` worker processes."""
    starts = range(0, options.count, _BLOCK)
    render = partial(render_block, options.seed, options.count)
    processes = min(options.processes or available(), len(starts))
    if processes == 1:
        yield map(render, starts)
        return
    # Spawned, not forked: this process has threads.
    context, readers = get_context("spawn"), list[Connection]()
    workers = []
    try:
        for k in range(processes):
            reader, writer = context.Pipe(duplex=False)
            work = (render, starts[k::processes], writer)
            worker = context.Process(target=_work, args=work, daemon=True)
            worker.start()
            writer.close()  # the worker has its own copy: when it ends, the pipe is closed
            workers.append(worker)
            readers.append(reader)
        yield _received(readers, len(starts))
    finally:
        for reader, worker in zip(readers, workers, strict=True):
            reader.close()
            worker.kill()  # a worker has no state to save and must not be able to delay the end
        for worker in workers:
            worker.join()


def _received(readers: list[Connection], count: int) -> Iterator[Block]:
    """``count`` blocks, from each worker in turn. Raises DataError if a worker is killed."""
    for k in range(count):
        try:
            received: Block = readers[k % len(readers)].recv()
        except (EOFError, OSError) as error:
            raise DataError(
                f"--processes {len(readers)}: a worker process was killed, perhaps because the "
                "memory is full; use fewer processes"
            ) from error
        yield received


def _work(render: Callable[[int], Block], starts: range, results: Connection) -> None:
    """Send the blocks that begin at ``starts`` until the reader closes the pipe.

    Each worker has a pipe of its own: a queue shared by all workers stays locked permanently if
    one is killed while it writes, and no worker would notice that the reading process has died.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches workers too; the parent ends them
    with suppress(BrokenPipeError), results:
        for start in starts:
            results.send(render(start))
