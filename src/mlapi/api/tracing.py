"""Traces of requests, by OpenTelemetry: where they go, and what they do not tell. FastAPI makes them.

Loaded only where the settings say where traces go.
"""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from ..about import About

PATIENCE_SECONDS = 5
"""How long a collector may take for what it is sent; no request waits for it."""
QUIET = "/health/"
"""Paths that begin like this are not traced: probes come every second."""
FROM_CALLERS = ("url.path", "url.query", "http.request.method_original")
"""What callers write themselves, and may be anything. The route's pattern tells enough."""


class Discretion(SpanProcessor):
    """Blanks what callers write themselves."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Look at a span that begins."""
        del parent_context
        for name in FROM_CALLERS:
            if name in (span.attributes or {}):
                span.set_attribute(name, "")


def tracer_provider(about: About, url: str, share: float) -> TracerProvider:
    """Return what makes traces of a share of a service's requests, 0 to 1, and sends them to the collector at a URL.

    A caller that traces decides itself whether its request is traced.
    """
    resource = Resource.create({"service.name": about.slug, "service.version": about.version})
    sampler = ParentBased(TraceIdRatioBased(share))
    provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=PATIENCE_SECONDS)
    provider.add_span_processor(Discretion())
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def telemetry(provider: TracerProvider) -> TelemetryConfig:
    """Return FastAPI's configuration for traces, and nothing else: metrics and logs are our own."""
    return {
        "tracer_provider": provider,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
        "exclude": _is_quiet,
    }


def _is_quiet(scope: MutableMapping[str, Any]) -> bool:
    return str(scope.get("path", "")).startswith(QUIET)
