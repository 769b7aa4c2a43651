"""Prometheus metrics, served by ``GET /metrics``."""

import asyncio
from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from app.observability.log_queue import DROPPED
from app.observability.multiprocess import ProcessMetrics, SummedMetrics, renew
from app.observability.request_stats import RequestStats

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGES = (0.0001, 0.00025, 0.0005, *_SECONDS)
_SIZES = tuple(2**k for k in range(13))
_VERSION = ("model", "version")
_INFO = (*_VERSION, "digest", "provider", "precision", "graph")

_SOON = 0.02
"""Seconds after which requests are counted that have ended."""

Outcome = Literal["computed", "left", "deadline", "failed"]


@dataclass(frozen=True)
class VersionSample:
    """One model version in service, at one moment."""

    model: str
    version: int
    waiting: int
    """Images in its queue."""
    digest: str
    """SHA-256 of its model file, in hexadecimal."""
    provider: str
    precision: str
    graph: str
    """Name of its model file."""


@dataclass(frozen=True)
class Sample:
    """The state of this process at one moment."""

    ready: bool
    versions: Sequence[VersionSample]


Sampler = Callable[[], Sample]


def _nothing() -> Sample:
    return Sample(ready=False, versions=())


class Metrics:
    """The metrics of one process, or the sums over all worker processes."""

    def __init__(self, folder: Path | None = None) -> None:
        """With ``folder``, which every worker has joined, metrics are summed over the workers."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        own = CollectorRegistry()
        self._folder = folder
        self._requests, self._versions = _RequestMetrics(own), _VersionMetrics(own)
        self._collectors = (SummedMetrics(folder) if folder else own, ProcessMetrics(folder))
        self._sampler: Sampler = _nothing
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop of a process that samples."""
        self._ended: list[tuple[str, str, RequestStats]] = []
        """Requests that are not counted yet, with their methods and routes."""
        self._batches: defaultdict[tuple[Counter, _Histogram], list[int]] = defaultdict(list)
        """The sizes of batches that are not counted yet, by where they count."""
        self._is_due = False
        """Whether all of these will be counted soon."""

    async def current_text(self) -> bytes:
        """Return what ``text`` does, with all requests that have ended by now in any worker."""
        if self._folder:
            await asyncio.sleep(2 * _SOON)
        self.sample()
        return await asyncio.to_thread(self.text)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format, version 0.0.4."""
        return b"".join(map(generate_latest, self._collectors))

    def count_request(self, method: str, route: str, stats: RequestStats) -> None:
        """Count a request that was answered, or whose client disconnected.

        While the process samples, requests are counted together, a moment later.
        """
        self._ended.append((method, route, stats))
        self._count_soon()

    def _count_soon(self) -> None:
        if self._loop is None:
            self._count_ended()
        elif not self._is_due:
            self._is_due = True
            self._loop.call_later(_SOON, self._count_ended)

    def _count_ended(self) -> None:
        self._is_due = False
        self._count_batches()
        ended, self._ended = self._ended, []
        seconds, drawn = defaultdict(list), defaultdict(list)
        for method, route, stats in ended:
            seconds[method, route, stats.status].append(stats.seconds)
            if stats.refusal_reason:
                self._requests.refusals.labels(stats.refusal_reason).inc()
            if stats.images:
                drawn[stats.model, stats.version].append(stats)
        for labels, observed in seconds.items():
            count, histogram = self._requests.children(*labels)
            count.inc(len(observed))
            histogram.observe_all(observed)
        for version, requests in drawn.items():
            queue, compute, encode = self._versions.stages(*version)
            queue.observe_all([stats.queue for stats in requests])
            compute.observe_all([stats.compute for stats in requests])
            encode.observe_all([stats.encode for stats in requests])

    def _count_batches(self) -> None:
        for (images, sizes), counted in self._batches.items():
            images.inc(sum(counted))
            sizes.observe_all(counted)
        self._batches.clear()

    def image_counter(
        self, model: str, version: int, /, *, encoder: bool = False
    ) -> Callable[[Outcome, int], None]:
        """Return the function by which a version's batcher counts images by their outcome.

        ``encoder`` is for the batcher of its encoder. Computed batches are counted together, as
        requests are.
        """
        labels = (model, str(version))
        sizes = self._versions.batches.labels(*labels)
        counts = {
            reason: self._versions.dropped.labels(*labels, reason)
            for reason in ("left", "deadline", "failed")
        }
        images, encoded = (
            self._versions.images.labels(*labels),
            self._versions.encoded.labels(*labels),
        )
        computed = encoded if encoder else images, sizes

        def count(outcome: Outcome, images: int) -> None:
            if outcome == "computed":
                self._batches[computed].append(images)
                self._count_soon()
            else:
                counts[outcome].inc(images)

        return count

    def count_reload(self, result: str) -> None:
        """Count a version that was ``served``, ``refused`` or ``retired`` by a reload."""
        self._requests.reloads.labels(result).inc()

    def sample_from(self, sampler: Sampler) -> None:
        """Take the values of all gauges from ``sampler`` from now on."""
        self._sampler = sampler

    @asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Set the gauges every second: another worker may answer the next ``GET /metrics``."""
        self._loop = asyncio.get_running_loop()
        task = asyncio.create_task(self._keep_sampling())
        try:
            yield
        finally:
            task.cancel()
            self._loop = None
            self._count_ended()

    async def _keep_sampling(self) -> None:
        while True:
            self.sample()
            await asyncio.sleep(1)

    def sample(self) -> None:
        """Set the gauges: readiness, images in the queue, versions; count what has ended."""
        self._count_ended()
        if self._folder:
            renew(self._folder)
        sample = self._sampler()
        self._requests.ready.set(sample.ready)
        self._requests.dropped_lines.inc(DROPPED.take())
        self._versions.sample(sample.versions)


class _Histogram(Histogram):
    """A histogram that takes many observations at once, with one lock for each of its buckets."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe all ``amounts``."""
        self._sum.inc(sum(amounts))
        buckets = Counts(map(partial(bisect_left, self._upper_bounds), amounts))
        for bucket, count in buckets.items():
            self._buckets[bucket].inc(count)


class _RequestMetrics:
    """Metrics of the process, without a label for the model."""

    def __init__(self, own: CollectorRegistry) -> None:
        self.requests = Counter(
            "dcgan_requests", "Requests that ended.", ("method", "route", "status"), registry=own
        )
        self.seconds = _Histogram(
            "dcgan_request_seconds",
            "Time from the start of a request to the end of its response.",
            ("route",),
            registry=own,
            buckets=_SECONDS,
        )
        self.refusals = Counter(
            "dcgan_refusals",
            "Requests refused because of load, by reason.",
            ("reason",),
            registry=own,
        )
        self.reloads = Counter(
            "dcgan_reloads",
            "Model versions loaded, refused or retired while the server ran.",
            ("result",),
            registry=own,
        )
        self.dropped_lines = Counter(
            "dcgan_log_records_dropped",
            "Log lines dropped because they could not be written in time.",
            registry=own,
        )
        self.ready = Gauge(
            "dcgan_ready",
            "1 if every worker can generate images, else 0.",
            registry=own,
            multiprocess_mode="livemin",
        )
        for reason in ("full", "share", "rate", "closed"):
            self.refusals.labels(reason)
        for result in ("served", "refused", "retired"):
            self.reloads.labels(result)
        self.children = cache(self._children)

    def _children(self, method: str, route: str, status: int) -> tuple[Counter, _Histogram]:
        return self.requests.labels(method, route, str(status)), self.seconds.labels(route)


class _VersionMetrics:
    """Metrics of each model version."""

    def __init__(self, own: CollectorRegistry) -> None:
        self._stages = _stage_histograms(own)
        self.batches = _Histogram(
            "dcgan_batch_images",
            "Number of images in a batch.",
            _VERSION,
            registry=own,
            buckets=_SIZES,
        )
        self.images = Counter("dcgan_images_computed", "Images computed.", _VERSION, registry=own)
        self.encoded = Counter(
            "dcgan_images_encoded",
            "Uploaded images whose latents were found.",
            _VERSION,
            registry=own,
        )
        self.dropped = Counter(
            "dcgan_images_dropped",
            "Images accepted but not computed, by reason.",
            (*_VERSION, "reason"),
            registry=own,
        )
        self._waiting = Gauge(
            "dcgan_queue_images",
            "Images in the queue.",
            _VERSION,
            registry=own,
            multiprocess_mode="livesum",
        )
        self._info = Gauge(
            "dcgan_model_info",
            "1 for a model version in service, 0 for one that was retired.",
            _INFO,
            registry=own,
            multiprocess_mode="livemax",
        )
        self._known: dict[Gauge, set[tuple[str, ...]]] = {}
        self.stages = cache(self._stage_children)

    def _stage_children(self, model: str, version: int) -> list[_Histogram]:
        return [stage.labels(model, str(version)) for stage in self._stages]

    def sample(self, versions: Sequence[VersionSample]) -> None:
        waiting = {_labels(one): float(one.waiting) for one in versions}
        serving = {_info_labels(one): 1.0 for one in versions}
        for gauge, now in ((self._waiting, waiting), (self._info, serving)):
            known = self._known.setdefault(gauge, set())
            # With several processes a label cannot be removed, so that it becomes 0.
            for labels in known.union(now):
                gauge.labels(*labels).set(now.get(labels, 0))
            known.update(now)


def _stage_histograms(own: CollectorRegistry) -> list[_Histogram]:
    """The times of the stages of a request: queue, compute, encode."""
    return [
        _Histogram(f"dcgan_{name}_seconds", text, _VERSION, registry=own, buckets=_STAGES)
        for name, text in (
            ("queue", "Time that the images of a request waited for the engine."),
            ("compute", "Time of the batches that held the images of a request."),
            ("encode", "Time to encode the images of a request."),
        )
    ]


def _labels(sample: VersionSample) -> tuple[str, ...]:
    return sample.model, str(sample.version)


def _info_labels(sample: VersionSample) -> tuple[str, ...]:
    return *_labels(sample), sample.digest, sample.provider, sample.precision, sample.graph
