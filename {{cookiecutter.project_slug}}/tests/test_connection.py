"""Clients that are slow, silent or without measure, over real sockets."""

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from package_name.connection import MAX_HEADERS, MAX_PIPELINED
from package_name.settings import Settings

from rig.habits import BODY, CHUNKED, GET, HABITS, HEAD, LIMIT, TRUSTING, Client, Farewell
from rig.service import ROW, Service, serving

SLACK = 10.0
"""Seconds by which a busy machine may be late."""
EACH = 50
"""Clients of each bad habit."""


@pytest.fixture(scope="module")
def service(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with short limits."""
    names = ("HANDSHAKE_SECONDS", "HEADER_SECONDS", "BODY_SECONDS", "IDLE_SECONDS", "SEND_SECONDS")
    limits = {name: str(LIMIT) for name in names}
    directory = tmp_path_factory.mktemp("slow") / "service"
    with serving(directory, "--no-worker", MODELS_DIR=str(trained.models_dir), **limits) as service:
        yield service


async def _predict(service: Service, stopping: asyncio.Event) -> list[float]:
    """Call like a good client, on a new connection each time, and return how long each call took."""
    took = []
    while not stopping.is_set():
        started = time.monotonic()
        async with httpx2.AsyncClient(base_url=service.url, verify=TRUSTING, timeout=30) as client:
            answer = await client.post("/predict", json={"data": [ROW]})
        assert answer.status_code == 200, answer.text
        took.append(time.monotonic() - started)
    return took


def test_slow_clients_are_sent_away_in_time_while_others_are_answered(service: Service) -> None:
    """Checklist 31."""

    async def scenario() -> tuple[list[Farewell], list[float]]:
        stopping = asyncio.Event()
        good = asyncio.create_task(_predict(service, stopping))
        farewells = await asyncio.gather(*(habit(service) for habit in HABITS for _ in range(EACH)))
        stopping.set()
        return farewells, await good

    farewells, took = asyncio.run(scenario())
    for number, (habit, beginning) in enumerate(HABITS.items()):
        for farewell in farewells[number * EACH : (number + 1) * EACH]:
            assert farewell.connected > LIMIT / 2, (habit.__name__, farewell)
            assert farewell.seconds < LIMIT + SLACK, (habit.__name__, farewell)
            assert farewell.answer.startswith(beginning), (habit.__name__, farewell)
            assert bool(farewell.answer) == bool(beginning), (habit.__name__, farewell)
    assert len(took) > 5
    assert max(took) < LIMIT + SLACK
    assert "Traceback" not in service.log
    measured = service.client.get("/metrics").text
    for reason, habits in (("head", 3), ("body", 2)):
        count = re.search(rf'connections_ended_total{{reason="{reason}"}} (\d+)', measured)
        assert count is not None
        assert int(count[1]) >= habits * EACH


def test_a_body_may_take_longer_if_it_keeps_coming_fast_enough(trained: Settings, tmp_path: Any) -> None:
    limit = 2.0

    async def upload(service: Service, rate: int) -> bytes:
        client = await Client.connect(service)
        content = BODY + b" " * 3000
        await client.send(HEAD.replace(b"Host", b"Connection: close\r\nHost") % len(content))
        began = time.monotonic()
        with suppress(ConnectionError, ssl.SSLError):
            for start in range(0, len(content), rate):  # for thrice as long as a body may take by itself, or longer
                await client.send(content[start : start + rate])
                await asyncio.sleep(began + (start / rate + 1) * limit / 2 - time.monotonic())
        return await client.answer()

    async def scenario(service: Service) -> tuple[bytes, bytes]:
        return await asyncio.gather(upload(service, 500), upload(service, 300))

    limits = {"BODY_SECONDS": str(limit), "MIN_BYTES_PER_SECOND": "500"}
    with serving(tmp_path / "service", "--no-worker", MODELS_DIR=str(trained.models_dir), **limits) as service:
        fast, slow = asyncio.run(scenario(service))
    assert fast.startswith(b"HTTP/1.1 200 ")
    assert slow.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_does_not_take_a_long_answer_is_sent_away(service: Service) -> None:
    """Checklist 31."""
    with httpx2.Client(base_url=service.url, verify=TRUSTING) as plenty:
        assert len(plenty.get("/openapi.json").content) > 10_000
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", service.port))
        with TRUSTING.wrap_socket(plain) as secure:
            request = GET.replace(b"/health/live", b"/openapi.json")
            with suppress(ConnectionError, ssl.SSLError):
                for _ in range(1000):
                    secure.sendall(request * MAX_PIPELINED)
            secure.settimeout(30)
            with suppress(ConnectionError, ssl.SSLError):
                while secure.recv(2**20):
                    pass
    service.predict()


def refusal(service: Service, content: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes, and return the status and the problem that end the connection."""

    async def scenario() -> bytes:
        client = await Client.connect(service)
        with suppress(ConnectionError, ssl.SSLError):
            await client.send(content)
        async with asyncio.timeout(30):
            return await client.answer()

    head, _, body = asyncio.run(scenario()).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert b"strict-transport-security: max-age=" in head
    id_ = re.search(rb"x-request-id: ([0-9a-f]{32})", head)
    assert id_ is not None
    assert json.loads(body)["request_id"] == id_[1].decode()
    assert f"[{id_[1].decode()}]" in service.log
    return int(head.split()[1]), json.loads(body)


TOO_LARGE = 17 * 2**10


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET /" + b"a" * TOO_LARGE + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET /" + b"a" * TOO_LARGE, 431),
        (b"GET / HTTP/1.1\r\nX-Huge: " + b"a" * TOO_LARGE + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX-Endless: " + b"a" * TOO_LARGE, 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * TOO_LARGE, 431),
        (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * (MAX_HEADERS + 1) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * TOO_LARGE, 431),
        (CHUNKED + b"1;" + b"a" * 50 * TOO_LARGE, 431),
        (CHUNKED + b"0\r\n" + b"a:b\r\n" * 10 * TOO_LARGE, 431),
        (CHUNKED + b"0\r\nX-Endless: " + b"a" * 50 * TOO_LARGE, 431),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x00\x01\x02\x03", 400),
        (b"GET / HTTP/1.1\nHost : localhost\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_request_gets_a_problem_and_an_end(service: Service, content: bytes, status: int) -> None:
    """Checklist 7."""
    answered, problem = refusal(service, content)
    assert answered == problem["status"] == status
    assert b"a" * 20 not in json.dumps(problem).encode()


def test_trailers_and_chunk_extensions_change_nothing(service: Service) -> None:
    """Checklist 7."""
    chunks = b"".join(b"1;a\r\n%c\r\n" % byte for byte in BODY + b" " * TOO_LARGE)  # more beside it than it holds
    trailers = b"Content-Type: text/plain\r\nContent-Encoding: gzip\r\n"

    async def scenario() -> bytes:
        client = await Client.connect(service)
        await client.send((CHUNKED + chunks + b"0\r\n" + trailers + b"\r\n") * 2)
        await client.send(GET.replace(b"Host", b"Connection: close\r\nHost"))
        return await client.answer()

    assert asyncio.run(scenario()).count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD % (11 * 2**20), 413),
        (HEAD.replace(b"/predict", b"/nowhere") % 5_000_000, 404),
        (HEAD.replace(b"Host: localhost", b"Host: &") % 5_000_000, 400),
    ],
    ids=lambda value: str(value)[:5],
)
def test_an_answer_before_the_end_of_the_request_is_the_last(service: Service, head: bytes, status: int) -> None:
    async def scenario() -> bytes:
        client = await Client.connect(service)
        await client.send(head + GET)
        async with asyncio.timeout(30):
            return await client.answer()

    answer = asyncio.run(scenario())
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in answer


def test_a_flood_of_pipelined_requests_ends_the_connection(service: Service) -> None:
    def flood() -> bytes:
        async def scenario() -> bytes:
            client = await Client.connect(service)
            with suppress(ConnectionError, ssl.SSLError):
                await client.send((HEAD % len(BODY) + BODY) * 1000)
            async with asyncio.timeout(30):
                return await client.answer()

        return asyncio.run(scenario())

    answer = flood()
    assert b"HTTP/1.1 400" in answer
    assert answer.count(b"HTTP/1.1 200") <= MAX_PIPELINED + 1


def test_a_few_pipelined_requests_are_answered_in_order(service: Service) -> None:
    async def scenario() -> bytes:
        client = await Client.connect(service)
        await client.send((HEAD % len(BODY) + BODY) * 3 + GET.replace(b"Host", b"Connection: close\r\nHost"))
        return await client.answer()

    answer = asyncio.run(scenario())
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.endswith(b'{"status":"alive"}')


def test_a_websocket_is_not_opened(service: Service) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    answer = service.client.get("/health/live", headers={**upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert answer.status_code == 200


def test_idle_connections_make_room_for_new_ones_and_busy_ones_do_not(trained: Settings, tmp_path: Any) -> None:
    """Checklist 31; memory is bounded, because connections are."""
    most = 20

    async def scenario(service: Service) -> None:
        idlers = [await Client.connect(service) for _ in range(2 * most)]
        for idler in idlers:
            with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
                await idler.send(GET)
                await idler.reader.readuntil(b"}")
        assert (await asyncio.to_thread(fresh, service)).status_code == 200
        busy = []
        for _ in range(most + 2):
            busy.append(await Client.connect(service))
            with suppress(ConnectionError, ssl.SSLError):
                await busy[-1].send(HEAD % 1000)
        refused = await asyncio.to_thread(fresh, service)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["title"] == "Overloaded"
        for client in busy + idlers:
            client.writer.transport.abort()

    def fresh(service: Service) -> httpx2.Response:
        with httpx2.Client(base_url=service.url, verify=TRUSTING) as client:
            return client.get("/models")

    limits = {"MAX_CONNECTIONS": str(most)}
    with serving(tmp_path / "service", "--no-worker", MODELS_DIR=str(trained.models_dir), **limits) as service:
        asyncio.run(scenario(service))
