"""``optimise``: adds faster graphs to a published version, for this machine's providers.

Which rewritten graph is the fastest depends on the provider and the CPU, so it is measured on every
provider that is available. The plain graph is kept for all other providers.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from app.artifact import atomic_files, card
from app.artifact.card import Card, CardError, Metric, Variant
from app.latent import sampling
from app.latent.sampling import Latents
from app.runtime.cpus import available
from training.errors import ExportError
from training.export import parity
from training.export.chain import Rewrite, rewrite_graph
from training.export.cpu_session import require_onnxruntime, run_graph
from training.export.rewrite import (
    fold_batch_norms,
    interleave_parities,
    multiply_first,
    shuffle_pixels,
    split_parities,
)

if TYPE_CHECKING:
    from app.runtime.providers import Placement, ProviderName

PLAIN = "plain"
CANDIDATES: dict[str, tuple[Rewrite, ...]] = {
    "folded": (fold_batch_norms, multiply_first),
    "shuffled": (fold_batch_norms, multiply_first, shuffle_pixels),
    "split": (fold_batch_norms, multiply_first, split_parities),
    "interleaved": (fold_batch_norms, multiply_first, interleave_parities),
}
PROVIDERS: "tuple[ProviderName, ...]" = ("cpu", "openvino", "cuda")

BATCH, ROUNDS = 64, 9
"""Images per batch, and rounds per graph, of which the fastest counts."""
PARITY_SEEDS = 1024
"""Number of seeds on which the rewritten graphs are compared with the plain one."""
_MIN_SPEED_UP = 1.1
"""Smallest speed-up over the plain graph for which another graph is stored."""


@dataclass(frozen=True)
class Throughput:
    """The throughput of every graph on one provider."""

    placement: "Placement"
    rates: dict[str, float]
    """Images per second, by the name of the graph."""

    @property
    def best(self) -> str:
        """The fastest graph; the plain one if no other is fast enough to store it."""
        name = max(self.rates, key=self.rates.__getitem__)
        return name if self.speed_up(name) >= _MIN_SPEED_UP else PLAIN

    def speed_up(self, name: str) -> float:
        """The throughput of a graph divided by that of the plain one."""
        return self.rates[name] / self.rates[PLAIN]

    def __str__(self) -> str:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in self.rates.items())
        placement = f"{self.placement.provider} in {self.placement.precision}"
        return f"{placement}: {rates} images/s; using {self.best}"


def optimise(folder: Path) -> Iterator[Throughput]:
    """Measure the version in ``folder`` on each available provider, then write the best graphs.

    Raises ExportError if the folder is not a version, if its graph cannot be rewritten, and if a
    rewritten graph does not draw the same images.
    """
    folder = folder.resolve()  # a card is checked against the names of its folders
    try:
        model_card = card.read(folder)
        plain = card.load_graph(folder, model_card.variant("any"))
    except CardError as error:
        raise ExportError(str(error)) from error
    rows = sampling.from_seeds(
        range(PARITY_SEEDS), model_card.latent.width, model_card.latent.prior
    )
    graphs = {PLAIN: plain, **rewrite_all(plain, rows)}
    found = []
    for placement in _placements():
        found.append(measure(placement, graphs, rows[:BATCH]))
        yield found[-1]
    _write(folder, model_card, graphs, found)


def rewrite_all(plain: bytes, rows: Latents) -> dict[str, bytes]:
    """All rewritten graphs, by name. Raises ExportError if one does not draw the same images."""
    graphs = {name: rewrite_graph(plain, *rewrites) for name, rewrites in CANDIDATES.items()}
    drawn = run_graph(plain, rows)
    for content in graphs.values():
        parity.check(drawn, content, rows)
    return graphs


def _placements() -> "Iterator[Placement]":
    """Every provider that is available on this machine."""
    require_onnxruntime()
    from app.runtime.providers import ProviderError, candidates

    for provider in PROVIDERS:
        try:
            yield from candidates(provider, threads=available())
        except ProviderError:
            continue


def measure(placement: "Placement", graphs: dict[str, bytes], rows: Latents) -> Throughput:
    """The best of alternating rounds: other load on the machine can only make a round slower."""
    from app.runtime.providers import GraphError, ProviderError

    try:
        loaded = {name: _load(content, placement) for name, content in graphs.items()}
    except (GraphError, ProviderError) as error:
        raise ExportError(f"provider {placement.provider}: {error}") from error
    seconds = dict.fromkeys(graphs, float("inf"))
    for _ in range(ROUNDS):
        for name, draw in loaded.items():
            began = time.perf_counter()
            draw(rows)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return Throughput(placement, {name: len(rows) / best for name, best in seconds.items()})


def _load(content: bytes, placement: "Placement") -> "Callable[[Latents], object]":
    """A function that runs the graph as the server does."""
    from app.runtime.parallel_sessions import ParallelSessions
    from app.runtime.providers import session

    if placement.provider == "cpu":
        parallel = ParallelSessions(content, placement)
        return lambda rows: parallel({card.INPUT: rows})
    loaded = session(content, placement)
    return lambda rows: loaded.run(None, {card.INPUT: rows})


def _write(
    folder: Path, model_card: Card, graphs: dict[str, bytes], found: list[Throughput]
) -> None:
    """Write the graphs, then the card that names them, then delete the graphs it replaces."""
    providers = {one.placement.provider for one in found}
    kept = [one for one in model_card.variants if one.provider not in providers]
    metrics = {
        name: metric
        for name, metric in model_card.metrics.items()
        if name not in {f"speed_up_{provider}" for provider in providers}
    }
    for one in found:
        if one.best != PLAIN:
            provider, content = one.placement.provider, graphs[one.best]
            file = f"generator.{provider}.onnx"
            atomic_files.write(folder / file, content)
            kept.append(Variant(file=file, sha256=card.digest(content), provider=provider))
            metrics[f"speed_up_{provider}"] = _speed_up(one)
    card.write(model_card.model_copy(update={"variants": kept, "metrics": metrics}), folder)
    for variant in model_card.variants:
        if variant.file not in {one.file for one in kept}:
            (folder / variant.file).unlink()


def _speed_up(one: Throughput) -> Metric:
    placement = one.placement
    protocol = (
        f"images a second of the graph for provider {placement.provider} ({one.best}) over those "
        f"of the plain one there, both in {placement.precision}, in batches of {BATCH}: the best "
        f"of {ROUNDS} alternating rounds ({_cpu()}, {placement.threads} threads)"
    )
    return Metric(value=round(one.speed_up(one.best), 2), protocol=protocol)


def _cpu() -> str:
    return str(torch.cpu.get_capabilities().get("cpu_name", "CPU"))
