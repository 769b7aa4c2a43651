"""Progress bars for downloads and for folders that are read."""

from typing import Any, Self

from tqdm import tqdm


class DownloadProgress:
    """One progress bar for each file that is downloaded and each folder that is read.

    Call it as a ``ByteCount``. As a context manager it closes its bars.
    """

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._bars: dict[str, tqdm[Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def __call__(self, name: str, so_far: int, total: int) -> None:
        """Advance the bar of ``name`` to ``so_far`` of ``total`` bytes."""
        if name not in self._bars:
            self._bars[name] = tqdm(
                total=total, desc=name, unit="B", unit_scale=True, disable=not self._shown
            )
        self._bars[name].update(so_far - self._bars[name].n)
