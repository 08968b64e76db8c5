import asyncio
import gzip
import io
import json
import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random

import pytest
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings
from starlette.types import Message

from mlapi.api.app import Application
from mlapi.logs import JsonLine, TextLine

from rig.app import create_app

Serve = Callable[..., AbstractContextManager[TestClient]]

HOSTILE = ["", "x" * 65, "a b", "a\nb", "<script>", "é".encode().decode("latin-1"), "a;b", '"', "${jndi:x}"]


@pytest.mark.parametrize("path", ["/models", "/health/live", "/docs", "/openapi.json", "/static/swagger-ui.css", "/x"])
def test_every_answer_carries_an_id_and_security_headers(client: TestClient, path: str) -> None:
    """Checklist 29 and 41."""
    headers = client.get(path).headers
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-ID"])
    assert headers["X-Request-ID"] != client.get(path).headers["X-Request-ID"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Cache-Control"]
    assert "Server" not in headers


def test_hsts_is_sent_over_https_alone_and_can_be_switched_off(serve: Serve) -> None:
    with serve("http://127.0.0.1") as plain:
        assert "Strict-Transport-Security" not in plain.get("/health/live").headers
    with serve(hsts_seconds=0) as without:
        assert "Strict-Transport-Security" not in without.get("/health/live").headers


def test_a_good_id_is_kept_and_a_hostile_one_replaced(client: TestClient) -> None:
    """Checklist 41."""
    for good in ("a", "8f1c-22.b_X", "x" * 64):
        assert client.get("/health/live", headers={"X-Request-ID": good}).headers["X-Request-ID"] == good
    for hostile in HOSTILE:
        given = client.get("/health/live", headers=[(b"X-Request-ID", hostile.encode("latin-1"))])
        assert re.fullmatch("[0-9a-f]{32}", given.headers["X-Request-ID"])


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_problem_and_the_log_name_the_id_of_the_request(
    app: Application, client: TestClient, log_format: str
) -> None:
    """Checklist 41."""

    @app.get("/fault")
    def fault() -> None:
        raise RuntimeError

    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(TextLine() if log_format == "text" else JsonLine())
    logging.getLogger().addHandler(handler)
    answer = client.get("/fault", headers={"X-Request-ID": "the-one"})
    logging.getLogger().removeHandler(handler)
    assert answer.json()["request_id"] == "the-one"
    line = written.getvalue().splitlines()[0]
    assert json.loads(line)["request_id"] == "the-one" if log_format == "json" else line.endswith("[the-one]")
    assert "RuntimeError" in written.getvalue()


@pytest.mark.parametrize(
    "host",
    ["[::1", "a b", "a/b", "a@b", "", "a:b", "a:123456", "evil.example\n", "é", "[x]", "a,b", "x" * 300, "http://a"],
)
def test_a_malformed_host_is_refused(client: TestClient, host: str) -> None:
    """Checklist 23."""
    for path in ("/models", "/health/live", "/docs"):
        answer = client.get(path, headers=[(b"Host", host.encode())])
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Request-ID"]


def test_only_names_of_the_allowlist_are_answered_but_probes_always(serve: Serve) -> None:
    """Checklist 23."""
    with serve(allowed_hosts="api.example.com, *.example.org") as client:
        for host in ("api.example.com", "API.example.com:8443", "a.example.org", "a.b.example.org"):
            assert client.get("/docs", headers={"Host": host}).status_code == 200, host
        for host in ("example.com", "example.org", "evil-example.org", "127.0.0.1", "api.example.com.evil.net"):
            assert client.get("/docs", headers={"Host": host}).status_code == 400, host
        assert client.get("/health/live", headers={"Host": "10.0.0.7:8443"}).status_code == 200


def test_forwarded_headers_are_believed_from_the_proxies_of_the_settings_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Checklist 23."""
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    seen = []
    for proxies, client_address in (("10.0.0.0/8", "10.1.2.3"), ("10.0.0.0/8", "192.0.2.9"), ("", "10.1.2.3")):
        app = create_app(Model, Settings(trusted_proxies=proxies, log_format="json"))
        with TestClient(app, base_url="http://127.0.0.1", client=(client_address, 5)) as client:
            hsts = "Strict-Transport-Security" in client.get("/health/live", headers=forwarded).headers
            assert client.get("/models", headers=forwarded).status_code == 401
        seen.append((json.loads(capsys.readouterr().err.splitlines()[-1])["client"], hsts))
    assert seen == [("192.0.2.7", True), ("192.0.2.9", False), ("10.1.2.3", False)]


def test_web_pages_elsewhere_may_not_call_unless_they_are_named(serve: Serve) -> None:
    origin = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    with serve() as client:
        for method in ("GET", "OPTIONS"):
            answer = client.request(method, "/health/live", headers=origin)
            assert not [name for name in answer.headers if name.startswith("access-control")]
    with serve(cors_origins="https://app.example.com") as client:
        answer = client.options("/predict", headers=origin)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert client.post("/predict", headers=origin).status_code == 401
        refused = client.options("/predict", headers=origin | {"Origin": "https://evil.example"})
        assert (refused.status_code, refused.headers["Content-Type"]) == (400, "application/problem+json")
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_head_is_get_without_the_body_on_every_resource(client: TestClient) -> None:
    for path in ("/models", "/models/1", "/jobs", "/health/live", "/openapi.json", "/docs", "/static/favicon.png"):
        # As it is: the length of a compressed answer is known only once it is made.
        get, head = (call(path, headers={"Accept-Encoding": "identity"}) for call in (client.get, client.head))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert client.head("/nowhere").status_code == 404
    assert client.head("/nowhere").content == b""


def test_options_tells_the_methods_of_every_resource(client: TestClient) -> None:
    for path, allow in (
        ("/models/1", "GET, HEAD, OPTIONS"),
        ("/predict", "OPTIONS, POST"),
        ("/jobs/x/cancel", "OPTIONS, POST"),
        ("/docs", "GET, HEAD, OPTIONS"),
        ("/health/live", "GET, HEAD, OPTIONS"),
    ):
        answer = client.options(path)
        assert (answer.status_code, answer.content, answer.headers["Allow"]) == (204, b"", allow), path
        assert client.put(path).headers["Allow"] == allow, path


def test_errors_that_libraries_word_themselves_become_problems(app: Application, client: TestClient) -> None:
    @app.get("/teapot")
    def teapot() -> PlainTextResponse:
        return PlainTextResponse("no coffee", 418, {"Retry-After": "9", "ETag": "x"})

    answer = client.get("/teapot")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert (answer.json()["status"], answer.headers["Retry-After"]) == (400, "9")
    assert "ETag" not in answer.headers


@pytest.mark.parametrize(("part", "status"), [("bytes=x", 400), ("bytes=99999999-", 416), ("bytes=0-1", 206)])
def test_a_range_of_a_file_that_cannot_be_given_is_a_problem(client: TestClient, part: str, status: int) -> None:
    answer = client.get("/static/swagger-ui.css", headers={"Range": part})
    assert answer.status_code == status
    if status > 206:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_large_answers_are_compressed_for_those_who_accept_it(client: TestClient, rows: list[list[float]]) -> None:
    headers = {"Accept-Encoding": "gzip"}
    with client.stream("POST", "/predict", json={"data": rows * 5000}, headers=headers) as large:
        assert large.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in large.headers["Vary"]
        raw = b"".join(large.iter_raw())
    assert len(json.loads(gzip.decompress(raw))["prediction"]) == 5000
    assert "Content-Encoding" not in client.post("/predict", json={"data": rows}, headers=headers).headers
    plain = client.post("/predict", json={"data": rows * 5000}, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers


def test_the_documentation_page_runs_its_own_script_alone(client: TestClient) -> None:
    policy = client.get("/docs").headers["Content-Security-Policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert re.fullmatch(r"script-src 'self' 'sha256-[A-Za-z0-9+/=]{44}'", scripts)
    assert "http" not in policy


def counted(app: Application) -> dict[tuple[str, str, str], float]:
    """Return how many requests are counted, by method, route and status."""
    found = app.services.metrics.requests.collect()
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in found
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_requests_are_counted_by_the_pattern_of_their_path(
    app: Application, client: TestClient, rows: list[list[float]]
) -> None:
    client.post("/predict", json={"data": rows})
    client.post("/predict", json={"data": []})
    client.get("/models/1")
    client.get("/models/9")
    client.head("/docs")
    client.get("/nowhere")
    assert counted(app) == {
        ("POST", "/predict", "200"): 1,
        ("POST", "/predict", "422"): 1,
        ("GET", "/models/{version}", "200"): 1,
        ("GET", "/models/{version}", "404"): 1,
        ("HEAD", "/docs", "200"): 1,
        ("GET", "other", "404"): 1,
    }


def test_whatever_strangers_ask_for_the_number_of_series_does_not_grow(app: Application) -> None:
    """Checklist 42."""
    random = Random(42)

    async def ask(path: str, method: str) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_message: Message) -> None:
            pass

        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "scheme": "https"}
        headers = [(b"host", b"127.0.0.1"), (b"x-request-id", path[-9:].encode())]
        await app(scope | {"headers": headers, "client": ("192.0.2.1", 1), "server": ("192.0.2.2", 2)}, receive, send)

    async def ask_much() -> None:
        for _ in range(10_000):
            start = random.choice(["/", "/models/", "/jobs/", "/static/", "/predict/", "/health/"])
            await ask(
                start + random.randbytes(6).hex(), random.choice(["GET", "HEAD", "POST", random.randbytes(3).hex()])
            )

    asyncio.run(ask_much())
    assert sum(counted(app).values()) == 10_000
    assert len(counted(app)) < 30
