"""Bad habits of clients, over real sockets."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from .service import ROW, Service

LIMIT = 4.0
"""Seconds that each step may take in the service that they meet: time for all these clients to shake hands at once."""
BODY = json.dumps({"data": [ROW]}).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
CHUNKED = HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked")
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


TRUSTING = trusting()
"""Made once, so that hundreds of clients are quick; who the server is does not matter here."""


class Client:
    """A connection on which every byte is ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began: float) -> None:
        self.reader, self.writer, self.began = reader, writer, began

    @classmethod
    async def connect(cls, service: Service, *, secure: bool = True) -> "Client":
        began = time.monotonic()
        streams = await asyncio.open_connection("127.0.0.1", service.port, ssl=TRUSTING if secure else None)
        return cls(*streams, began)

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """Return all that comes until the connection ends."""
        received = b""
        with suppress(ConnectionError, ssl.SSLError):
            while more := await self.reader.read(65536):
                received += more
        self.writer.transport.abort()
        return received

    async def drip(self, content: bytes) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            for byte in content:
                await self.send(bytes([byte]))
                await asyncio.sleep(LIMIT / 10)


class Farewell(NamedTuple):
    """How a client was sent away."""

    connected: float
    """Seconds after it began to connect."""
    seconds: float
    """Seconds after its last good step, or less where the machine is slow to tell the client."""
    answer: bytes
    """What it was told."""


async def _farewell(client: Client) -> Farewell:
    started = time.monotonic()
    async with asyncio.timeout(30):
        answer = await client.answer()
    now = time.monotonic()
    return Farewell(now - client.began, now - started, answer)


async def _dripped(client: Client, content: bytes) -> Farewell:
    """Send a little at a time until sent away."""
    dripping = asyncio.create_task(client.drip(content))
    farewell = await _farewell(client)
    await dripping
    return farewell


async def silent_tcp(service: Service) -> Farewell:
    return await _farewell(await Client.connect(service, secure=False))


async def half_a_hello(service: Service) -> Farewell:
    client = await Client.connect(service, secure=False)
    await client.send(bytes.fromhex("16030100f8010000f40303"))
    return await _farewell(client)


async def silent_tls(service: Service) -> Farewell:
    return await _farewell(await Client.connect(service))


async def slow_head(service: Service) -> Farewell:
    client = await Client.connect(service)
    return await _dripped(client, b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * 1000)


async def slow_body(service: Service) -> Farewell:
    client = await Client.connect(service)
    await client.send(HEAD % 1000)
    return await _dripped(client, b" " * 1000)


async def slow_trailers(service: Service) -> Farewell:
    client = await Client.connect(service)
    await client.send(CHUNKED + b"0\r\n")
    return await _dripped(client, b"X-Slow: " + b"a" * 1000)


async def slow_second_head(service: Service) -> Farewell:
    client = await Client.connect(service)
    await client.send(GET)
    await client.reader.readuntil(b"}")
    return await _dripped(client, GET * 100)


async def idle(service: Service) -> Farewell:
    client = await Client.connect(service)
    await client.send(GET)
    await client.reader.readuntil(b"}")
    return await _farewell(client)


HABITS: dict[Callable[[Service], Awaitable[Farewell]], bytes] = {
    silent_tcp: b"",
    half_a_hello: b"",
    silent_tls: b"",
    slow_head: b"HTTP/1.1 408 ",
    slow_body: b"HTTP/1.1 408 ",
    slow_trailers: b"HTTP/1.1 408 ",
    slow_second_head: b"HTTP/1.1 408 ",
    idle: b"",
}
"""Bad habits, and how the answer to each begins."""
