import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from mlapi import transport as module
from mlapi.transport import MOST_HELD_BYTES, Gathering, Outbox


@pytest.fixture(autouse=True)
def _no_answer_waits_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers wait for others however slow the machine is."""
    monkeypatch.setattr(module, "LONGEST_SECONDS", 3600.0)


def connections(count: int) -> tuple[list[Gathering], list[list[bytes]], Outbox]:
    outbox = Outbox(asyncio.get_running_loop())
    written: list[list[bytes]] = [[] for _ in range(count)]
    return [Gathering(transport(into), outbox, lambda: False) for into in written], written, outbox


def transport(written: list[bytes]) -> Any:
    return Mock(write=written.append, is_closing=Mock(return_value=False))


def test_head_and_body_are_written_at_once_after_a_turn_of_the_loop() -> None:
    async def answers() -> list[list[bytes]]:
        both, written, _ = connections(2)
        for one in both:
            one.write(b"HTTP/1.1 200 OK\r\n\r\n")
            one.write(b"body")
        assert written == [[], []]
        await asyncio.sleep(0)
        return written

    assert asyncio.run(answers()) == [[b"HTTP/1.1 200 OK\r\n\r\nbody"]] * 2


def test_much_is_not_held_back_so_that_a_slow_client_is_felt() -> None:
    async def stream() -> list[bytes]:
        (one,), (written,), _ = connections(1)
        one.write(b"x" * MOST_HELD_BYTES)
        one.write(b"x")
        return written

    assert [len(part) for part in asyncio.run(stream())] == [MOST_HELD_BYTES + 1]


def test_an_answer_does_not_wait_for_the_others_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_SECONDS", -1.0)  # over at once, even by a clock that stands still

    async def answers() -> list[list[bytes]]:
        both, written, _ = connections(2)
        for one in both:
            one.write(b"head ")
            one.write(b"body")
        at_once = [list(part) for part in written]
        await asyncio.sleep(0)
        assert written == [[b"head body"]] * 2
        return at_once

    assert asyncio.run(answers()) == [[b"head body"], []]


def test_what_is_held_back_is_written_before_the_connection_closes_and_never_after_it_is_gone() -> None:
    async def ends() -> tuple[list[bytes], list[bytes]]:
        (closed, gone), written, _ = connections(2)
        closed.write(b"answer")
        closed.close()
        gone.write(b"answer")
        gone._transport.is_closing.return_value = True  # type: ignore[attr-defined]  # noqa: SLF001
        await asyncio.sleep(0)
        return written[0], written[1]

    assert asyncio.run(ends()) == ([b"answer"], [])


def test_a_transport_that_lingers_takes_nothing_more_to_write_and_is_open_until_told() -> None:
    async def lingers() -> tuple[list[bytes], Mock]:
        written: list[bytes] = []
        under = transport(written)
        one = Gathering(under, Outbox(asyncio.get_running_loop()), lambda: True)
        one.write(b"answer")
        one.close()
        assert one.is_closing()
        one.write(b"another")
        one.close()
        await asyncio.sleep(0)
        under.close.assert_not_called()
        one.close_now()
        return written, under.close

    written, close = asyncio.run(lingers())
    assert written == [b"answer"]
    close.assert_called_once_with()
