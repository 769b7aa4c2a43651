"""The parity check: an exported graph must draw what the original generator draws."""

import numpy as np

from app.artifact.card import Metric
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents
from training.errors import ExportError
from training.export.cpu_session import run_graph

MAX_DIFFERENCE = 1
"""Largest accepted difference of a pixel, in grey levels."""
MAX_SHARE = 0.001
"""Largest accepted share of pixels that differ."""


def check(
    expected: Pixels, graph: bytes, rows: Latents, conditions: int = 0
) -> tuple[Pixels, Metric]:
    """The pixels that ``graph`` draws, and the share of them that differs from ``expected``.

    ``rows`` and ``conditions`` are as in ``run_graph``.
    Raises ExportError if they have another shape, or differ by more than one grey level, or in more
    than one pixel in a thousand.
    """
    drawn = run_graph(graph, rows, conditions)
    if drawn.shape != expected.shape:
        raise ExportError(f"the graph draws {drawn.shape}, the generator {expected.shape}")
    difference = np.abs(drawn.astype(np.int16) - expected)
    share = float((difference > 0).mean())
    if difference.max() > MAX_DIFFERENCE or share > MAX_SHARE:
        raise ExportError(
            f"the graph does not draw what the generator draws: {share:.2%} of the pixels differ, "
            f"by up to {difference.max()} grey levels"
        )
    protocol = (
        f"share of pixels that differ from the generator's before it was exported, by one grey "
        f"level at most, over {len(rows)} seeds (onnxruntime, CPU provider)"
    )
    return drawn, Metric(value=share, protocol=protocol)
