"""Answers that are kept for a while: in this process's memory, or in a Redis that several share.

A key holds the identity of the version that computed the answer and all values of the request, so a new version never
answers with an old one's words. Whatever is wrong with the cache, the model answers: slowly is the worst that may
happen, and not for long, because a cache that fails is left alone for a moment.
"""

import asyncio
import logging
import time
from hashlib import blake2b
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

PATIENCE_SECONDS = 0.05
"""How long to wait for the cache. Most models are faster than that."""
PAUSE_SECONDS = 1.0
"""How long a cache that failed is not asked again."""
MOST_ANSWERS = 10_000
"""Answers that a process's memory holds; the one that was used longest ago makes room."""
MOST_BYTES = 64 * 2**20
"""Bytes of these answers together; a single one that is longer is not kept."""
DIGEST_BYTES = 16
"""Length of the digest before each answer, by which one knows that nobody else wrote it or cut it."""
MOST_WRITES = 100
"""Answers that may wait to be written."""

Result = Literal["hit", "miss", "fault"]

log = logging.getLogger(__name__)


class Backend(Protocol):
    """Where answers are kept. To add one, write these three methods over a library."""

    async def get(self, key: bytes) -> bytes | None:
        """Return what is kept under a key."""

    async def set(self, key: bytes, content: bytes) -> None:
        """Keep content under a key, for as long as the backend was told."""

    async def close(self) -> None:
        """Let go of connections."""


class Memory:
    """Keeps answers in this process."""

    def __init__(self, seconds: float) -> None:
        """Keep each answer for so many seconds."""
        from cachetools import TTLCache

        self._kept: Any = TTLCache(MOST_BYTES, seconds, getsizeof=_size)

    async def get(self, key: bytes) -> bytes | None:
        """Return what is kept under a key."""
        kept: bytes | None = self._kept.get(key)
        return kept

    async def set(self, key: bytes, content: bytes) -> None:
        """Keep content under a key, unless there is no room for it."""
        if _size(content) <= MOST_BYTES:
            self._kept[key] = content

    async def close(self) -> None:
        """Do nothing: it ends with the process."""


class Redis:
    """Keeps answers in a Redis server."""

    def __init__(self, url: str, seconds: float) -> None:
        """Keep each answer for so many seconds; the server is reached when it is first asked."""
        from redis.asyncio import Redis as Client

        limit = PATIENCE_SECONDS
        self._client = Client.from_url(url, socket_timeout=limit, socket_connect_timeout=limit, retry=None)
        self._milliseconds = int(seconds * 1000)

    async def get(self, key: bytes) -> bytes | None:
        """Return what is kept under a key."""
        kept = await self._client.get(key)
        return kept if isinstance(kept, bytes) else None

    async def set(self, key: bytes, content: bytes) -> None:
        """Keep content under a key."""
        await self._client.set(key, content, px=self._milliseconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class AnswerCache:
    """Keeps answers, and never stands in the way of one."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resumes_at = 0.0
        self._writes: set[asyncio.Task[None]] = set()

    async def find(self, key: bytes) -> tuple[bytes | None, Result]:
        """Return the answer kept under a key, if there is one, and how the search went."""
        if time.monotonic() < self._resumes_at:
            return None, "fault"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                kept = await self._backend.get(key)
        except Exception as error:  # noqa: BLE001 - the boundary to whatever the backend does: the model must answer
            self._rest(error)
            return None, "fault"
        if kept is None:
            return None, "miss"
        digest, content = kept[:DIGEST_BYTES], kept[DIGEST_BYTES:]
        return (content, "hit") if digest == _digest(content) else (None, "fault")

    def keep(self, key: bytes, content: bytes) -> None:
        """Keep an answer, once it is sent."""
        if len(self._writes) < MOST_WRITES and time.monotonic() >= self._resumes_at:
            task = asyncio.create_task(self._write(key, _digest(content) + content))
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)

    async def _write(self, key: bytes, content: bytes) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._backend.set(key, content)
        except Exception as error:  # noqa: BLE001 - likewise
            self._rest(error)

    def _rest(self, error: Exception) -> None:
        if time.monotonic() >= self._resumes_at:
            log.warning("the cache fails (%s): it is left alone for %g s", type(error).__name__, PAUSE_SECONDS)
        self._resumes_at = time.monotonic() + PAUSE_SECONDS

    async def close(self) -> None:
        """Finish what is being written and close the connections."""
        await asyncio.gather(*self._writes)
        await self._backend.close()


def answer_cache(url: str, seconds: float) -> AnswerCache:
    """Return the cache at a URL: `memory://`, or `redis://` and `rediss://`."""
    return AnswerCache(Memory(seconds) if url.startswith("memory://") else Redis(url, seconds))


def key_of(model: str, identity: str, X: NDArray[Any]) -> bytes:
    """Return the key of a request: the model's name, its version's `Served.identity`, and a digest of all values."""
    # A text's values are strings of any length, so their ends must show.
    values = "\0".join(X[:, 0]).encode() if X.dtype == object else X.tobytes()
    return b"%s/%s/%s" % (model.encode(), identity.encode(), blake2b(values, digest_size=24).hexdigest().encode())


def _size(content: bytes) -> int:
    """Return the share of the memory that an answer takes: so many short ones fit in that their number is limited."""
    return max(len(content), -(-MOST_BYTES // MOST_ANSWERS))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
