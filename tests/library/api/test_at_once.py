"""Callers at the same time, whose small requests are computed together."""

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import pytest
from anyio import to_thread
from numpy.typing import NDArray
from sample.ml import Model

from mlapi.api.app import Application
from mlapi.ml.rowwise import is_rowwise
from mlapi.serving import microbatch
from mlapi.serving.pace import SMALL

EXAMPLE = Model.Features.example().values()
FIRST = Model.Features.columns()[0]
CALLERS = 30
BAD = 7
"""Which of them sends something wrong."""


class Counted:
    """Counts how often a model is called."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.calls = 0

    def compute(self, X: NDArray[Any]) -> Any:
        self.calls += 1
        return self.model.compute(X)


def bodies() -> list[str]:
    """Return what the callers send: a row each, whose first value differs as far as that is possible."""
    match FIRST.kind:
        case "number":
            values: list[Any] = [FIRST.low + (FIRST.high - FIRST.low) * number / CALLERS for number in range(CALLERS)]
        case "category":
            values = [FIRST.choices[number % len(FIRST.choices)] for number in range(CALLERS)]
        case "text":
            values = [f"{FIRST.example}{'!' * number}"[: FIRST.max_length] for number in range(CALLERS)]
    values[BAD] = []
    return [json.dumps({"data": [[value, *EXAMPLE[1:]]]}) for value in values]


def test_one_caller_whose_rows_overflow_is_counted_once(app: Application) -> None:
    """Checklist 2."""
    app.services.champion.refresh()
    before = app.services.champion.served
    assert before is not None

    class Overflows(Counted):
        def compute(self, X: NDArray[Any]) -> Any:
            output = np.array(super().compute(X))
            output[(marked[0] == X).all(axis=1)] = np.nan
            return output

    app.services.champion.served = replace(before, runtime=Overflows(before.runtime), rowwise=True, small=SMALL)
    rows = [json.loads(body)["data"] for number, body in enumerate(bodies()) if number != BAD]
    marked = Model.Features.matrix(rows[3])

    async def scenario() -> list[int]:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://127.0.0.1") as client:
            answers = await asyncio.gather(*(client.post("/predict", json={"data": one}) for one in rows))
        return [answer.status_code for answer in answers]

    statuses = asyncio.run(scenario())
    faults = [status for status in statuses if status != 200]
    assert statuses[3] == 500
    (counted,) = app.services.metrics.overflows.collect()
    assert counted.samples[0].value == len(faults)


def test_callers_at_once_are_answered_as_if_each_were_alone(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = app.services.champion
    champion.refresh()
    assert champion.served is not None
    runtime = Counted(champion.served.runtime)
    # As it would be on a machine that is quick enough.
    rowwise = is_rowwise(runtime.compute, Model.Features)
    champion.served = replace(champion.served, runtime=runtime, rowwise=rowwise, small=SMALL)
    monkeypatch.setattr(microbatch, "LONGEST_SECONDS", 60)

    async def scenario() -> None:
        transport = httpx2.ASGITransport(app)
        headers = {"Content-Type": "application/json", "X-Request-ID": "same"}
        async with httpx2.AsyncClient(transport=transport, base_url="https://127.0.0.1", headers=headers) as client:
            alone = [await client.post("/predict", content=body) for body in bodies()]
            runtime.calls = 0
            at_once = await asyncio.gather(*(client.post("/predict", content=body) for body in bodies()))
        assert [one.content for one in at_once] == [one.content for one in alone]
        assert [one.status_code for one in at_once] == [422 if number == BAD else 200 for number in range(CALLERS)]

    asyncio.run(scenario())
    if rowwise:
        assert runtime.calls < CALLERS / 3


def test_a_version_that_takes_its_time_holds_nobody_else_up(app: Application) -> None:
    app.services.champion.refresh()
    before = app.services.champion.served
    assert before is not None
    begun, others_are_answered = threading.Event(), threading.Event()

    class Slow(Counted):
        def compute(self, X: NDArray[Any]) -> Any:
            begun.set()
            assert others_are_answered.wait(60)
            return super().compute(X)

    app.services.champion.served = replace(before, runtime=Slow(before.runtime), small=0)

    async def scenario() -> list[int]:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://127.0.0.1") as client:
            waits = asyncio.create_task(client.post("/predict", json={"data": [EXAMPLE]}))
            assert await asyncio.to_thread(begun.wait, 60)
            other = await client.get("/health/live")
            others_are_answered.set()
            return [other.status_code, (await waits).status_code]

    assert asyncio.run(scenario()) == [200, 200]


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_large_work_does_not_wait_for_what_waits_for_the_database(
    app: Application, table: Callable[..., str], kind: str
) -> None:
    """Checklist 39."""
    app.services.champion.refresh()
    before = app.services.champion.served
    assert before is not None
    app.services.champion.served = replace(before, small=0)
    body = {"json": {"data": [EXAMPLE]}} if kind == "json" else {"files": {"file": ("rows.csv", table(EXAMPLE))}}

    async def scenario() -> int:
        lent = to_thread.current_default_thread_limiter()
        for _ in range(int(lent.available_tokens)):
            lent.acquire_on_behalf_of_nowait(object())
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://127.0.0.1") as client, asyncio.timeout(60):
            return (await client.post("/predict" if kind == "json" else "/predict/csv", **body)).status_code

    assert asyncio.run(scenario()) == 200
