"""What is counted, as Prometheus reads it at ``GET /metrics``."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from app.batching.jobs import Fate, Watch
from app.observability.multiprocess import Processes, Together
from app.observability.request_stats import Record
from app.registry.model_version import Served
from app.registry.registry import Catalog

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGES = (0.0001, 0.00025, 0.0005, *_SECONDS)
_SIZES = tuple(2**k for k in range(13))
_VERSION = ("model", "version")
_INFO = (*_VERSION, "digest", "provider", "precision", "graph")


class Metrics:
    """Every figure of one process, or of all that serve together."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` is what several processes share, once each has joined them."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        own = CollectorRegistry()
        self._requests, self._versions = _Requests(own), _Versions(own)
        self._read = (Together(folder) if folder else own, Processes(folder))

    def text(self) -> bytes:
        """All of it in Prometheus's text format, version 0.0.4."""
        return b"".join(map(generate_latest, self._read))

    def request(self, method: str, route: str, record: Record) -> None:
        """A request was answered, or its client left."""
        count, seconds = self._requests.of(method, route, record.status)
        count.inc()
        seconds.observe(record.seconds)
        if record.refused:
            self._requests.refusals.labels(record.refused).inc()
        if record.images:
            queue, compute, encode = self._versions.stages(record.model, record.version)
            queue.observe(record.queue)
            compute.observe(record.compute)
            encode.observe(record.encode)

    def watch(self, model: str, version: int) -> Watch:
        """What the batcher of a version is to tell of its images."""
        labels = (model, str(version))
        sizes = self._versions.batches.labels(*labels)
        counts = {
            reason: self._versions.dropped.labels(*labels, reason)
            for reason in ("left", "deadline", "failed")
        }
        counts["computed"] = self._versions.images.labels(*labels)

        def watch(fate: Fate, images: int) -> None:
            counts[fate].inc(images)
            if fate == "computed":
                sizes.observe(images)

        return watch

    def reloaded(self, result: str) -> None:
        """A version was ``served``, ``refused`` or ``retired`` while the server ran."""
        self._requests.reloads.labels(result).inc()

    def look_at(self, catalog: Catalog, hindrance: Callable[[], str | None]) -> None:
        """Let samples be taken of these: what is served, and why it is not ready, if so."""
        self._catalog, self._hindrance = catalog, hindrance

    @asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Sample every second: another worker may be the one that is asked."""
        task = asyncio.create_task(self._keep_sampling())
        try:
            yield
        finally:
            task.cancel()

    async def _keep_sampling(self) -> None:
        while True:
            self.sample()
            await asyncio.sleep(1)

    def sample(self) -> None:
        """Look how things are now: what is served, and how many images wait."""
        self._requests.ready.set(bool(self._catalog.models) and not self._hindrance())
        self._versions.sample(self._catalog)


class _Requests:
    """Of requests, whatever they ask for."""

    def __init__(self, own: CollectorRegistry) -> None:
        self.requests = Counter(
            "dcgan_requests", "Requests that ended.", ("method", "route", "status"), registry=own
        )
        self.seconds = Histogram(
            "dcgan_request_seconds",
            "How long they took.",
            ("route",),
            registry=own,
            buckets=_SECONDS,
        )
        self.refusals = Counter(
            "dcgan_refusals", "Requests without room, by reason.", ("reason",), registry=own
        )
        self.reloads = Counter(
            "dcgan_reloads", "Versions loaded while the server ran.", ("result",), registry=own
        )
        self.ready = Gauge(
            "dcgan_ready", "1 if all workers draw.", registry=own, multiprocess_mode="livemin"
        )
        for reason in ("full", "share", "rate", "closed"):
            self.refusals.labels(reason)
        for result in ("served", "refused", "retired"):
            self.reloads.labels(result)
        self.of = cache(self._of)

    def _of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self.requests.labels(method, route, str(status)), self.seconds.labels(route)


class _Versions:
    """Of each version, whoever asks for it."""

    def __init__(self, own: CollectorRegistry) -> None:
        self._stages = [
            Histogram(f"dcgan_{name}_seconds", words, _VERSION, registry=own, buckets=_STAGES)
            for name, words in (
                ("queue", "How long requests waited for the engine."),
                ("compute", "How long the engine took for requests."),
                ("encode", "How long it took to encode their images."),
            )
        ]
        self.batches = Histogram(
            "dcgan_batch_images", "Images of a batch.", _VERSION, registry=own, buckets=_SIZES
        )
        self.images = Counter("dcgan_images_computed", "Images computed.", _VERSION, registry=own)
        self.dropped = Counter(
            "dcgan_images_dropped", "Images not drawn.", (*_VERSION, "reason"), registry=own
        )
        self._waiting = Gauge(
            "dcgan_queue_images",
            "Images that wait.",
            _VERSION,
            registry=own,
            multiprocess_mode="livesum",
        )
        self._info = Gauge(
            "dcgan_model_info",
            "1 for what is served, 0 for what was.",
            _INFO,
            registry=own,
            multiprocess_mode="livemax",
        )
        self._known: dict[Gauge, set[tuple[str, ...]]] = {}
        self.stages = cache(self._of)

    def _of(self, model: str, version: int) -> list[Histogram]:
        return [stage.labels(model, str(version)) for stage in self._stages]

    def sample(self, catalog: Catalog) -> None:
        waiting = {_version(served): float(served.batcher.waiting) for served in catalog}
        serving = {_info(served): 1.0 for served in catalog}
        for gauge, now in ((self._waiting, waiting), (self._info, serving)):
            known = self._known.setdefault(gauge, set())
            # Processes that serve together cannot take a label back.
            for labels in known.union(now):
                gauge.labels(*labels).set(now.get(labels, 0))
            known.update(now)


def _version(served: Served) -> tuple[str, ...]:
    return served.card.name, str(served.card.version)


def _info(served: Served) -> tuple[str, ...]:
    graph, engine = served.variant, served.engine
    return *_version(served), graph.sha256, engine.provider, engine.precision, graph.file
