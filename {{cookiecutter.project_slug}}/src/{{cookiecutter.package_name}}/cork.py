"""A transport that sends the head of an answer together with its body.

uvicorn writes them one after the other. A process that is killed in between leaves a proxy with a head that it has
passed on and no body to follow, so the proxy cannot send the request to another replica. Written at once, a small
answer arrives whole or not at all. It also saves a system call and a TLS record.
"""

import asyncio
from typing import Any

MOST_BYTES = 64 * 2**10
"""Bytes that are held back; more of them are sent at once, so that the transport notices a client that takes none."""


class Cork(asyncio.Transport):
    """Holds what is written until the loop's next turn, and is in all else the transport that it is made of."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes to send, soon."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(bytes(data))
        self._size += len(data)
        if self._size > MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        """Send what is held, and close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is held."""
        self._held = []
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether it is closed, or about to be."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell what the transport knows of the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()
