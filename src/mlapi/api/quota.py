"""How many requests a caller may send: counted in this process, or in a Redis that all processes share."""

import asyncio
import logging
import time
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from ..settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from limits import RateLimitItem
    from limits.aio.storage import RedisStorage

PATIENCE_SECONDS = 0.1
"""How long a request waits for Redis."""
PAUSE_SECONDS = 1.0
"""How long Redis is left alone after it failed; meanwhile this process counts for itself."""

MAX_CONNECTIONS = 64
"""Connections to Redis that a process may have."""

log = logging.getLogger(__name__)


class Charge(NamedTuple):
    """What a request cost."""

    headers: list[tuple[bytes, bytes]]
    """Tell its sender what is left, as in the IETF's draft "RateLimit header fields for HTTP", revision 10."""
    wait: int
    """Seconds until there is something left; 0 if the request may be answered."""


class Quotas:
    """The limits of each caller, and the requests it has sent in the window of time that each limit speaks of.

    A window begins at a whole multiple of its length, so processes agree on it and one addition tells all there is to
    know. Requests go on when Redis does not answer; each process then counts its own.
    """

    def __init__(self, settings: Settings, fail: "Callable[[], None]") -> None:
        """Count as the settings say; `fail` is called whenever Redis does not answer."""
        from limits import parse
        from limits.aio.storage import MemoryStorage

        rates = {"rate": settings.rate_limit, "quota": settings.quota}
        self._limits = {name: parse(rate) for name, rate in rates.items() if rate is not None}
        described = (f'"{name}";q={limit.amount};w={limit.get_expiry()}' for name, limit in self._limits.items())
        self._policy = (b"ratelimit-policy", ", ".join(described).encode())
        self._name = settings.about.slug
        self._memory = MemoryStorage()
        self._shared: RedisStorage | None = None
        if settings.rate_limit_url is not None:
            self._connect(settings.rate_limit_url.get_secret_value())
        self._paused_until = 0.0
        self._fail = fail

    def _connect(self, url: str) -> None:
        """Make ready to count in Redis; the first connection is made by the first request."""
        from limits.aio.storage import RedisStorage
        from redis.asyncio import ConnectionPool

        patience = {"socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
        self._pool = ConnectionPool.from_url(url, max_connections=MAX_CONNECTIONS, **patience)
        self._shared = RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=self._name,
            connection_pool=self._pool,  # type: ignore[arg-type]  # as its documentation has it
        )

    async def close(self) -> None:
        """End the connections."""
        if self._shared is not None:
            await self._pool.aclose()

    async def charge(self, credential: str) -> "Charge":
        """Count a request, and return what is left to its sender."""
        now = time.time()
        left, exceeded = [], 0
        for name, limit in self._limits.items():
            window, elapsed = divmod(now, limit.get_expiry())
            reset = ceil(limit.get_expiry() - elapsed)
            count = await self._count(limit.key_for(credential, str(int(window))), limit)
            left.append(f'"{name}";r={max(0, limit.amount - count)};t={reset}')
            if count > limit.amount:
                exceeded = max(exceeded, reset)
        return Charge([self._policy, (b"ratelimit", ", ".join(left).encode())], exceeded)

    async def _count(self, key: str, limit: "RateLimitItem") -> int:
        """Add one to a counter and return it."""
        if self._shared is not None and time.monotonic() >= self._paused_until:
            count = await self._count_together(self._shared, key, limit)
            if count is not None:
                return count
        return await self._memory.incr(key, limit.get_expiry())

    async def _count_together(self, shared: "RedisStorage", key: str, limit: "RateLimitItem") -> int | None:
        """Count in Redis; None if that is not possible now."""
        from limits.errors import StorageError

        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                count: Any = await shared.incr(key, limit.get_expiry())
            if isinstance(count, int):
                return count
            why = "an answer that is no number"
        except (StorageError, OSError, TimeoutError, ValueError) as error:
            why = type(error).__name__
        self._fail()
        self._paused_until = time.monotonic() + PAUSE_SECONDS
        log.warning("requests are counted by each process for itself: Redis does not answer (%s)", why)
        return None
