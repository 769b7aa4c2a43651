"""Metrics of one process, without a server."""

from app.observability.metrics import Metrics, Sample, VersionSample
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
