"""Traces, as a collector gets them."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sample.ml import Model
from sample.settings import Settings

from mlapi.api import tracing
from mlapi.errors import BadInput

from rig.app import create_app
from rig.ports import hold_port, port_of

CALLER = "0af7651916cd43dd8448eb211c80319c"


class Collector(ThreadingHTTPServer):
    """Takes traces as a collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans: list[Any] = []
        self.services: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in sent.resource_spans:
            told = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.server.services.append(told["service.name"])
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response_only(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a collector on a busy machine answer late."""
    monkeypatch.setattr(tracing, "PATIENCE_SECONDS", 60)


@contextmanager
def traced(trained: Settings, url: str, share: float = 1) -> Iterator[TestClient]:
    """Serve with traces; when the block ends, they have been sent."""
    settings = trained.model_copy(update={"otlp_url": url, "trace_share": share})
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_request_is_a_span_of_its_callers_trace(
    trained: Settings, collector: Collector, rows: list[list[Any]]
) -> None:
    with traced(trained, collector.url) as client:
        headers = {"traceparent": f"00-{CALLER}-b7ad6b7169203331-01"}
        assert client.post("/predict", json={"data": rows}, headers=headers).status_code == 200
        assert client.get("/health/live").status_code == 200
    request = next(span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER)
    assert set(collector.services) == {Settings().about.slug}
    assert request.name == "POST /predict"
    assert {span.trace_id.hex() for span in collector.spans} == {CALLER}
    told = attributes(request)
    assert (told["http.route"], told["http.response.status_code"]) == ("/predict", 200)
    assert request.end_time_unix_nano > request.start_time_unix_nano


def test_nothing_that_a_caller_writes_is_in_a_trace(trained: Settings, collector: Collector) -> None:
    with traced(trained, collector.url) as client:
        client.request("HIDDEN", "/hidden/path?hidden=1", headers={"X-API-Key": "hidden"})
        client.get("/models/hidden?hidden=2")
        client.post("/predict", json={"data": [["hidden"]]})
    assert len(collector.spans) >= 3
    assert "hidden" not in str(collector.spans).lower()


def test_only_a_share_is_traced(trained: Settings, collector: Collector) -> None:
    with traced(trained, collector.url, share=0) as client:
        client.get("/models")
    assert collector.spans == []


def test_a_collector_that_is_away_costs_no_answer(trained: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "PATIENCE_SECONDS", 0.1)
    with hold_port() as gone, traced(trained, f"http://127.0.0.1:{port_of(gone)}") as client:
        assert client.get("/models").status_code == 200


def test_without_the_libraries_the_service_says_which_group_has_them(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlapi.api.tracing", None)
    with pytest.raises(BadInput, match="the group telemetry"):
        create_app(Model, trained.model_copy(update={"otlp_url": "http://127.0.0.1:1"}))
