"""Small requests of several callers computed together, if they are there at the same time.

To call a model, and to make and read its arrays, takes longer than to compute one row more. When callers are many,
their requests come several at once, and one call of the model serves them all. A caller waits for others only while
they come: a batch is computed in the first turn of the event loop that brings no further request. Callers who come one
by one are answered at once.

Each caller gets what he would have got alone, to the last bit: for that, a version must compute each row by itself
(`Served.rowwise`). And what is wrong with one request is told to its caller only.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..ml.base import Answer, Lists
from .champion import Served

LONGEST_SECONDS = 0.002
"""How long a batch grows at most. As long as it grows, nothing is idle: requests are being read."""

Result = TypeVar("Result")


class MicroBatcher:
    """Computes a small request together with others that are there, in the event loop."""

    def __init__(self, compute: Callable[[Served, NDArray[Any]], Answer]) -> None:
        """Compute by this function, which takes a version and rows; shape (rows, features)."""
        self._compute = compute
        self._open: dict[str, _Batch] = {}
        self._one_by_one = True  # callers came so of late, and are answered without a batch
        self._had_one = False  # in this turn of the event loop: a second shows that they come together

    async def predict(
        self, version: Served, read: Callable[[], NDArray[Any]], write: Callable[[Lists], Result], size: int
    ) -> Result:
        """Return what is written of a version's answer for the rows that are read, a request of `size` bytes.

        Raises:
            Exception: what `read`, `write` or the computation raise for this request.

        """
        loop = asyncio.get_running_loop()
        call = _Call(loop.create_future(), read, write)
        if self._one_by_one and not self._had_one:
            self._had_one = True
            loop.call_soon(self._next_turn, context=Context())
            self._answer(version, [call])
        else:
            self._one_by_one = False
            batch = self._open.get(version.identity)
            if batch is None or batch.version is not version or batch.size + size > version.small:
                batch = self._open[version.identity] = _Batch(version)
                loop.call_soon(self._finish, batch, context=Context())
            batch.size += size
            batch.calls.append(call)
        result: Result = await call.future
        return result

    def _next_turn(self) -> None:
        self._had_one = False

    def _finish(self, batch: "_Batch") -> None:
        """Compute a batch, unless it still grows."""
        is_open = self._open.get(batch.version.identity) is batch
        if is_open and len(batch.calls) > batch.seen and perf_counter() < batch.until:
            batch.seen = len(batch.calls)
            asyncio.get_running_loop().call_soon(self._finish, batch)
            return
        if is_open:
            del self._open[batch.version.identity]
        self._one_by_one = len(batch.calls) == 1
        try:
            self._answer(batch.version, batch.calls)
        except BaseException:
            for call in batch.calls:  # nobody may wait for ever
                call.fail(RuntimeError("A request that was computed together with this one failed."))
            raise

    def _answer(self, version: Served, calls: "list[_Call]") -> None:
        """Answer calls, each with its part or with its own error."""
        parts: list[_Part] = []
        for call in calls:
            try:
                parts.append((call, call.read()))
            except Exception as error:  # noqa: BLE001 - it is raised where the caller waits
                call.fail(error)
        if parts:
            self._answer_parts(version, parts)

    def _answer_parts(self, version: Served, parts: "list[_Part]") -> None:
        """Compute together what was read; if that fails, each part by itself, so that one caller alone suffers."""
        try:
            lists = self._compute(version, np.concatenate([X for _, X in parts])).lists()
        except Exception as error:  # noqa: BLE001 - likewise
            if len(parts) == 1:
                parts[0][0].fail(error)
                return
            for part in parts:
                self._answer_parts(version, [part])
            return
        start = 0
        for call, X in parts:
            end = start + len(X)
            call.answer({name: values[start:end] for name, values in lists.items()})
            start = end


class _Call(NamedTuple):
    """A request that waits for its answer."""

    future: "asyncio.Future[Any]"
    read: Callable[[], NDArray[Any]]
    write: Callable[[Lists], Any]

    def answer(self, lists: Lists) -> None:
        """Answer; whoever is gone by now is not waited for."""
        try:
            result = self.write(lists)
        except Exception as error:  # noqa: BLE001 - it is raised where the caller waits
            self.fail(error)
            return
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Raise an error where the caller waits."""
        if not self.future.done():
            self.future.set_exception(error)


_Part = tuple[_Call, NDArray[Any]]
"""A request, and the rows that were read from it."""


class _Batch:
    """Requests that are computed together."""

    def __init__(self, version: Served) -> None:
        self.version = version
        self.until = perf_counter() + LONGEST_SECONDS  # the event loop's own clock stands still during a turn
        self.size = 0  # bytes of all requests
        self.seen = 1  # requests at the last look; with one more than these, it has grown
        self.calls: list[_Call] = []
