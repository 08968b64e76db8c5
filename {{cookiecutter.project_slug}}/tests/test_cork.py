import asyncio
from typing import Any

from package_name.cork import MOST_BYTES, Cork


class Wire(asyncio.Transport):
    """Notes what is written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Any] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.pieces.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


async def corked() -> tuple[Wire, Cork]:
    wire = Wire()
    return wire, Cork(wire, asyncio.get_running_loop())


def test_what_is_written_in_one_turn_of_the_loop_is_sent_in_one_piece() -> None:
    async def write() -> list[Any]:
        wire, cork = await corked()
        cork.write(b"head ")
        cork.write(bytearray(b"body"))
        assert wire.pieces == []
        await asyncio.sleep(0)
        cork.write(b"next")
        await asyncio.sleep(0)
        return wire.pieces

    assert asyncio.run(write()) == [b"head body", b"next"]


def test_much_is_sent_at_once() -> None:
    async def write() -> int:
        wire, cork = await corked()
        cork.write(bytes(MOST_BYTES))
        assert wire.pieces == []
        cork.write(b"x")
        return sum(map(len, wire.pieces))

    assert asyncio.run(write()) == MOST_BYTES + 1


def test_closing_sends_what_is_held_and_aborting_does_not() -> None:
    async def end(how: str) -> list[Any]:
        wire, cork = await corked()
        cork.write(b"answer")
        getattr(cork, how)()
        assert cork.is_closing()
        cork.write(b"too late")
        await asyncio.sleep(0)
        return wire.pieces

    assert asyncio.run(end("close")) == [b"answer"]
    assert asyncio.run(end("abort")) == []
