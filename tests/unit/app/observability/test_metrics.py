"""Metrics of one process, without a server."""

import asyncio

from app.observability.metrics import Metrics, Sample, VersionSample
from app.observability.request_stats import RequestStats
from tests.prometheus import value

FACES = {"model": "faces", "version": "1"}


def text(metrics: Metrics) -> str:
    metrics.sample()
    return metrics.text().decode()


def sample(waiting: int) -> VersionSample:
    return VersionSample("faces", 1, waiting, "0" * 64, "cpu", "fp32", "generator.onnx")


def test_a_process_without_a_sampler_is_not_ready() -> None:
    assert value(text(Metrics()), "dcgan_ready") == 0


def test_gauges_take_the_values_of_the_sampler() -> None:
    metrics, versions = Metrics(), [sample(waiting=5)]
    metrics.sample_from(lambda: Sample(ready=True, versions=versions))
    found = text(metrics)
    assert value(found, "dcgan_ready") == 1
    assert value(found, "dcgan_queue_images", **FACES) == 5
    info = {"digest": "0" * 64, "provider": "cpu", "precision": "fp32", "graph": "generator.onnx"}
    assert value(found, "dcgan_model_info", **FACES, **info) == 1
    versions.clear()  # the version is retired
    found = text(metrics)
    assert value(found, "dcgan_queue_images", **FACES) == 0
    assert value(found, "dcgan_model_info", **FACES, **info) == 0


def test_images_are_counted_by_outcome() -> None:
    metrics = Metrics()
    count = metrics.image_counter("faces", 1)
    for images in (3, 5):
        count("computed", images)
    count("deadline", 2)
    found = text(metrics)
    assert value(found, "dcgan_images_computed_total", **FACES) == 8
    assert value(found, "dcgan_batch_images_count", **FACES) == 2
    assert value(found, "dcgan_images_dropped_total", **FACES, reason="deadline") == 2
    assert value(found, "dcgan_images_dropped_total", **FACES) == 2


def test_requests_are_counted_together_a_moment_later_and_none_is_lost() -> None:
    def ended(seconds: float) -> RequestStats:
        stats = RequestStats("id", seconds=seconds, status=200)
        stats.add_images("faces", 1, 2, seconds, seconds)
        return stats

    together, one_by_one = Metrics(), Metrics()
    seconds = [0.0005, 0.001, 0.3, 0.3, 100.0]

    async def scenario() -> None:
        async with together.sampling():
            for one in seconds:
                together.count_request("GET", "/a", ended(one))
            for _ in range(100):
                if b'route="/a",status="200"} 5.0' in together.text():
                    break
                await asyncio.sleep(0.01)
            together.count_request("GET", "/a", ended(0.01))

    asyncio.run(scenario())
    for one in (*seconds, 0.01):
        one_by_one.count_request("GET", "/a", ended(one))

    def counted(metrics: Metrics) -> list[str]:
        lines = metrics.text().decode().splitlines()
        return [line for line in lines if line.startswith("dcgan_") and "_log_" not in line]

    assert counted(together) == counted(one_by_one)
