"""Requests as traces of OpenTelemetry, with what the extra ``otel`` brings.

Its usual environment variables say where to; without one of them nothing of it is loaded. Spans are
written when a request has ended, from what its record tells, so that no request waits for them.
"""

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from app import __version__
from app.observability.request_stats import Record

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from starlette.types import Scope

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LONGEST = 2.0
"""Seconds that the end of the server waits for a collector that does not answer."""

logger = logging.getLogger(__name__)


class Traces:
    """Writes a span for each request, and one in it for each stage of what it drew."""

    def __init__(self, exporter: "SpanExporter") -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "dcgan-server"}))
        self._batches = BatchSpanProcessor(exporter)
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._batches)
        self._tracer = provider.get_tracer("app", __version__)

    def write(self, scope: "Scope", method: str, route: str, record: Record) -> None:
        """The spans of one request, below the one that its header ``traceparent`` names."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # By the clock that spans have; both clocks are read once, so that stages fit together.
        offset = time.time_ns() - time.perf_counter_ns()
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        span = self._tracer.start_span(
            f"{method} {route}",
            TraceContextTextMapPropagator().extract(headers),
            SpanKind.SERVER,
            _attributes(scope, method, route, record),
            start_time=offset + _nanoseconds(record.began),
        )
        if span.is_recording():
            inside = set_span_in_context(span)
            for name, began, ended in record.stages:
                stage = self._tracer.start_span(
                    name, inside, start_time=offset + _nanoseconds(began)
                )
                stage.end(offset + _nanoseconds(ended))
            if record.status >= 500:
                span.set_status(StatusCode.ERROR)
        span.end(offset + _nanoseconds(record.began + record.seconds))

    def close(self) -> None:
        """Send what has not been sent, for a moment at most."""
        # Its own timeout is without effect (1.45).
        thread = threading.Thread(target=self._batches.force_flush, daemon=True)
        thread.start()
        thread.join(_LONGEST)


def from_environment() -> Traces | None:
    """To where OTEL_EXPORTER_OTLP_ENDPOINT points; None without, or without the extra."""
    if not any(map(os.environ.get, _ENDPOINTS)) or _is_off():
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        logger.warning("no traces are sent: pip install '.[otel]'")
        return None
    return Traces(OTLPSpanExporter())


def _is_off() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or os.environ.get("OTEL_TRACES_EXPORTER") == "none"


def _attributes(scope: "Scope", method: str, route: str, record: Record) -> dict[str, Any]:
    """By OpenTelemetry's semantic conventions for HTTP servers where they have a name."""
    told: dict[str, Any] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": record.status,
        "url.path": scope["path"],
        "url.scheme": scope.get("scheme", "http"),
        "dcgan.request_id": record.request_id,
    }
    if record.images:
        told["dcgan.model"] = f"{record.model}/{record.version}"
        told["dcgan.images"] = record.images
    return told


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
