"""The service's connections around an application that answers as its caller says, for the tests."""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from sample.settings import Settings
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from mlapi.connection import Connections
from mlapi.loop import Loop
from mlapi.tls import self_signed

from .habits import connect
from .service import PATIENCE

WORDS = b"so it is"
LONG_BYTES = 2**25
"""Size of an answer that no system holds for a client that does not read."""
HOUR = 3600.0
"""A limit that no client meets, however slow the machine is, until the time is said to be later."""
LIMITS = ("handshake_seconds", "header_seconds", "body_seconds", "send_seconds", "idle_seconds")
"""Settings of how long clients may take."""


def patient(settings: Settings) -> Settings:
    """Return settings by which clients may take an hour for each step."""
    return settings.model_copy(update=dict.fromkeys(LIMITS, HOUR))


class Answering:
    """Answers with what the head says and the size of the body, but `/401` with that status before the body.

    `/wait` waits for the event `go`, and then answers without having read the body; so does `/long`, at length.
    `/begun` begins its answer and waits for the event in its midst.
    """

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.paths: list[str] = []
        """What was asked for."""
        self.received = 0
        """Bytes of bodies that were read."""

    def was_called(self, times: int) -> bool:
        return len(self.paths) == times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        status, words = 200, WORDS
        if scope["path"] == "/wait":
            await self.go.wait()
        elif scope["path"] == "/long":
            words = bytes(LONG_BYTES)
        elif scope["path"][1:].isdecimal():
            status = int(scope["path"][1:])
        elif scope["path"] != "/begun":
            size = await self._read(receive)
            words = json.dumps([size, [name.decode() for name, _ in scope["headers"]]]).encode()
        headers = [(b"content-length", b"%d" % len(words))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if scope["path"] == "/begun":
            await send({"type": "http.response.body", "body": words[:1], "more_body": True})
            await self.go.wait()
            words = words[1:]
        await send({"type": "http.response.body", "body": words})

    async def _read(self, receive: Receive) -> int:
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            self.received += len(message.get("body", b""))
            more = message.get("more_body", False)
        return size


class Listener:
    """A port on which an application answers."""

    def __init__(self, port: int, app: Answering, state: ServerState, *, secure: bool) -> None:
        self.port, self.app, self._state, self._secure = port, app, state, secure
        self.ended = Counter[str]()
        """Connections that were ended before their time, by the reason."""

    @property
    def open(self) -> list[Any]:
        """Connections that are open."""
        return list(self._state.connections)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await connect(self, secure=self._secure)

    def count(self, reason: str) -> None:
        self.ended[reason] += 1

    def later(self, seconds: float) -> None:
        """Look at all connections as if it were so much later."""
        for connection in self.open:
            connection.check(connection.loop.time() + seconds)


@asynccontextmanager
async def listening(settings: Settings, *, secure: bool = False) -> AsyncIterator[Listener]:
    """Listen until the block ends."""
    app, state, connections = Answering(), ServerState(), Connections(settings)
    idle: Any = settings.idle_seconds
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False, timeout_keep_alive=idle)
    config.load()
    context = None
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self_signed(settings.data_dir / "tls"))
    server = await asyncio.get_running_loop().create_server(
        lambda: connections(config=config, server_state=state, app_state={}), "127.0.0.1", 0, ssl=context
    )
    try:
        listener = Listener(server.sockets[0].getsockname()[1], app, state, secure=secure)
        connections.count = listener.count
        yield listener
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await until(lambda: not state.connections)


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds; `run` is what gives up."""
    while not holds():  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.001)


def run(settings: Settings, scenario: Coroutine[Any, Any, Any]) -> Any:
    """Run a scenario in a loop like the service's."""

    def make() -> Loop:
        loop = Loop()
        loop.settings = settings
        return loop

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(asyncio.wait_for(scenario, PATIENCE))
