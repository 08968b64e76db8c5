"""What uvicorn runs with: uvloop with our limits of time for TLS, an eye on the certificate, a parent that lets go."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, cast

import uvicorn
import uvloop
from uvicorn.importer import import_from_string
from uvicorn.supervisors import Multiprocess

from .connection import Connections
from .logs import logging_config
from .settings import Settings
from .tls import Certificate

if TYPE_CHECKING:
    from .monitoring.metrics import Metrics

DEAD_SECONDS = 60
"""After how long without a sign of life a serving process is killed and replaced. uvicorn's 5 s would kill one that
still loads its libraries on a busy machine, again and again."""


class Loop(uvloop.Loop):
    """uvloop's loop, whose TLS servers end connections that do not say hello, or take the rest, in time."""

    settings: Settings
    """Hold the limits of time."""

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        """Do as uvloop does; see `asyncio.loop.create_server`."""
        if options.get("ssl") is not None:
            options.setdefault("ssl_handshake_timeout", self.settings.handshake_seconds)
            options.setdefault("ssl_shutdown_timeout", self.settings.send_seconds)
        return await super().create_server(*arguments, **options)


class Config(uvicorn.Config):
    """uvicorn's configuration, with the loop above, our connections, and a certificate that may be replaced."""

    certificate: Certificate
    """What is shown to clients; there once this is loaded."""

    def __init__(self, settings: Settings, **tls: Any) -> None:
        """Serve the application as the settings say; `tls` are uvicorn's options on certificates."""
        self._settings = settings
        self._connections = Connections(settings)
        super().__init__(
            f"{settings.package}.main:app",
            http=cast("Any", self._connections),
            ws="none",
            workers=settings.workers,
            log_config=logging_config(settings),
            access_log=False,  # the application writes its own
            proxy_headers=False,  # the application believes those that the settings name
            server_header=False,
            timeout_keep_alive=cast("Any", settings.idle_seconds),
            timeout_graceful_shutdown=cast("Any", settings.shutdown_seconds),
            timeout_worker_healthcheck=DEAD_SECONDS,
            **tls,
        )

    def load(self) -> None:
        """Load what is configured; called by uvicorn in the serving process, in its running loop."""
        self.certificate = Certificate(Path(self.ssl_certfile or ""), Path(self.ssl_keyfile or ""))
        super().load()
        metrics: Metrics = import_from_string(str(self.app)).services.metrics
        self._connections.count = lambda reason: metrics.connections.labels(reason).inc()
        self.certificate.count = lambda result: metrics.certificates.labels(result).inc()
        if self.ssl is not None:
            self.certificate.follow(self.ssl, asyncio.get_running_loop())

    def get_loop_factory(self) -> Callable[[], Loop]:
        """Return what makes the loop of a serving process."""
        return partial(_make, self._settings)


class Server(uvicorn.Server):
    """uvicorn's server in this process, which tells when it answers."""

    def __init__(self, config: Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start as uvicorn does, which ends the process if it cannot."""
        await super().startup(sockets)
        self._tell()


class Supervisor(Multiprocess):
    """uvicorn's parent of several serving processes, which does not listen on while they stop."""

    def __init__(self, config: Config, sockets: list[socket], started: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._tell = started

    def init_processes(self) -> None:
        """Start the serving processes."""
        super().init_processes()
        self._tell()

    def terminate_all(self) -> None:
        """Tell the serving processes to stop, and leave the address to them: nobody would answer on ours."""
        super().terminate_all()
        for listener in self.sockets:
            listener.close()


def _make(settings: Settings) -> Loop:
    loop = Loop()
    loop.settings = settings
    return loop
