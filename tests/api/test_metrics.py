"""``GET /metrics``: names, labels and values of all metrics."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.artifact.card import digest
from app.artifact.version_key import VersionKey
from app.main import create_app
from app.server.shutdown import GracefulShutdown
from app.settings import Settings
from tests.engines import BlockedEngine, occupied, version
from tests.prometheus import samples, value

VERSION = {"model": "fashion-mnist", "version": "2"}


@pytest.fixture
def client(clothes: Path) -> Iterator[TestClient]:
    """A server whose counts are still zero."""
    app = create_app(Settings(models=clothes, provider="cpu"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def text(client: TestClient) -> str:
    response = client.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return response.text


def test_names_and_labels_are_stable(client: TestClient) -> None:
    client.get("/images/fashion-mnist/2/1.png")
    families = list(text_string_to_metric_families(text(client)))
    found = {
        f.name: {frozenset(s.labels.keys() - {"le"}) for s in f.samples}
        for f in families
        if f.name.startswith("dcgan_")
    }
    version = {"model", "version"}
    assert found == {
        name: {frozenset(labels)}
        for name, labels in {
            "dcgan_requests": {"method", "route", "status"},
            "dcgan_request_seconds": {"route"},
            "dcgan_refusals": {"reason"},
            "dcgan_reloads": {"result"},
            "dcgan_log_records_dropped": set(),
            "dcgan_ready": set(),
            "dcgan_queue_seconds": version,
            "dcgan_compute_seconds": version,
            "dcgan_encode_seconds": version,
            "dcgan_batch_images": version,
            "dcgan_images_computed": version,
            "dcgan_images_encoded": version,
            "dcgan_images_dropped": {*version, "reason"},
            "dcgan_queue_images": version,
            "dcgan_model_info": {*version, "digest", "provider", "precision", "graph"},
        }.items()
    }
    kinds = {f.name: f.type for f in families}
    assert kinds["dcgan_requests"] == "counter"
    assert kinds["dcgan_queue_images"] == "gauge"
    assert kinds["dcgan_compute_seconds"] == "histogram"


def test_generated_images_are_counted(client: TestClient) -> None:
    for _ in range(3):
        assert client.post("/generate?n=5").status_code == 200
    assert client.get("/generate?n=5").status_code == 405
    assert client.post("/generate?n=0").status_code == 422
    found = text(client)
    for status, method, times in (("200", "POST", 3), ("422", "POST", 1), ("405", "GET", 1)):
        labels = {"route": "/generate", "status": status, "method": method}
        assert value(found, "dcgan_requests_total", **labels) == times
    assert value(found, "dcgan_request_seconds_count", route="/generate") == 5
    assert value(found, "dcgan_images_computed_total") == 15
    assert value(found, "dcgan_images_computed_total", **VERSION) == 15
    assert value(found, "dcgan_batch_images_count", **VERSION) == 3
    assert value(found, "dcgan_batch_images_sum", **VERSION) == 15
    for stage in ("queue", "compute", "encode"):
        assert value(found, f"dcgan_{stage}_seconds_count", **VERSION) == 3
        assert value(found, f"dcgan_{stage}_seconds_sum", **VERSION) > 0
    assert value(found, "dcgan_queue_images") == 0
    assert value(found, "dcgan_images_dropped_total") == 0


def test_clients_cannot_create_time_series(client: TestClient) -> None:
    before = samples(text(client)).keys()
    for k in range(20):
        client.get(f"/nowhere/{k}")
        client.get(f"/images/fashion-mnist/2/{k}.png")
        client.get(f"/models/unknown-{k}")
        client.request(f"MADE{k}", "/nowhere")
    new = samples(text(client)).keys() - before
    routes = {dict(labels)["route"] for name, labels in new if name == "dcgan_requests_total"}
    assert routes == {
        "other",
        "/images/{model}/{version}/{seed}.{form}",
        "/models/{name}",
        "/metrics",
    }
    methods = {dict(labels)["method"] for name, labels in new if name == "dcgan_requests_total"}
    assert methods == {"GET", "other"}


def test_responses_of_middleware_have_the_label_of_their_route(client: TestClient) -> None:
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    client.post("/generate?n=1")
    for path in ("/generate", "/nowhere"):
        assert client.options(path, headers=preflight).status_code == 204
    found = text(client)
    for route in ("/generate", "other"):
        labels = {"method": "OPTIONS", "route": route, "status": "204"}
        assert value(found, "dcgan_requests_total", **labels) == 1


def test_versions_in_service_are_listed(client: TestClient, clothes: Path) -> None:
    found = text(client)
    assert value(found, "dcgan_ready") == 1
    graph = digest((clothes / "fashion-mnist" / "2" / "generator.onnx").read_bytes())
    labels = {"digest": graph, "provider": "cpu", "precision": "fp32", **VERSION}
    assert value(found, "dcgan_model_info", graph="generator.onnx", **labels) == 1
    assert value(found, "dcgan_model_info") == len(list(clothes.glob("*/*/card.json")))


def test_a_retired_version_is_listed_with_0(models: Path) -> None:
    app = create_app(Settings(models=models, provider="cpu"))
    with TestClient(app) as client:
        text(client)
        assert app.state.services.registry.retire(VersionKey("faces", "1"))
        found = text(client)
    assert value(found, "dcgan_model_info", model="faces", version="1") == 0
    assert value(found, "dcgan_model_info", model="fashion-mnist", version="2") == 1


def test_a_server_without_models_is_not_ready(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(models=tmp_path))) as client:
        assert value(text(client), "dcgan_ready") == 0


def test_a_server_that_shuts_down_is_not_ready(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GracefulShutdown, "started", True)
    assert value(text(client), "dcgan_ready") == 0


def test_failed_images_are_counted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = BlockedEngine(client, monkeypatch)
    engine.failure = RuntimeError("the engine broke")
    engine.release.set()
    assert client.post("/generate?n=7").status_code == 500
    found = text(client)
    assert value(found, "dcgan_images_dropped_total", reason="failed", **VERSION) == 7
    assert value(found, "dcgan_images_computed_total", **VERSION) == 0
    assert value(found, "dcgan_requests_total", route="/generate", status="500") == 1


def test_refusals_are_counted_by_reason(clothes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(models=clothes, provider="cpu", max_images=16, max_queue=16)
    with TestClient(create_app(settings)) as client:
        with occupied(client, BlockedEngine(client, monkeypatch), 16):
            assert client.post("/generate?n=1").status_code == 503
            assert value(text(client), "dcgan_refusals_total", reason="full") == 1
        assert client.portal
        client.portal.call(version(client).batcher.close)
        assert client.post("/generate?n=1").status_code == 503
        found = text(client)
    assert value(found, "dcgan_refusals_total", reason="closed") == 1
    assert value(found, "dcgan_refusals_total") == 2
    assert value(found, "dcgan_requests_total", status="503") == 2


def test_reloads_are_counted(client: TestClient) -> None:
    client.app.state.services.metrics.count_reload("refused")  # type: ignore[attr-defined]
    found = text(client)
    assert value(found, "dcgan_reloads_total", result="refused") == 1
    assert value(found, "dcgan_reloads_total") == 1


def test_memory_and_cpu_time_of_the_process_are_reported(client: TestClient) -> None:
    found = text(client)
    assert value(found, "process_resident_memory_bytes", worker="0") > 10e6
    assert value(found, "process_cpu_seconds_total", worker="0") > 0
