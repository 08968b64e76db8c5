"""Bad habits of clients, over real sockets."""

import asyncio
import json
import ssl
from contextlib import suppress
from typing import NamedTuple, Protocol

from .service import PATIENCE, ROW

BODY = json.dumps({"data": [ROW]}).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
CHUNKED = HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked")
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
GONE = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)
"""Raised when the connection has ended."""


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


TRUSTING = trusting()
"""Made once, so that hundreds of clients are quick; who the server is does not matter here."""


class Server(Protocol):
    """Listens on a port of this machine."""

    port: int


async def connect(server: Server, *, secure: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, however long the handshake takes."""
    context, patience = (TRUSTING, PATIENCE) if secure else (None, None)
    return await asyncio.open_connection("127.0.0.1", server.port, ssl=context, ssl_handshake_timeout=patience)


async def whole(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the content of an answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(size)


class Client:
    """A connection on which every byte is ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, server: Server, *, secure: bool = True) -> "Client":
        return cls(*await connect(server, secure=secure))

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """Return all that comes until the connection ends."""
        received = b""
        with suppress(*GONE):
            while more := await self.reader.read(65536):
                received += more
        self.writer.transport.abort()
        return received

    async def answer_to(self, content: bytes) -> bytes:
        """Send, and return all that comes meanwhile and afterwards: a reset while more is sent loses nothing of it."""

        async def send() -> None:
            with suppress(*GONE):
                await self.send(content)

        answer, _ = await asyncio.gather(self.answer(), send())
        return answer


class Habit(NamedTuple):
    """A bad habit."""

    begins: bytes = b""
    """What the client sends of something that it does not finish."""
    drips: bytes = b""
    """The byte that it sends now and then instead."""
    answer: bytes = b""
    """How the answer begins."""
    secure: bool = True
    """Whether it shakes hands before."""
    after: bytes = b""
    """The request that it makes before, as it should."""

    async def begin(self, server: Server) -> Client:
        """Return a client that owes the server something."""
        client = await Client.connect(server, secure=self.secure)
        try:
            if self.after:
                await client.send(self.after)
                await whole(client.reader)
            await client.send(self.begins)
        except GONE:
            client.writer.transport.abort()
            raise
        return client

    async def keep(self, server: Server, pause: float) -> bytes:
        """Keep the habit until sent away, perhaps before it shows; return what the client was told."""
        try:
            client = await self.begin(server)
        except GONE:
            return b""
        dripping = asyncio.create_task(self._drip(client, pause))
        answer = await client.answer()
        await dripping
        return answer

    async def _drip(self, client: Client, pause: float) -> None:
        with suppress(*GONE):
            while self.drips and not client.writer.is_closing():
                await client.send(self.drips)
                await asyncio.sleep(pause)


LATE = b"HTTP/1.1 408 "
UNSHAKEN = {
    "silent TCP": Habit(secure=False),
    "half a hello": Habit(bytes.fromhex("16030100f8010000f40303"), secure=False),
}
"""Habits of clients that do not shake hands."""
SLOW_HEADS = {
    "silent TLS": Habit(),
    "slow head": Habit(b"GET / HTTP/1.1\r\nX-Slow: ", b"a", LATE),
    "slow second head": Habit(b"GET / HTTP/1.1\r\nX-Slow: ", b"a", LATE, after=GET),
}
SLOW_BODIES = {
    "slow body": Habit(HEAD % 10**6, b" ", LATE),
    "slow trailers": Habit(CHUNKED + b"0\r\nX-Slow: ", b"a", LATE),
}
IDLE = {"idle": Habit(after=GET)}
