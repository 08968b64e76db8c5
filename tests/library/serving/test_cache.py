import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlapi.serving import cache
from mlapi.serving.cache import (
    AnswerCache,
    Backend,
    Redis,
    answer_cache,
    key_of,
)


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(scenario)


async def settled(answers: AnswerCache) -> None:
    """Let the writes under way finish."""
    await asyncio.gather(*answers._writes)  # noqa: SLF001 - there is nothing else to wait for


@contextmanager
def running_redis(listener: socket.socket) -> Iterator[str]:
    """Run a real server on the port of a socket, which it takes over; yield its URL."""
    program = shutil.which("redis-server") or pytest.skip(
        "redis-server is not installed here: apt-get install redis-server"
    )
    port = listener.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    listener.close()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert server.poll() is None, "redis-server has ended"
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 60).close()
    except OSError:
        return False
    return True


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A socket that has a port, which nobody else gets, and refuses connections until it listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
def redis(deaf: socket.socket) -> Iterator[str]:
    """The URL of a real server."""
    with running_redis(deaf) as url:
        yield url


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the cache goes by, which stands still."""
    now = [1000.0]
    monkeypatch.setattr(cache, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def url_of(kind: str, request: pytest.FixtureRequest) -> str:
    return "memory://" if kind == "memory" else str(request.getfixturevalue("redis"))


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_what_is_kept_is_found_until_its_time_is_over(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = url_of(kind, request)
    monkeypatch.setattr(cache, "PATIENCE_SECONDS", 60)  # how long the cache takes is not the question here

    async def scenario() -> None:
        lasting, brief = answer_cache(url, 60), answer_cache(url, 0.1)
        for answers in (lasting, brief):
            assert await answers.find(b"k") == (None, "miss")
        lasting.keep(b"k", b"answer")
        await settled(lasting)
        assert await lasting.find(b"k") == (b"answer", "hit")
        brief.keep(b"k", b"answer")  # in Redis it takes the place of the other
        await settled(brief)
        async with asyncio.timeout(60):
            while (found := await brief.find(b"k")) == (b"answer", "hit"):  # noqa: ASYNC110 - time passes elsewhere
                await asyncio.sleep(0.05)
        assert found == (None, "miss")
        await lasting.close()
        await brief.close()

    run(scenario())


class Counted:
    """A backend that counts how often it is asked."""

    def __init__(self, listener: socket.socket) -> None:
        self.asked = 0
        self._backend = Redis(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", 60)

    async def get(self, key: bytes) -> bytes | None:
        self.asked += 1
        return await self._backend.get(key)

    async def set(self, key: bytes, content: bytes) -> None:
        await self._backend.set(key, content)

    async def close(self) -> None:
        await self._backend.close()


def test_a_redis_that_is_down_is_left_alone_for_a_moment_and_used_again_when_it_is_back(
    deaf: socket.socket, clock: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Checklist 38."""
    monkeypatch.setattr(cache, "PATIENCE_SECONDS", 60)

    async def scenario() -> None:
        backend = Counted(deaf)
        answers = AnswerCache(backend)
        for tries in (1, 2):
            for _ in range(50):
                assert await answers.find(b"k") == (None, "fault")
                answers.keep(b"k", b"answer")
            assert (backend.asked, caplog.text.count("the cache fails")) == (tries, tries)
            clock[0] += cache.PAUSE_SECONDS
        with running_redis(deaf):
            assert await answers.find(b"k") == (None, "miss")
            answers.keep(b"k", b"answer")
            await settled(answers)
            assert await answers.find(b"k") == (b"answer", "hit")
            await answers.close()

    run(scenario())


def test_a_redis_that_never_answers_costs_a_moment_only(deaf: socket.socket, clock: list[float]) -> None:
    """Checklist 38; it is asked once in a while, and the others do not wait."""
    deaf.listen()

    async def scenario() -> None:
        backend = Counted(deaf)
        answers = AnswerCache(backend)
        for tries in (1, 2):
            for _ in range(20):
                assert await answers.find(b"k") == (None, "fault")
            assert backend.asked == tries
            clock[0] += cache.PAUSE_SECONDS
        await answers.close()

    run(scenario())


def test_memory_holds_no_more_than_so_many_bytes_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 1000)
    monkeypatch.setattr(cache, "MOST_ANSWERS", 10)

    async def scenario() -> None:
        answers = answer_cache("memory://", 60)

        async def kept(count: int, content: bytes) -> int:
            keys = [b"%d/%d" % (len(content), number) for number in range(count)]
            for key in keys:
                answers.keep(key, content)
            await settled(answers)
            return [(await answers.find(key))[1] for key in keys].count("hit")

        assert await kept(20, b"x") == 10
        assert await kept(20, b"x" * 300) == 3
        assert await kept(1, b"x" * 1001) == 0
        assert await kept(1, b"x") == 1, "the cache rests after a fault: one that is too long is none"

    run(scenario())


class Garbled:
    """A backend that somebody else wrote to."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def get(self, _key: bytes) -> bytes:
        return self.content

    async def set(self, _key: bytes, _content: bytes) -> None:
        raise OSError

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("content", [b"", b"x", b"0" * 16, b"0" * 99, b"\xff" * 10_000])
def test_garbage_in_the_cache_is_no_answer(content: bytes) -> None:
    """Checklist 38."""

    async def scenario(backend: Backend) -> None:
        answers = AnswerCache(backend)
        assert await answers.find(b"k") == (None, "fault")
        answers.keep(b"k", b"answer")
        await settled(answers)

    run(scenario(Garbled(content)))


X = np.array([[1.0, 2.0], [3.0, np.nan]], dtype=np.float32)


@pytest.mark.parametrize(
    "other",
    [
        lambda: key_of("m", "2", X),
        lambda: key_of("n", "1", X),
        lambda: key_of("m", "1", X[::-1]),
        lambda: key_of("m", "1", np.nextafter(X, np.float32(9))),
        lambda: key_of("m", "1", np.array([["a", "b"]], dtype=object).T),
    ],
)
def test_another_model_version_or_value_has_another_key(other: Callable[[], bytes]) -> None:
    """Checklist 37."""
    assert key_of("m", "1", X) == key_of("m", "1", X.copy())
    assert other() != key_of("m", "1", X)


def test_texts_are_told_apart_by_where_they_end() -> None:
    one, two = (np.array(texts, dtype=object)[:, None] for texts in (["ab", "c"], ["a", "bc"]))
    assert key_of("m", "1", one) != key_of("m", "1", two)
