"""The server, with a line on standard error for every batch: its images and its seconds."""

import sys
import time

from app.__main__ import main
from app.latent.sampling import Latents
from app.runtime.engine import Engine

_compute = Engine.__call__


def _timed(self: Engine, rows: dict[str, Latents]) -> object:
    began = time.perf_counter()
    pixels = _compute(self, rows)
    print(f"batch {len(pixels)} {time.perf_counter() - began}", file=sys.stderr)
    return pixels


if __name__ == "__main__":
    Engine.__call__ = _timed  # type: ignore[assignment,method-assign]
    sys.exit(main())
