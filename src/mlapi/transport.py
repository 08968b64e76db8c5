"""How connections write: the parts of an answer together, and answers that are ready at the same time in a row.

uvicorn writes the head and the body of an answer apart. Together they are one call of the system instead of two, one
packet, one TLS record. A small answer then arrives whole or not at all: a proxy that has nothing of it yet can ask
another replica when this process is killed. And whoever reads several answers on this machine wakes up once for all.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

MOST_HELD_BYTES = 64 * 1024
"""Bytes that are held back at most; with more, the client's pace has to be felt."""
LONGEST_SECONDS = 0.001
"""How long an answer waits for others at most, and for the one that is being computed."""


class Outbox:
    """What is to be written at the end of a turn of the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[Gathering] = []
        self._since = 0.0

    def add(self, transport: "Gathering") -> None:
        """Have a transport write what it holds, soon."""
        now = perf_counter()  # the event loop's own clock stands still during a turn
        if self._due and now > self._since + LONGEST_SECONDS:
            self.empty()  # but for this one, whose other parts come in a moment
        self._due.append(transport)
        if len(self._due) == 1:
            self._since = now
            self._loop.call_soon(self.empty)

    def empty(self) -> None:
        """Write all."""
        due, self._due = self._due, []
        for transport in due:
            transport.release()


class Gathering(asyncio.Transport):
    """A transport that holds back what is written to it until the end of the turn.

    A connection that is closed while its client still sends is reset, and the answer may be lost (RFC 9112, 9.6). So
    `lingers` is asked first: if it tells that more is to be read, the transport takes nothing more to write, and stays
    open for reading until `close_now`.
    """

    def __init__(self, transport: asyncio.Transport, outbox: Outbox, lingers: Callable[[], bool]) -> None:
        self._transport = transport
        self._outbox = outbox
        self._lingers = lingers
        self._held: list[bytes] = []
        self._size = 0
        # What is not about writing is the transport's own business, without a detour.
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]
        self.abort = transport.abort  # type: ignore[method-assign]

    def write(self, data: Any) -> None:
        """Write, a moment later."""
        self._held.append(data)
        self._size += len(data)
        if len(self._held) == 1:
            self._outbox.add(self)
        if self._size > MOST_HELD_BYTES:
            self.release()

    def release(self) -> None:
        """Write what is held back, if anything still is and the connection too."""
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
            if not self.is_closing():
                self._transport.write(data)

    def close(self) -> None:
        """Close the connection, at once or after the rest was read; what was written is sent first."""
        self.release()
        if self.is_closing():
            return
        if self._lingers():
            self.is_closing = _yes  # type: ignore[method-assign]
        else:
            self._transport.close()

    def close_now(self) -> None:
        """Close the connection, whatever the client still sends; what was written is sent first."""
        self.release()
        self._transport.close()


def _yes() -> bool:
    return True
