"""Clients that are slow, silent or without measure, over real sockets."""

import asyncio
import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from sample.settings import Settings

from mlapi.connection import MAX_HEADERS, MAX_PIPELINED

from rig.habits import (
    BODY,
    CHUNKED,
    GET,
    GONE,
    HEAD,
    IDLE,
    SLOW_BODIES,
    SLOW_HEADS,
    TRUSTING,
    UNSHAKEN,
    Client,
    Habit,
    whole,
)
from rig.listener import HOUR, LIMITS, LONG_BYTES, Listener, listening, patient, run, until
from rig.service import PATIENCE, ROW, Service, serving, wait_for

EACH = 50
"""Clients of each bad habit."""
HASTE = 2.0
"""A limit that clients meet; on a slow machine good ones do, too."""
LAST = GET.replace(b"Host", b"Connection: close\r\nHost")
"""A request that ends the connection."""
LONG = {name.upper(): str(HOUR) for name in LIMITS}
"""Variables by which clients may take as long as they do."""


@pytest.fixture(scope="module")
def service(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that waits for its clients."""
    directory = tmp_path_factory.mktemp("slow") / "service"
    with serving(directory, "--no-worker", MODELS_DIR=str(trained.models_dir), **LONG) as service:
        yield service


@pytest.fixture(scope="module")
def hasty(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with short limits."""
    directory = tmp_path_factory.mktemp("hasty") / "service"
    limits = dict.fromkeys(LONG, str(HASTE))
    with serving(directory, "--no-worker", MODELS_DIR=str(trained.models_dir), **limits) as service:
        yield service


def is_answered(service: Service) -> bool:
    """Call like a good client, on a new connection; a machine that is too slow for the limits may fail it."""
    try:
        with service.new_client() as client:
            return client.post("/predict", json={"data": [ROW]}).is_success
    except httpx2.TransportError:
        return False


def listened(settings: Settings, scenario: Any, *, secure: bool = False) -> None:
    """Run a scenario with connections of this process, for which the test says how late it is."""
    limits = patient(settings)

    async def listen() -> None:
        async with listening(limits, secure=secure) as listener:
            await scenario(listener)

    run(limits, listen())


def are_open(listener: Listener) -> bool:
    return not any(one.transport.is_closing() for one in listener.open)


def test_slow_clients_are_sent_away_in_time_while_others_are_answered(settings: Settings) -> None:
    """Checklist 31."""
    habits = [habit for habit in (*SLOW_HEADS.values(), *SLOW_BODIES.values()) for _ in range(EACH)]

    async def scenario(listener: Listener) -> None:
        clients = await asyncio.gather(*(habit.begin(listener) for habit in habits))
        await until(lambda: len(listener.open) == len(habits))
        await until(lambda: sum(one.is_waiting(one.loop.time() + HOUR) for one in listener.open) == EACH)  # silent ones
        for _ in range(5):
            good = await Client.connect(listener)
            assert (await good.answer_to(HEAD % len(BODY) + BODY + LAST)).count(b"HTTP/1.1 200 ") == 2
        await until(lambda: len(listener.open) == len(habits))
        listener.later(HOUR / 2)
        assert are_open(listener)
        listener.later(2 * HOUR)
        for habit, answer in zip(habits, await asyncio.gather(*(one.answer() for one in clients)), strict=True):
            assert answer.startswith(habit.answer), habit
            assert bool(answer) == bool(habit.answer), habit
        assert listener.ended == {"head": len(SLOW_HEADS) * EACH, "body": len(SLOW_BODIES) * EACH}

    listened(settings, scenario, secure=True)


def test_the_service_sends_clients_away_that_do_nothing_or_little_and_answers_others(hasty: Service) -> None:
    """Checklist 31. Here the time is that of the system: each limit is met, and by whom depends on the machine."""
    habits = [*UNSHAKEN.values(), *SLOW_HEADS.values(), *SLOW_BODIES.values(), *IDLE.values()]

    async def keep(habit: Habit) -> tuple[bytes, bytes]:
        return habit.answer, await habit.keep(hasty, HASTE / 10)

    async def scenario() -> list[tuple[bytes, bytes]]:
        async with asyncio.timeout(PATIENCE):
            kept = [asyncio.create_task(keep(habit)) for habit in habits for _ in range(EACH)]
            await asyncio.to_thread(wait_for, lambda: is_answered(hasty), "an answer to a good client")
            return await asyncio.gather(*kept)

    for expected, answer in asyncio.run(scenario()):
        assert not answer or (expected and answer.startswith(expected)), answer
    assert wait_for(lambda: is_answered(hasty), "an answer to a good client")
    assert "Traceback" not in hasty.log


def test_clients_that_are_sent_away_are_counted(hasty: Service) -> None:
    def is_counted() -> bool:
        asyncio.run(SLOW_HEADS["silent TLS"].keep(hasty, HASTE))
        with suppress(httpx2.TransportError), hasty.new_client() as client:
            return re.search(r'connections_ended_total{reason="head"} [1-9]', client.get("/metrics").text) is not None
        return False

    wait_for(is_counted, "the count of a silent client")


def test_a_body_may_take_longer_if_it_keeps_coming_fast_enough(settings: Settings) -> None:
    slowest = settings.model_copy(update={"min_bytes_per_second": 1.0})
    much, little = int(4 * HOUR), 100

    async def scenario(listener: Listener) -> None:
        fast, slow = [await Client.connect(listener, secure=False) for _ in range(2)]
        await fast.send(HEAD % 10**6 + bytes(much))
        await slow.send(HEAD % 10**6 + bytes(little))
        await until(lambda: listener.app.received == much + little)
        listener.later(HOUR / 2)
        assert are_open(listener)
        listener.later(2 * HOUR)
        assert (await slow.answer()).startswith(b"HTTP/1.1 408 ")
        assert listener.ended == {"body": 1}
        assert are_open(listener)
        listener.later(6 * HOUR)
        assert (await fast.answer()).startswith(b"HTTP/1.1 408 ")

    listened(slowest, scenario)


def test_a_client_that_takes_no_part_of_a_long_answer_for_long_is_sent_away(settings: Settings) -> None:
    """Checklist 31."""

    async def scenario(listener: Listener) -> None:
        client = await Client.connect(listener, secure=False)
        await client.send(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: any(one.flow.write_paused for one in listener.open))
        listener.later(HOUR / 2)
        assert are_open(listener)
        listener.later(2 * HOUR)
        assert len(await client.answer()) < LONG_BYTES
        assert listener.ended == {"answer": 1}

    listened(settings, scenario)


def test_a_client_that_asks_and_takes_no_answer_is_sent_away(hasty: Service) -> None:
    """Checklist 31."""
    with socket.socket() as plain:
        plain.settimeout(PATIENCE)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", hasty.port))
        with suppress(ConnectionError, ssl.SSLError), TRUSTING.wrap_socket(plain) as secure:
            request = GET.replace(b"/health/live", b"/openapi.json")
            with suppress(ConnectionError, ssl.SSLError):
                for _ in range(1000):
                    secure.sendall(request * MAX_PIPELINED)
            while secure.recv(2**20):
                pass
    assert wait_for(lambda: is_answered(hasty), "an answer to a good client")


def told(service: Service, content: bytes) -> bytes:
    """Send bytes, and return all that comes until the connection ends."""

    async def scenario() -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await (await Client.connect(service)).answer_to(content)

    return asyncio.run(scenario())


def refusal(service: Service, content: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes, and return the status and the problem that end the connection."""

    head, _, body = told(service, content).partition(b"\r\n\r\n")
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
    answers = told(service, (CHUNKED + chunks + b"0\r\n" + trailers + b"\r\n") * 2 + LAST)
    assert answers.count(b"HTTP/1.1 200 OK") == 3


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
    answer = told(service, head + GET)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in answer


def test_a_flood_of_pipelined_requests_ends_the_connection(service: Service) -> None:
    answer = told(service, (HEAD % len(BODY) + BODY) * 1000)
    assert b"HTTP/1.1 400" in answer
    assert answer.count(b"HTTP/1.1 200") <= MAX_PIPELINED + 1


def test_a_few_pipelined_requests_are_answered_in_order(service: Service) -> None:
    answer = told(service, (HEAD % len(BODY) + BODY) * 3 + LAST)
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
            with suppress(*GONE):
                await idler.send(GET)
                await whole(idler.reader)
        assert (await asyncio.to_thread(fresh, service)).status_code == 200
        busy = []
        for _ in range(most + 2):
            busy.append(await Client.connect(service))
            with suppress(*GONE):
                await busy[-1].send(HEAD % 1000)
        refused = await asyncio.to_thread(fresh, service)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["title"] == "Overloaded"
        for client in busy + idlers:
            client.writer.transport.abort()

    def fresh(service: Service) -> httpx2.Response:
        with service.new_client() as client:
            return client.get("/models")

    limits = LONG | {"MAX_CONNECTIONS": str(most)}
    with serving(tmp_path / "service", "--no-worker", MODELS_DIR=str(trained.models_dir), **limits) as service:
        asyncio.run(asyncio.wait_for(scenario(service), PATIENCE))
