"""``optimise``: a published version gets graphs that are faster where it will be served.

Which rewriting is the fastest depends on the provider and on the CPU, so it is measured, on every
provider that runs here. The graph for any provider stays, and with it what the others draw.
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
from training.export.chain import Rewrite, rewritten
from training.export.publish import compare
from training.export.rewrite import folded, multiplied, shuffled, split, woven
from training.export.runtime import onnxruntime, run_graph

if TYPE_CHECKING:
    from app.runtime.providers import Placement, ProviderName

PLAIN = "plain"
CANDIDATES: dict[str, tuple[Rewrite, ...]] = {
    "folded": (folded, multiplied),
    "shuffled": (folded, multiplied, shuffled),
    "split": (folded, multiplied, split),
    "woven": (folded, multiplied, woven),
}
PROVIDERS: "tuple[ProviderName, ...]" = ("cpu", "openvino", "cuda")

_BATCH, _ROUNDS, _COMPARED = 64, 9, 1024
_WORTH = 1.1
"""So many times as fast a graph has to be to be kept beside the plain one."""


@dataclass(frozen=True)
class Measured:
    """How fast every graph runs on one provider."""

    place: "Placement"
    rates: dict[str, float]
    """Images a second, by the graph's name."""

    @property
    def best(self) -> str:
        """The fastest graph; the plain one where no other is worth its file."""
        name = max(self.rates, key=self.rates.__getitem__)
        return name if self.gain(name) >= _WORTH else PLAIN

    def gain(self, name: str) -> float:
        """How many times as fast as the plain one a graph is."""
        return self.rates[name] / self.rates[PLAIN]

    def __str__(self) -> str:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in self.rates.items())
        place = f"{self.place.provider} in {self.place.precision}"
        return f"{place}: {rates} images/s; {self.best} is taken"


def optimise(folder: Path) -> Iterator[Measured]:
    """Measure the version in ``folder`` on one provider after the other, then write what is best.

    Raises ExportError for what is no version, for a graph that cannot be rewritten, and for a
    rewritten one that does not draw the same.
    """
    folder = folder.resolve()  # a card is checked against the names of its folders
    try:
        described = card.read(folder)
        plain = card.load_graph(folder, described.variant("any"))
    except CardError as error:
        raise ExportError(str(error)) from error
    rows = sampling.from_seeds(range(_COMPARED), described.latent.width, described.latent.prior)
    graphs = {PLAIN: plain, **candidates(plain, rows)}
    found = []
    for place in _places():
        found.append(_measured(place, graphs, rows[:_BATCH]))
        yield found[-1]
    _write(folder, described, graphs, found)


def candidates(plain: bytes, rows: Latents) -> dict[str, bytes]:
    """``plain`` in every other form, by name. Raises ExportError where one draws otherwise."""
    graphs = {name: rewritten(plain, *rewrites) for name, rewrites in CANDIDATES.items()}
    drawn = run_graph(plain, rows)
    for content in graphs.values():
        compare(drawn, content, rows)
    return graphs


def _places() -> "Iterator[Placement]":
    """Every provider that runs here."""
    onnxruntime()
    from app.runtime.providers import ProviderError, candidates

    for provider in PROVIDERS:
        try:
            yield from candidates(provider, threads=available())
        except ProviderError:
            continue


def _measured(place: "Placement", graphs: dict[str, bytes], rows: Latents) -> Measured:
    """The best of rounds that alternate: what else the machine does only ever takes time."""
    from app.runtime.providers import GraphError, ProviderError

    try:
        loaded = {name: _loaded(content, place) for name, content in graphs.items()}
    except (GraphError, ProviderError) as error:
        raise ExportError(f"provider {place.provider}: {error}") from error
    seconds = dict.fromkeys(graphs, float("inf"))
    for _ in range(_ROUNDS):
        for name, draw in loaded.items():
            began = time.perf_counter()
            draw(rows)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return Measured(place, {name: len(rows) / best for name, best in seconds.items()})


def _loaded(content: bytes, place: "Placement") -> "Callable[[Latents], object]":
    """``content`` as a server runs it."""
    from app.runtime.parallel_sessions import ParallelSessions
    from app.runtime.providers import session

    if place.provider == "cpu":
        return ParallelSessions(content, place)
    loaded = session(content, place)
    return lambda rows: loaded.run(None, {card.INPUT: rows})


def _write(folder: Path, described: Card, graphs: dict[str, bytes], found: list[Measured]) -> None:
    """Put the graphs in their place, then the card that names them, then drop those before."""
    providers = {one.place.provider for one in found}
    kept = [one for one in described.variants if one.provider not in providers]
    metrics = {
        name: metric
        for name, metric in described.metrics.items()
        if name not in {f"speed_up_{provider}" for provider in providers}
    }
    for one in found:
        if one.best != PLAIN:
            provider, content = one.place.provider, graphs[one.best]
            file = f"generator.{provider}.onnx"
            atomic_files.write(folder / file, content)
            kept.append(Variant(file=file, sha256=card.digest(content), provider=provider))
            metrics[f"speed_up_{provider}"] = _speed_up(one)
    card.write(described.model_copy(update={"variants": kept, "metrics": metrics}), folder)
    for variant in described.variants:
        if variant.file not in {one.file for one in kept}:
            (folder / variant.file).unlink()


def _speed_up(one: Measured) -> Metric:
    protocol = (
        f"images a second of the graph for provider {one.place.provider} ({one.best}) over those "
        f"of the plain one there, both in {one.place.precision}, in batches of {_BATCH}: the best "
        f"of {_ROUNDS} alternating rounds ({_cpu()}, {one.place.threads} threads)"
    )
    return Metric(value=round(one.gain(one.best), 2), protocol=protocol)


def _cpu() -> str:
    return str(torch.cpu.get_capabilities().get("cpu_name", "CPU"))
