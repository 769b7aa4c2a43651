"""Traces of requests, sent by a server process to a collector in the test."""

import gzip
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import serving
from tests.waiting import PATIENCE

Serve = Callable[..., AbstractContextManager[Any]]

MISSING = "OpenTelemetry is not installed; it is the extra otel"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector(HTTPServer):
    """Collects the bodies of OTLP requests over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name that http.server requires
        assert isinstance(self.server, Collector)
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        zipped = self.headers.get("Content-Encoding") == "gzip"
        self.server.bodies.append(gzip.decompress(body) if zipped else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason=MISSING)
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(0.01,))
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def spans(collector: Collector) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Return the attributes of the server's resource, and the spans of the test by name."""
    name = "opentelemetry.proto.collector.trace.v1.trace_service_pb2"
    message = importlib.import_module(name).ExportTraceServiceRequest
    resource: dict[str, str] = {}
    found: dict[str, list[Any]] = {}
    for body in collector.bodies:
        for part in message.FromString(body).resource_spans:
            resource = {one.key: one.value.string_value for one in part.resource.attributes}
            for span in (span for scope in part.scope_spans for span in scope.spans):
                if span.name != "GET /health/ready":  # ``serving`` waits for the models
                    found.setdefault(span.name, []).append(span)
    return resource, found


def attributes(span: Any) -> dict[str, str | int]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def run(root: Path, tmp_path: Path, *requests: tuple[str, str, dict[str, str]]) -> None:
    """Start a server, send it requests, and stop it."""
    command = [sys.executable, "-m", "app", "--provider", "cpu"]
    with serving(command, root, tmp_path / "log") as address:
        for method, path, headers in requests:
            httpx.request(method, address + path, headers=headers, timeout=PATIENCE)


def test_a_request_is_a_span_with_its_stages_as_children(
    root: Path, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, collector.address)
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"traceparent": f"00-{trace}-{parent}-01", "X-Request-ID": "mine"}
    run(root, tmp_path, ("POST", "/generate?n=3&seed=1", headers), ("GET", "/nowhere", {}))
    resource, found = spans(collector)
    assert resource["service.name"] == "dcgan-server"
    assert found.keys() == {"POST /generate", "queue", "compute", "encode", "GET other"}
    (request,) = found["POST /generate"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (trace, parent)
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/generate",
        "http.response.status_code": 200,
        "url.path": "/generate",
        "url.scheme": "http",
        "dcgan.request_id": "mine",
        "dcgan.model": "fashion-mnist/3",
        "dcgan.images": 3,
    }
    before = request.start_time_unix_nano
    for name in ("queue", "compute", "encode"):
        (stage,) = found[name]
        assert (stage.trace_id.hex(), stage.parent_span_id) == (trace, request.span_id)
        assert before <= stage.start_time_unix_nano <= stage.end_time_unix_nano
        before = stage.end_time_unix_nano
    assert before <= request.end_time_unix_nano
    (unknown,) = found["GET other"]
    assert unknown.trace_id != request.trace_id
    assert attributes(unknown)["http.response.status_code"] == 404
    assert unknown.status.code == 0  # unset, as it is an error of the client


def test_the_environment_sets_the_service_name_and_sampling_is_respected(
    root: Path, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.address}/v1/traces")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "faces")
    unsampled = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    run(root, tmp_path, ("GET", "/health/live", {}), ("POST", "/generate?n=1", unsampled))
    resource, found = spans(collector)
    assert resource["service.name"] == "faces"
    assert found.keys() == {"GET /health/live"}


def test_an_unreachable_collector_delays_neither_requests_nor_shutdown(
    root: Path, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, collector.address.replace(str(collector.server_port), "9"))
    run(root, tmp_path, ("POST", "/generate?n=1", {}))  # waits for the server to exit
    assert collector.bodies == []
