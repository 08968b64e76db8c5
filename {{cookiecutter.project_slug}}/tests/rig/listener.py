"""The service's connections around an application that answers as its caller says, for the tests."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from package_name.connection import Connections
from package_name.loop import Loop
from package_name.settings import Settings
from package_name.tls import self_signed

from .habits import TRUSTING

WORDS = b"so it is"


class Answering:
    """Answers `/read` with what the head says and the size of the body, `/401` with that status before the body.

    `/wait` waits for the event `go`, and then answers without having read the body.
    """

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.paths: list[str] = []
        """What was asked for."""

    def was_called(self, times: int) -> bool:
        return len(self.paths) == times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        status, words = 200, WORDS
        if scope["path"] == "/read":
            size, more = 0, True
            while more:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
            words = json.dumps([size, [name.decode() for name, _ in scope["headers"]]]).encode()
        elif scope["path"] == "/wait":
            await self.go.wait()
        else:
            status = int(scope["path"][1:])
        headers = [(b"content-length", b"%d" % len(words))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": words})


class Listener:
    """A port on which an application answers."""

    def __init__(self, port: int, app: Answering, state: ServerState, *, secure: bool) -> None:
        self.port, self.app, self._state, self._secure = port, app, state, secure

    @property
    def open(self) -> list[Any]:
        """Connections that are open."""
        return list(self._state.connections)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=TRUSTING if self._secure else None)


@asynccontextmanager
async def listening(settings: Settings, *, secure: bool = False) -> AsyncIterator[Listener]:
    """Listen until the block ends."""
    app, state, connections = Answering(), ServerState(), Connections(settings)
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
    config.load()
    context = None
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self_signed(settings.data_dir / "tls"))
    server = await asyncio.get_running_loop().create_server(
        lambda: connections(config=config, server_state=state, app_state={}), "127.0.0.1", 0, ssl=context
    )
    try:
        yield Listener(server.sockets[0].getsockname()[1], app, state, secure=secure)
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
        return runner.run(asyncio.wait_for(scenario, 60))
