"""Traces of failed requests."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.observability import tracing
from app.settings import Settings

MISSING = "OpenTelemetry is not installed; it is the extra otel"


def test_an_error_of_the_server_marks_its_span(
    clothes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = pytest.importorskip(
        "opentelemetry.sdk.trace.export.in_memory_span_exporter", reason=MISSING
    )
    exporter = memory.InMemorySpanExporter()
    tracer = tracing.Tracer(exporter)
    monkeypatch.setattr(tracing, "from_environment", lambda: tracer)
    app = create_app(Settings(models=clothes, provider="cpu"))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a bug")

    with TestClient(app, raise_server_exceptions=False) as client:
        client.get("/broken")
    (span,) = exporter.get_finished_spans()  # sent at shutdown, if not before
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["http.response.status_code"] == 500
