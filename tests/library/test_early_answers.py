"""Answers that are given before the request has come to its end, and what a request brings beside its content."""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from sample.settings import Settings
from uvicorn.protocols.http.flow_control import FlowControl

from mlapi import connection
from mlapi.connection import MAX_HEADERS, MAX_PIPELINED, Held

from rig.habits import GONE, whole
from rig.listener import HOUR, WORDS, Listener, listening, patient, run, until

OTHER = b"GET /read HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A request that is nobody's: what a body holds must never be answered."""
UPLOAD = 4_800_000
BRIEF = 0.1
"""A limit that clients meet; it is awaited."""

Shorten = Callable[..., None]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Limits that no client meets."""
    return patient(settings)


@pytest.fixture(autouse=True)
def shorten(monkeypatch: pytest.MonkeyPatch) -> Shorten:
    """Shorten some of the limits that are no settings; all of them are such that no client meets them."""

    def those(*names: str) -> None:
        for name in names:
            monkeypatch.setattr(connection, f"{name}_SECONDS", BRIEF)

    for name in ("FAREWELL", "LINGER", "SILENCE", "SWEEP"):
        monkeypatch.setattr(connection, f"{name}_SECONDS", HOUR)
    return those


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def posted(path: str, size: int, *more: str) -> bytes:
    """Return the head of a request with a body."""
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {size}", *more, "", ""]).encode()


def chunked(path: str) -> bytes:
    return posted(path, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the connection ends."""
    with suppress(*GONE):
        return await reader.read()
    return b""


async def pour(writer: asyncio.StreamWriter, content: bytes, times: int) -> int:
    """Send the same again and again until the connection ends, and return how many bytes went."""
    went = 0
    with suppress(*GONE):
        for _ in range(times):
            if writer.is_closing():
                break
            writer.write(content)
            await writer.drain()
            went += len(content)
    return went


@pytest.mark.parametrize("status", [401, 403, 413, 415, 429, 503, 507])
def test_an_early_answer_comes_whole_while_the_client_sends_and_is_the_last(
    settings: Settings, status: int, *, secure: bool
) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        body = OTHER * (UPLOAD // len(OTHER))
        writer.write(posted(f"/{status}", len(body)) + body[:100_000])
        head, content = await whole(reader)
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert head.count(b"connection: close\r\n") == 1
        assert content == WORDS
        writer.write(body[100_000:])
        await writer.drain()
        assert await reader.read() == b""  # no reset
        assert listener.app.paths == [f"/{status}"]
        writer.close()

    run(settings, listened(settings, scenario, secure=secure))


async def listened(settings: Settings, scenario: Any, *, secure: bool = False) -> None:
    async with listening(settings, secure=secure) as listener:
        await scenario(listener)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (chunked("/401"), b"%x\r\n%s\r\n" % (len(OTHER), OTHER) * 20_000 + b"0\r\nX: y\r\n\r\n"),
        (posted("/401", UPLOAD).replace(b"POST", b"GET"), b"x" * UPLOAD),
        (posted("/401", UPLOAD, "Expect: 100-continue"), b"x" * UPLOAD),
    ],
    ids=["chunked", "get", "expect"],
)
def test_whatever_the_form_of_the_body(settings: Settings, head: bytes, body: bytes, *, secure: bool) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(head)
        answer, _ = await whole(reader)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close\r\n" in answer
        await pour(writer, body + OTHER, 1)
        assert await rest(reader) == b""  # or a reset, if the other request arrives when the connection has ended
        assert listener.app.paths == ["/401"]
        writer.close()

    run(settings, listened(settings, scenario, secure=secure))


def test_a_client_that_sends_no_rest_has_its_next_request_neither_answered_nor_taken_for_it(
    settings: Settings, shorten: Shorten, *, secure: bool
) -> None:
    shorten("SILENCE", "SWEEP")

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/401", UPLOAD) + b"x" * 1000)
        await whole(reader)
        writer.write(OTHER)
        assert await rest(reader) == b""
        assert listener.app.paths == ["/401"]
        writer.close()

    run(settings, listened(settings, scenario, secure=secure))


def test_no_more_than_a_body_is_read_after_the_answer(settings: Settings, *, secure: bool) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/401", 2**40))
        await whole(reader)
        assert await pour(writer, bytes(2**16), 2**14) < 2**28  # of 2**30: most is what the system holds
        assert await rest(reader) == b""
        writer.close()

    run(settings, listened(settings, scenario, secure=secure))


def test_no_longer_than_a_while_is_read_after_the_answer(settings: Settings, shorten: Shorten, *, secure: bool) -> None:
    shorten("LINGER", "SWEEP")

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/401", 2**40))
        await whole(reader)
        drops = asyncio.create_task(drip(writer))
        assert await rest(reader) == b""
        writer.transport.abort()
        await drops

    run(settings, listened(settings, scenario, secure=secure))


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then until the connection ends."""
    with suppress(*GONE):
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)


def test_a_server_that_stops_does_not_wait_for_the_rest(settings: Settings, shorten: Shorten, *, secure: bool) -> None:
    shorten("FAREWELL", "SWEEP")

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/401", 2**40))
        await whole(reader)
        drops = asyncio.create_task(drip(writer))
        for one in listener.open:
            one.shutdown()
        assert await rest(reader) == b""
        writer.transport.abort()
        await drops

    run(settings, listened(settings, scenario, secure=secure))


def test_connections_whose_rest_is_read_make_room_for_new_ones(settings: Settings, shorten: Shorten) -> None:
    shorten("SWEEP")
    few = settings.model_copy(update={"max_connections": 2})

    async def scenario(listener: Listener) -> None:
        clients = [await listener.connect() for _ in range(2)]
        for reader, writer in clients:
            writer.write(posted("/401", 2**40))
            await whole(reader)
        await until(lambda: all(one.is_waiting(one.loop.time()) for one in listener.open))
        reader, writer = await listener.connect()
        writer.write(OTHER)
        head, _ = await whole(reader)
        assert head.startswith(b"HTTP/1.1 200 ")
        for _, other in [*clients, (reader, writer)]:
            other.transport.abort()

    run(few, listened(few, scenario))


def test_an_answer_to_a_whole_request_keeps_the_connection(settings: Settings, *, secure: bool) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        for _ in range(2):  # not read by the application, but there
            writer.write(posted("/401", 10) + b"x" * 10)
            head, _ = await whole(reader)
            assert b"connection" not in head
        for path in ("/read", "/wait"):  # in parts
            writer.write(posted(path, 200_000))
            for _ in range(2):
                writer.write(b"x" * 100_000)
                await writer.drain()
                listener.app.go.set()
            head, _ = await whole(reader)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert path == "/wait" or b"connection" not in head
        writer.transport.abort()

    run(settings, listened(settings, scenario, secure=secure))


def test_a_small_body_is_awaited_so_that_its_connection_is_kept(settings: Settings, *, secure: bool) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        for number in range(2):
            writer.write(posted("/503", 10) + b"x" * 5)
            await until(partial(listener.app.was_called, number + 1))
            writer.write(b"x" * 5)
            head, _ = await whole(reader)
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"connection" not in head
        writer.write(posted("/read", 1) + b"x" + posted("/503", 10))
        await whole(reader)
        await until(partial(listener.app.was_called, 4))
        writer.write(b"x" * 10)
        head, _ = await whole(reader)
        assert b"connection" not in head
        writer.transport.abort()

    run(settings, listened(settings, scenario, secure=secure))


def test_an_answer_that_waited_still_feels_a_client_that_takes_it_slowly() -> None:
    flow = FlowControl(Mock())
    held = Held(flow)
    assert held.write_paused
    held.release()
    assert not held.write_paused
    flow.pause_writing()
    assert held.write_paused


def test_a_socket_that_is_closed_holds_nothing_that_the_client_has_yet_to_take() -> None:
    with socket.socket() as closed:
        pass
    assert not connection._undelivered(Mock(get_extra_info=Mock(return_value=closed)))  # noqa: SLF001


def test_only_a_body_that_is_usual_is_awaited(settings: Settings) -> None:
    """The others have their place among the requests of the process already."""

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/401", 1).replace(b"POST", b"GET"))
        head, _ = await whole(reader)
        assert b"connection: close\r\n" in head
        writer.close()

    run(settings, listened(settings, scenario))


def test_a_small_body_is_not_awaited_for_long(settings: Settings, shorten: Shorten) -> None:
    shorten("SWEEP")

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/503", 10))
        head, _ = await whole(reader)
        assert b"connection: close\r\n" in head
        writer.transport.abort()

    run(settings, listened(settings, scenario))


def test_a_body_that_was_held_up_is_read_to_its_end_after_the_answer(settings: Settings, *, secure: bool) -> None:
    """A body of which more has come than is read for now has its connection paused."""

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/wait", UPLOAD) + b"x" * UPLOAD)
        await until(lambda: any(one.flow.read_paused for one in listener.open))
        listener.app.go.set()
        head, _ = await whole(reader)
        assert b"connection: close\r\n" in head
        await writer.drain()
        assert await reader.read() == b""
        writer.close()

    run(settings, listened(settings, scenario, secure=secure))


def test_what_was_asked_before_is_answered_first(settings: Settings, *, secure: bool) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(posted("/read", 1) + b"x" + posted("/503", UPLOAD) + b"x" * 1000)
        first, _ = await whole(reader)
        assert first.startswith(b"HTTP/1.1 200 ")
        assert b"connection" not in first
        second, _ = await whole(reader)
        assert second.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close\r\n" in second
        writer.write(b"x" * (UPLOAD - 1000))
        assert await reader.read() == b""
        assert listener.app.paths == ["/read", "/503"]
        writer.close()

    run(settings, listened(settings, scenario, secure=secure))


def test_a_body_after_an_answer_is_never_refused_in_a_second_one(settings: Settings) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(chunked("/401") + b"1\r\nx\r\n")
        await whole(reader)
        writer.write(b"no chunk")
        assert await rest(reader) == b""
        writer.close()

    run(settings, listened(settings, scenario))


GOT = b"GET /read HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "following",
    [
        GOT + b"no request\r\n\r\n",
        chunked("/read") + b"no chunk\r\n",
        posted("/read", 1, "Connection: upgrade", "Upgrade: h2c") + b"x",
        GOT * (MAX_PIPELINED + 4),
    ],
    ids=["request", "chunk", "upgrade", "flood"],
)
def test_nothing_is_refused_in_the_midst_of_the_answer_to_an_earlier_request(
    settings: Settings, following: bytes, *, secure: bool
) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(GOT.replace(b"/read", b"/begun"))
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(1) == WORDS[:1]
        writer.write(following)
        assert await rest(reader) == b""
        listener.app.go.set()
        writer.close()

    run(settings, listened(settings, scenario, secure=secure))


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_a_body_is_not_taken_for_requests_because_another_protocol_is_asked_for(
    settings: Settings, protocol: str
) -> None:
    async def scenario(listener: Listener) -> None:
        upgrade = ("Connection: Upgrade", f"Upgrade: {protocol}")
        reader, writer = await listener.connect()
        writer.write(posted("/read", len(OTHER), *upgrade))
        head, _ = await whole(reader)
        assert head.startswith(b"HTTP/1.1 400 ")
        writer.write(OTHER)
        assert await rest(reader) == b""
        writer.close()
        reader, writer = await listener.connect()
        writer.write(posted("/read", 0, *upgrade) + OTHER)
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close\r\n" in answer
        assert answer.count(b"HTTP/1.1 ") == 1
        writer.close()

    run(settings, listened(settings, scenario))


TRAILERS = ("X-API-Key: k", "Host: other", "X-Forwarded-For: 1.2.3.4", "Expect: 100-continue", "Upgrade: h2c")


def test_what_comes_after_the_head_changes_nothing_that_the_head_said(settings: Settings, *, secure: bool) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        for _ in range(2):
            writer.write(chunked("/read") + b"1;a=b\r\nx\r\n0\r\n" + "\r\n".join([*TRAILERS, "", ""]).encode())
            head, content = await whole(reader)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert json.loads(content) == [1, ["host", "transfer-encoding"]]
        writer.transport.abort()

    run(settings, listened(settings, scenario, secure=secure))


@pytest.mark.parametrize(("name", "status"), [("Connection", 200), ("Proxy-Connection", 200), ("Content-Length", 400)])
@pytest.mark.parametrize("path", ["/read", "/wait"])
def test_no_request_is_lost_on_a_connection_after_a_trailer_that_the_parser_heeds(
    settings: Settings, name: str, status: int, path: str
) -> None:
    async def scenario(listener: Listener) -> None:
        listener.app.go.set()
        reader, writer = await listener.connect()
        writer.write(chunked(path) + f"1\r\nx\r\n0\r\n{name}: close\r\n\r\n".encode() + OTHER)
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close\r\n" in answer
        assert answer.count(b"HTTP/1.1 ") == 1
        writer.close()

    run(settings, listened(settings, scenario))


BESIDE = {
    "one trailer": (b"0\r\nX: ", b"a" * 2**16),
    "many trailers": (b"0\r\n", b"a:b\r\n" * 10_000),
    "one extension": (b"1;", b"a" * 2**16),
    "an extension for each byte": (b"", b"1;" + b"a" * 2**15 + b"\r\nx\r\n"),
    "a small extension for each byte": (b"", b"1;aaaaaaaaaaaaaaaa\r\nx\r\n" * 1000),
}


@pytest.mark.parametrize("path", ["/read", "/401"])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_comes_beside_the_content_is_cut_off_early(
    settings: Settings, kind: str, path: str, *, secure: bool
) -> None:
    beginning, more = BESIDE[kind]

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(chunked(path) + beginning)
        pouring = asyncio.create_task(pour(writer, more, 100 * 2**20 // len(more)))
        answer = await rest(reader)
        assert await pouring < 2**24  # most is what the system holds
        assert answer.count(b"HTTP/1.1 ") <= 1
        other, asking = await listener.connect()
        asking.write(OTHER)
        await whole(other)
        for one in (asking, writer):
            one.transport.abort()

    run(settings, listened(settings, scenario, secure=secure))


def test_trailers_are_counted(settings: Settings) -> None:
    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(chunked("/read") + b"0\r\n" + b"a:b\r\n" * MAX_HEADERS + b"\r\n")
        head, _ = await whole(reader)
        assert head.startswith(b"HTTP/1.1 200 ")
        writer.write(chunked("/read") + b"0\r\n" + b"a:b\r\n" * (MAX_HEADERS + 1) + b"\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")
        writer.close()

    run(settings, listened(settings, scenario))


def test_a_body_in_chunks_of_one_byte_is_read(settings: Settings) -> None:
    size = 100_000

    async def scenario(listener: Listener) -> None:
        reader, writer = await listener.connect()
        writer.write(chunked("/read") + b"1\r\nx\r\n" * size + b"0\r\n\r\n")
        assert json.loads((await whole(reader))[1])[0] == size
        writer.transport.abort()

    run(settings, listened(settings, scenario))
