"""Seeds in a queue: their latents are computed with those of their whole batch.

For one seed alone that takes half as long as for sixteen, and the event loop would wait for it.
"""

from collections.abc import Sequence

from app.artifact.card import INPUT, Card
from app.batching.batcher import concatenated
from app.batching.jobs import Rows
from app.latent import sampling

SEEDS = "seeds"
"""Name of seeds, integers ``(n,)``, among rows in place of their latents."""


def merged(card: Card, parts: Sequence[Rows]) -> Rows:
    """The graph's inputs for a batch, some parts of which may have seeds."""
    if all(SEEDS in part for part in parts):
        return _with_latents(card, concatenated(parts))
    return concatenated([_with_latents(card, part) for part in parts])


def _with_latents(card: Card, rows: Rows) -> Rows:
    if SEEDS not in rows:
        return rows
    rest = {name: values for name, values in rows.items() if name != SEEDS}
    seeds = rows[SEEDS].tolist()
    return {INPUT: sampling.from_seeds(seeds, card.latent.width, card.latent.prior), **rest}
