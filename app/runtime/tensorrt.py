"""TensorRT's engines: one for all batches of a server, and the folder where they are kept.

onnxruntime, "TensorRT Execution Provider": an engine is built for a range of shapes, which takes
from seconds to minutes, and anew for a shape outside it. It is good for one graph, one precision,
one version of onnxruntime and of TensorRT, and one kind of card.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import onnxruntime as ort

from app.artifact.card import INPUT, digest
from app.runtime.providers import Placement, ProviderError

_Made = TypeVar("_Made")

logger = logging.getLogger(__name__)


def options(width: int, largest: int, folder: Path | None) -> dict[str, str]:
    """Of the provider: one engine for 1 to ``largest`` latents of ``width``, kept in ``folder``.

    It is the fastest for full batches. CUDA graphs are left out: this provider records one a
    session, and replays it whatever the size of the batch.
    """
    shapes = {"min": 1, "opt": largest, "max": largest}
    told = {f"trt_profile_{end}_shapes": f"{INPUT}:{n}x{width}" for end, n in shapes.items()}
    if folder is None:
        return told
    return {**told, "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}


def name(graph: bytes, place: Placement, largest: int) -> str:
    """The folder of an engine.

    onnxruntime names its files by the graph's operators, not by its weights: two versions of a
    model would share one. It writes the kind of card there itself.
    """
    return f"{digest(graph)}-{place.precision}-{largest}-onnxruntime-{ort.__version__}"


def kept(folder: Path | None, engine: str, make: Callable[[Path | None], _Made]) -> _Made:
    """What ``make`` makes, given the folder of ``engine`` below ``folder``.

    That appears when it is whole, and what does not serve there, such as an engine of another
    TensorRT, is replaced. Without a ``folder`` nothing is kept. Raises ProviderError for one that
    cannot be written, and what ``make`` raises.
    """
    if folder is None:
        return make(None)
    place = folder / engine
    if place.exists():
        try:
            return make(place)
        except Exception as error:  # noqa: BLE001 onnxruntime's errors have no common class
            logger.warning("the engine in %s does not serve, and is built anew: %s", place, error)
    with _room(folder) as room:
        made = make(room)
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # another process was sooner
            room.rename(place)
    return made


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """An empty folder in ``folder``, for as long as it is wanted there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = TemporaryDirectory(prefix="building-", dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise ProviderError(
            f"engine_cache={folder}: no engine can be kept there: {error}"
        ) from error
    with room as path:
        yield Path(path)
