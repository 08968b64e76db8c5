import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlapi.serving import microbatch
from mlapi.serving.champion import Served
from mlapi.serving.microbatch import MicroBatcher
from mlapi.serving.pace import SMALL


class Doubles:
    """An answer that is twice the first feature of each row."""

    def __init__(self, X: NDArray[Any]) -> None:
        self.X = X

    def lists(self) -> dict[str, list[float]]:
        return {"prediction": (self.X[:, 0] * 2).tolist()}


class Model:
    """Remembers how many rows it was asked for at once, and of which version; fails for rows that hold a 13."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def __call__(self, version: Served, X: NDArray[Any]) -> Any:
        self.asked.append((version.version, len(X)))
        if (X == 13).any():
            raise ArithmeticError("13")
        return Doubles(X)


def served(version: str = "1") -> Served:
    nothing: Any = None
    return Served(nothing, version, nothing)


VERSION = served()


@pytest.fixture
def model() -> Model:
    return Model()


def ask(batcher: MicroBatcher, *values: float, version: Served = VERSION, size: int = 10) -> Awaitable[list[float]]:
    X = np.array([values]).T
    return batcher.predict(version, lambda: X, lambda lists: lists["prediction"], size)


async def twice(batcher: MicroBatcher) -> None:
    """Have the batcher know that there are several callers."""
    await asyncio.gather(ask(batcher, 0), ask(batcher, 0), ask(batcher, 0))


def run(model: Model, scenario: Callable[[MicroBatcher], Awaitable[Any]]) -> Any:
    async def begin() -> Any:
        batcher = MicroBatcher(model)
        await twice(batcher)
        model.asked.clear()
        return await scenario(batcher)

    return asyncio.run(begin())


def test_versions_are_computed_apart_even_if_one_got_the_number_of_the_other(model: Model) -> None:
    other = replace(VERSION, digest="another")

    async def scenario(batcher: MicroBatcher) -> Any:
        return await asyncio.gather(ask(batcher, 1), ask(batcher, 2, version=other), ask(batcher, 3))

    assert run(model, scenario) == [[2], [4], [6]]
    assert sorted(model.asked) == [("1", 1), ("1", 2)]


def test_callers_at_the_same_time_are_computed_together_and_get_each_their_own(model: Model) -> None:
    async def scenario(batcher: MicroBatcher) -> Any:
        return await asyncio.gather(ask(batcher, 1), ask(batcher, 2, 3), ask(batcher, 4))

    assert run(model, scenario) == [[2], [4, 6], [8]]
    assert model.asked == [("1", 4)]


def test_a_caller_who_is_alone_is_answered_before_the_next_turn(model: Model) -> None:
    async def scenario() -> None:
        batcher = MicroBatcher(model)
        for value in (1, 2):
            turns: list[int] = []
            asyncio.get_running_loop().call_soon(turns.append, value)
            assert await ask(batcher, value) == [2 * value]
            assert not turns
            await asyncio.sleep(0)

    asyncio.run(scenario())
    assert model.asked == [("1", 1)] * 2


def test_it_is_found_out_when_callers_become_many_and_few_again(model: Model) -> None:
    async def scenario() -> None:
        batcher = MicroBatcher(model)
        await asyncio.gather(*(ask(batcher, value) for value in range(5)))
        await asyncio.gather(*(ask(batcher, value) for value in range(5)))
        assert model.asked == [("1", 1), ("1", 4), ("1", 5)]
        await ask(batcher, 1)  # the last that is put off
        turns: list[int] = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await ask(batcher, 1)
        assert not turns

    asyncio.run(scenario())


def test_a_batch_waits_while_it_grows_but_not_for_ever(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    async def later(batcher: MicroBatcher, turns: int) -> list[float]:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await ask(batcher, turns)

    async def one_each_turn(batcher: MicroBatcher) -> None:
        await asyncio.gather(ask(batcher, 0), *(later(batcher, turns) for turns in range(8)))

    monkeypatch.setattr(microbatch, "LONGEST_SECONDS", 60.0)
    run(model, one_each_turn)
    assert model.asked == [("1", 9)]
    monkeypatch.setattr(microbatch, "LONGEST_SECONDS", 0.0)
    run(model, one_each_turn)
    assert max(rows for _, rows in model.asked) < 9


def test_what_is_wrong_with_one_request_is_told_to_its_caller_only(model: Model) -> None:
    def unreadable() -> Any:
        raise KeyError("rows")

    async def scenario(batcher: MicroBatcher) -> Any:
        broken = batcher.predict(VERSION, unreadable, lambda lists: lists, 10)
        unwritable = batcher.predict(VERSION, lambda: np.ones((1, 1)), lambda lists: lists["no such list"], 10)
        waiting = [ask(batcher, 1), broken, ask(batcher, 13), unwritable, ask(batcher, 2)]
        return await asyncio.gather(*waiting, return_exceptions=True)

    one, broken, thirteen, unwritable, two = run(model, scenario)
    assert (one, two) == ([2], [4])
    assert [type(error) for error in (broken, thirteen, unwritable)] == [KeyError, ArithmeticError, KeyError]


def test_nobody_waits_for_ever_whatever_happens_to_a_batch(model: Model) -> None:
    def ends() -> Any:
        raise StopIteration  # no future takes that

    async def scenario(batcher: MicroBatcher) -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        waiting = [ask(batcher, 1), batcher.predict(VERSION, ends, lambda lists: lists, 10), ask(batcher, 2)]
        async with asyncio.timeout(60):
            return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(error) for error in run(model, scenario)] == [RuntimeError] * 3


def test_a_request_that_fails_alone_raises(model: Model) -> None:
    async def scenario() -> None:
        with pytest.raises(ArithmeticError):
            await ask(MicroBatcher(model), 13)

    asyncio.run(scenario())


def test_versions_are_not_mixed(model: Model) -> None:
    again = served("1")  # loaded anew: another model, perhaps

    async def scenario(batcher: MicroBatcher) -> Any:
        versions = [VERSION, served("2"), again, VERSION]
        return await asyncio.gather(*(ask(batcher, 1, version=version) for version in versions))

    assert run(model, scenario) == [[2]] * 4
    assert sorted(model.asked) == [("1", 1), ("1", 1), ("1", 1), ("2", 1)]


@pytest.mark.parametrize("small", [SMALL, 100])
def test_a_batch_is_not_larger_than_the_largest_small_request(model: Model, small: int) -> None:
    version = replace(VERSION, small=small)

    async def scenario(batcher: MicroBatcher) -> Any:
        return await asyncio.gather(*(ask(batcher, value, version=version, size=small // 2) for value in range(4)))

    assert run(model, scenario) == [[0], [2], [4], [6]]
    assert model.asked == [("1", 2)] * 2


def test_a_caller_who_is_gone_harms_nobody(model: Model) -> None:
    async def scenario(batcher: MicroBatcher) -> Any:
        gone = [asyncio.ensure_future(ask(batcher, value)) for value in (1, 13)]
        stays = asyncio.ensure_future(ask(batcher, 2))
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        return await stays

    assert run(model, scenario) == [4]


@pytest.fixture(autouse=True)
def _no_error_is_left_unread(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    gc.collect()  # what other tests left
    caplog.clear()
    yield
    gc.collect()  # what holds errors that nobody has read goes in circles
    assert [record for record in caplog.records if record.name == "asyncio"] == []
