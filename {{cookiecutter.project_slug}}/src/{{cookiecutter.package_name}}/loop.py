"""The event loop of a serving process: uvloop, with an end to waiting for clients that never say goodbye."""

from typing import Any

import uvloop

TLS_SHUTDOWN_SECONDS = 1.0
"""How long a closing TLS connection waits for the client's farewell. The default, 30 s, is as long as an orchestrator
waits before it kills: one idle client would turn every graceful stop into a hard one."""


class Loop(uvloop.Loop):
    """uvloop's loop, whose TLS servers close connections promptly."""

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        """Do as uvloop does; see `asyncio.loop.create_server`."""
        if options.get("ssl") is not None:
            options.setdefault("ssl_shutdown_timeout", TLS_SHUTDOWN_SECONDS)
        return await super().create_server(*arguments, **options)
