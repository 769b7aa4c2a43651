"""OpenTelemetry traces of requests; needs the extra ``otel``.

OpenTelemetry's standard environment variables say where to send them; without those none of its
packages is imported. Spans are created when a request has ended, from its statistics, so that no
request waits for them.
"""

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from app import __version__
from app.observability.request_stats import RequestStats

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from starlette.types import Scope

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH_TIMEOUT = 2.0
"""Seconds for which a shutdown waits for a collector that does not answer."""

logger = logging.getLogger(__name__)


class Tracer:
    """Exports one span for every request, with a child span for each stage of generation."""

    def __init__(self, exporter: "SpanExporter") -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "dcgan-server"}))
        self._processor = BatchSpanProcessor(exporter)
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("app", __version__)

    def record(self, scope: "Scope", method: str, route: str, stats: RequestStats) -> None:
        """Create the spans of one request; the header ``traceparent`` names their parent."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # Spans take the time of day. Both clocks are read only once, so that stages do not overlap.
        offset = time.time_ns() - time.perf_counter_ns()
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        span = self._tracer.start_span(
            f"{method} {route}",
            TraceContextTextMapPropagator().extract(headers),
            SpanKind.SERVER,
            _attributes(scope, method, route, stats),
            start_time=offset + _nanoseconds(stats.began),
        )
        if span.is_recording():
            parent = set_span_in_context(span)
            for name, began, ended in stats.stages:
                stage = self._tracer.start_span(
                    name, parent, start_time=offset + _nanoseconds(began)
                )
                stage.end(offset + _nanoseconds(ended))
            if stats.status >= 500:
                span.set_status(StatusCode.ERROR)
        span.end(offset + _nanoseconds(stats.began + stats.seconds))

    def close(self) -> None:
        """Send the remaining spans; gives up after two seconds."""
        # force_flush ignores its own timeout (OpenTelemetry 1.45).
        thread = threading.Thread(target=self._processor.force_flush, daemon=True)
        thread.start()
        thread.join(_FLUSH_TIMEOUT)


def from_environment() -> Tracer | None:
    """Return a tracer for the endpoint in OTEL_EXPORTER_OTLP_ENDPOINT.

    Returns None where tracing is not configured, and logs a warning where the extra is missing.
    """
    if not any(map(os.environ.get, _ENDPOINTS)) or _is_disabled():
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        logger.warning("traces are configured but not sent: pip install '.[otel]'")
        return None
    return Tracer(OTLPSpanExporter())


def _is_disabled() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or os.environ.get("OTEL_TRACES_EXPORTER") == "none"


def _attributes(scope: "Scope", method: str, route: str, stats: RequestStats) -> dict[str, Any]:
    """Name attributes as OpenTelemetry's semantic conventions for HTTP servers do, where possible.

    All others begin with ``dcgan.``.
    """
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": stats.status,
        "url.path": scope["path"],
        "url.scheme": scope.get("scheme", "http"),
        "dcgan.request_id": stats.request_id,
    }
    if stats.images:
        attributes["dcgan.model"] = f"{stats.model}/{stats.version}"
        attributes["dcgan.images"] = stats.images
    return attributes


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
