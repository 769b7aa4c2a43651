"""What was found in an image folder, what of it was used, and why the rest was not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from app.artifact.version_key import printable
from training.data.images import ImageSet

_EXAMPLES = 3


class SkipReport:
    """Announces every file and folder that is skipped, and summarises them. Call it to add one."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._skipped: dict[str, list[Path]] = {}
        """The paths by the reason."""

    def __call__(self, path: Path, reason: str) -> None:
        """Announce that ``path`` is skipped for ``reason``."""
        self._skipped.setdefault(reason, []).append(path)
        self._notify(f"warning: {printable(str(path))}: skipped: {printable(reason)}")

    def table(self, image_set: ImageSet) -> Iterator[str]:
        """The numbers of files that were found, used and skipped, as lines of text."""
        skipped = sum(map(len, self._skipped.values()))
        used, held_out = len(image_set.pixels), image_set.held_out
        yield f"{image_set.name}: {used + held_out + skipped} found, {used} used, {skipped} skipped"
        if held_out:
            yield f"{held_out:8} held out"
        if near := image_set.near_duplicates:
            yield f"{near:8} are nearly equal to others, which are on the same side"
        for reason, paths in sorted(self._skipped.items(), key=lambda each: -len(each[1])):
            names = [printable(path.name) for path in paths[:_EXAMPLES]]
            more = ", …" if len(paths) > _EXAMPLES else ""
            yield f"{len(paths):8} skipped: {printable(reason)} ({', '.join(names)}{more})"
        if image_set.labels:
            counts = np.bincount(image_set.labels.values, minlength=len(image_set.labels.names))
            for name, count in zip(image_set.labels.names, counts.tolist(), strict=True):
                yield f"{count:8} of class {name}"
