"""TensorRT's engines: one for all batch sizes of a server, and the folder where they are cached.

onnxruntime, "TensorRT Execution Provider": an engine is built for a range of shapes, which takes
from seconds to minutes, and is rebuilt for a shape outside that range. It is valid for one graph,
one precision, one version of onnxruntime and of TensorRT, and one kind of GPU.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import onnxruntime as ort

from app.artifact.card import digest
from app.runtime.providers import Placement, ProviderError

_Loaded = TypeVar("_Loaded")

logger = logging.getLogger(__name__)


def provider_options(
    widths: Mapping[str, int], max_batch: int, folder: Path | None
) -> dict[str, str]:
    """Options for one engine for 1 to ``max_batch`` images, cached in ``folder``.

    ``widths`` are those of the graph's inputs, float32 ``(n, width)``. The engine is fastest for
    full batches. CUDA graphs stay off: this provider captures one for each session, and replays it
    whatever the batch size.
    """
    batches = {"min": 1, "opt": max_batch, "max": max_batch}
    options = {
        f"trt_profile_{end}_shapes": ",".join(f"{name}:{n}x{z}" for name, z in widths.items())
        for end, n in batches.items()
    }
    if folder is None:
        return options
    return {**options, "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}


def engine_name(graph: bytes, placement: Placement, max_batch: int) -> str:
    """The name of an engine's folder in the cache.

    onnxruntime names its files by the graph's operators, not by its weights, so that two versions
    of a model would share a file. It adds the kind of GPU itself.
    """
    return f"{digest(graph)}-{placement.precision}-{max_batch}-onnxruntime-{ort.__version__}"


def cached(cache: Path | None, name: str, load: Callable[[Path | None], _Loaded]) -> _Loaded:
    """The result of ``load(folder)``, where ``folder`` holds the engine ``name`` in ``cache``.

    ``load`` builds the engine if ``folder`` is empty. The folder appears in the cache only once it
    is complete. An engine that cannot be loaded, such as one of another TensorRT, is replaced.
    Without a ``cache`` it is ``load(None)``, and nothing is stored. Raises ProviderError if the
    cache cannot be written, and what ``load`` raises.
    """
    if cache is None:
        return load(None)
    folder = cache / name
    if folder.exists():
        try:
            return load(folder)
        except Exception as error:  # noqa: BLE001 onnxruntime's errors have no common class
            logger.warning("the engine in %s cannot be loaded; rebuilding it: %s", folder, error)
    with _temporary_folder(cache) as building:
        loaded = load(building)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process has stored it first
            building.rename(folder)
    return loaded


@contextmanager
def _temporary_folder(cache: Path) -> Iterator[Path]:
    """An empty folder in ``cache``, which is removed at the end unless it was renamed."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        temporary = TemporaryDirectory(prefix="building-", dir=cache, ignore_cleanup_errors=True)
    except OSError as error:
        raise ProviderError(f"engine_cache={cache}: cannot store engines there: {error}") from error
    with temporary as path:
        yield Path(path)
