import asyncio
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings
from starlette.types import Message, Receive, Scope, Send

from mlapi.api.limits import SMALL_BYTES, Limits
from mlapi.api.problems import Problems

from rig.app import create_app

LIMIT = 3
PROBLEMS = Problems("https://example.com")


class Slow:
    """An application that reads the body, if there is one, and answers when told to, but of its health at once."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        if not scope["path"].startswith("/health/"):
            await self.told.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})


class Call:
    """One request to an application, byte by byte."""

    def __init__(
        self, app: Limits, method: str = "GET", path: str = "/models", announced: tuple[bytes, bytes] | None = None
    ) -> None:
        headers = [announced or (b"content-length", b"1000000")] if announced or method == "POST" else []
        self.scope = {"type": "http", "method": method, "path": path, "headers": headers}
        self.body: asyncio.Queue[Message] = asyncio.Queue()
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.task = asyncio.create_task(app(self.scope, self.body.get, self._send))

    async def send(self, content: bytes, *, more: bool) -> "Call":
        self.body.put_nowait({"type": "http.request", "body": content, "more_body": more})
        for _ in range(5):
            await asyncio.sleep(0)
        return self

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.headers |= dict(message.get("headers", []))


async def crowd(app: Limits, **given: Any) -> list[Call]:
    calls = [Call(app, **given) for _ in range(LIMIT)]
    for _ in range(5):
        await asyncio.sleep(0)
    return calls


def test_requests_beyond_the_limit_are_to_come_again_and_do_so_in_vain_only_while_it_is_busy() -> None:
    async def scenario() -> None:
        slow = Slow()
        app = Limits(slow, PROBLEMS, LIMIT, max_bytes=10**7)
        calls = await crowd(app)
        refused = await Call(app).send(b"", more=False)
        assert refused.status == 503
        assert refused.headers[b"retry-after"] == b"1"
        assert refused.headers[b"content-type"] == b"application/problem+json"
        slow.told.set()
        await asyncio.gather(*(call.task for call in calls))
        assert {call.status for call in calls} == {200}
        assert (await Call(app).send(b"", more=False)).status == 200
        assert (app.taken, app.refused) == (0, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "announced"),
    [
        ("GET", (b"content-length", b"0")),
        ("GET", (b"content-length", b"1000000")),
        ("GET", (b"transfer-encoding", b"chunked")),
        ("POST", (b"content-length", b"0")),
    ],
)
def test_announcing_a_body_that_nobody_reads_does_not_help_past_the_limit(
    method: str, announced: tuple[bytes, bytes]
) -> None:
    async def scenario() -> None:
        slow = Slow()
        app = Limits(slow, PROBLEMS, LIMIT, max_bytes=10**7)
        calls = await crowd(app)
        refused = await Call(app, method, announced=announced).send(b"", more=False)
        assert refused.status == 503
        slow.told.set()
        await asyncio.gather(refused.task, *(call.task for call in calls))
        assert app.taken == 0

    asyncio.run(scenario())


def test_health_is_told_however_busy_the_process_is() -> None:
    async def scenario() -> None:
        slow = Slow()
        app = Limits(slow, PROBLEMS, LIMIT, max_bytes=10**7)
        calls = await crowd(app)
        assert (await Call(app, path="/health/live").send(b"", more=False)).status == 200
        assert (app.taken, app.refused) == (LIMIT, 0)
        slow.told.set()
        await asyncio.gather(*(call.task for call in calls))

    asyncio.run(scenario())


def test_small_bodies_that_arrive_slowly_keep_nobody_out() -> None:
    """Checklist 31."""

    async def scenario() -> None:
        slow = Slow()
        slow.told.set()
        app = Limits(slow, PROBLEMS, LIMIT, max_bytes=10**7)
        slowly = [await Call(app, "POST").send(b"x", more=True) for _ in range(10 * LIMIT)]
        assert app.taken == 0
        assert (await Call(app).send(b"", more=False)).status == 200
        for call in slowly:
            assert (await call.send(b"x", more=False)).status == 200
        assert app.taken == 0

    asyncio.run(scenario())


def test_large_bodies_take_a_place_while_they_arrive_so_that_memory_is_bounded() -> None:
    """Checklist 7."""

    async def scenario() -> None:
        slow = Slow()
        app = Limits(slow, PROBLEMS, LIMIT, max_bytes=10**7)
        calls = [Call(app, "POST") for _ in range(LIMIT + 1)]
        for call in calls:
            await call.send(bytes(SMALL_BYTES + 1), more=True)
        assert app.taken == LIMIT
        with pytest.raises(Exception, match="503"):
            await calls[-1].task
        for call in calls[:LIMIT]:
            call.task.cancel()
        await asyncio.gather(*(call.task for call in calls[:LIMIT]), return_exceptions=True)
        assert app.taken == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("request_of", [("GET", "/models", {}), ("POST", "/predict", {"json": {"data": []}})])
def test_a_busy_service_answers_a_problem(trained: Settings, request_of: tuple[str, str, dict[str, Any]]) -> None:
    def answer(app: FastAPI) -> httpx2.Response:
        method, path, body = request_of
        with TestClient(app, base_url="https://127.0.0.1") as client:
            return client.request(method, path, **body)

    refused = answer(create_app(Model, trained.model_copy(update={"max_concurrent_requests": 0})))
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["type"].endswith("#overloaded")
