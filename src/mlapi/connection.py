"""One HTTP connection: uvicorn's, with an end to clients that are slow, silent or without measure.

uvicorn limits only the time between two requests. Here a request must also arrive, and its answer be taken, in time;
its head may be only so large; and a process holds only so many connections. An answer that is given before the request
has come to its end is the last one on its connection.
"""

import asyncio
import fcntl
import struct
import termios
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .errors import BadRequest, HeadTooLarge, Overloaded, RequestTimeout, ServiceError
from .settings import Settings
from .transport import Gathering, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Response
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MAX_HEADERS = 100
"""Header fields of the largest request that is read."""
MAX_PIPELINED = 16
"""Requests that may wait on one connection while another is answered."""
FAREWELL_SECONDS = 1.0
"""How long a closing connection waits for the client's farewell, which TLS asks for and many clients never send."""
LINGER_SECONDS = 30.0
"""How long the rest of a request is read at most that was answered before its end."""
SILENCE_SECONDS = 2.0
"""How long its client may send nothing meanwhile."""
MOST_BESIDE = 8
"""Bytes that one byte of content may take on the wire: a chunk of one byte takes six."""
CLOSE = (b"connection", b"close")
"""Header field of the last answer on a connection."""
WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
"""Methods whose body is awaited before they are answered. A request of another has its place in the process already,
which a client that sends no body would keep from others."""
OF_A_BODY = frozenset({b"content-length", b"transfer-encoding"})
"""Header fields that announce one."""
OF_A_CONNECTION = frozenset({b"connection", b"proxy-connection"})
"""Header fields that may end one."""
SWEEP_SECONDS = 1.0
"""Longest time between two looks at all connections."""


class Connections:
    """Makes the connections of a serving process, and ends those that take too long; uvicorn's `http` option.

    One look at all of them each second costs less than a timer for each step of each request.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.count: Callable[[str], None] = _not_at_all
        """Called for each connection that is ended before its time, with the reason: head, body, answer, full."""
        shortest = min(settings.header_seconds, settings.body_seconds, settings.send_seconds)
        self.pause = min(SWEEP_SECONDS, shortest / 4)
        self._timer: asyncio.TimerHandle | None = None
        self._outbox: Outbox | None = None

    def __call__(self, **given: Any) -> "Connection":
        """Return the protocol of a new connection; called by uvicorn."""
        return Connection(self, **given)

    def outbox(self, loop: asyncio.AbstractEventLoop) -> Outbox:
        """Return what the connections write through."""
        if self._outbox is None:
            self._outbox = Outbox(loop)
        return self._outbox

    def watch(self, connection: "Connection") -> None:
        """Look after a new connection, and make room for it if there are too many.

        The room is made by one that waits for nothing but its client: without that, idle clients could keep all others
        out.
        """
        if self._timer is None:
            self._arm(connection)
        if len(connection.connections) > self.settings.max_connections:
            now = connection.loop.time()
            waiting = next((other for other in self._open(connection) if other.is_waiting(now)), None)
            if waiting is None:
                self.count("full")
                connection.refuse(Overloaded("This process serves all the connections it may; try again."))
            else:
                waiting.end()

    def _arm(self, connection: "Connection") -> None:
        self._timer = connection.loop.call_later(self.pause, self._sweep, connection)

    def _sweep(self, one: "Connection") -> None:
        """End the connections whose time is over; `one` is any of them, and knows the others."""
        now = one.loop.time()
        for connection in self._open(one):
            connection.check(now)
        self._timer = None
        if one.connections:
            self._arm(one)

    def _open(self, one: "Connection") -> "list[Connection]":
        return [connection for connection in one.connections if isinstance(connection, Connection)]


class Connection(HttpToolsProtocol):
    """A connection that is held to the limits of time and size in the settings.

    It lingers after an answer that came before the end of its request: the rest is read and thrown away, within limits.
    Without that the client might lose the answer; if the connection were kept, a client that sends no rest, because it
    has its answer, would have its next request taken for the rest.
    """

    transport: Gathering
    """What the connection writes through, and closes."""

    def __init__(self, owner: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._owner = owner
        self._limits = owner.settings
        self._awaited: Literal["head", "body"] | None = "head"
        self._since = 0.0
        self._received = 0
        self._beside = 0
        self._held: Held | None = None
        self._fields_after = 0
        self._trailers = Trailers(self._on_trailer)
        self._lingering = False
        self._linger_seconds = LINGER_SECONDS
        self._linger_bytes = self._limits.max_body_bytes
        self._answered = self._heard = 0.0
        self._stalled: float | None = None
        self._refusal: ServiceError | None = None
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin; the client has said hello by TLS, and owes a request."""
        super().connection_made(Gathering(transport, self._owner.outbox(self.loop), self._begin_to_linger))
        self._since = self.loop.time()
        self._owner.watch(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still answers."""
        super().connection_lost(exc)
        self._release()

    def data_received(self, data: bytes) -> None:
        """Read on; what belongs to a head, or comes beside the content of a body, counts towards its limit."""
        if self._awaited == "body":
            self._beside += len(data)
            if self._lingering:
                self._throw_away(data)
                return
            self.cycle.default_headers = self.server_state.default_headers  # this may be the rest
        else:
            self._received += len(data)
        super().data_received(data)
        if self._awaited == "head":
            if self._received > self._limits.max_header_bytes:
                self.refuse(self._too_large())
        elif self._awaited == "body":
            self._make_last()
            if self.cycle.flow is self.flow and self._is_small():
                self.cycle.flow = self._held = Held(self.flow)
            if self._beside > self._limits.max_header_bytes:
                self._end_endless()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._awaited, self._since = "head", self.loop.time()

    def on_headers_complete(self) -> None:
        """Note that a body begins, and have the request answered, unless its head is too large."""
        if self._received > self._limits.max_header_bytes or len(self.headers) > MAX_HEADERS:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._limits.max_header_bytes or len(self.headers) > MAX_HEADERS:
                self._give_up(self._too_large())
        if len(self.pipeline) >= MAX_PIPELINED:
            self._give_up(BadRequest("Too many requests were sent before the first was answered."))
        self._awaited, self._since, self._received = "body", self.loop.time(), 0
        super().on_headers_complete()
        self.headers, self._fields_after = self._trailers, 0
        if not self.pipeline:
            self._answering = self.cycle

    def on_body(self, body: bytes) -> None:
        """Note how much of the body has come; so much more may come beside it."""
        self._received += len(body)
        if self._beside:
            self._beside = max(0, self._beside - MOST_BESIDE * len(body))
        super().on_body(body)

    def _on_trailer(self, field: tuple[bytes, bytes]) -> None:
        """Count a field that comes after the head, and forget it: it must not be taken for a header (RFC 9110, 6.5.1).

        After one on the connection the parser would read no other request, so the answer is the last one.
        """
        self._fields_after += 1
        if self._fields_after > MAX_HEADERS:
            self._give_up(self._too_much_beside())
        if field[0] in OF_A_CONNECTION:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the request is whole: the next move is ours."""
        if self._lingering:
            raise EOFError  # the parser must not go on to another request
        if self._held is not None:
            self._release()
        self._awaited, self._received, self._beside = None, 0, 0
        super().on_message_complete()

    def _is_small(self) -> bool:
        """Tell whether the latest request has a small body, and sends it without an invitation."""
        size = next((int(value[:18]) for name, value in self.scope["headers"] if name == b"content-length"), None)
        is_small = size is not None and size <= HIGH_WATER_LIMIT and not self.expect_100_continue
        return is_small and self.parser.get_method() in WITH_BODY

    def _release(self) -> None:
        """Let the answer go that waits for the rest of a small body."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def pause_writing(self) -> None:
        """Note that the client does not take what it asked for."""
        super().pause_writing()
        self._stalled = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client takes the answer again."""
        super().resume_writing()
        self._stalled = None

    def on_response_complete(self) -> None:
        """Go on to the next request, or end the connection if this was to be its last."""
        if self.pipeline:
            self._answering = self.pipeline[-1][0]
        super().on_response_complete()
        if self.transport.is_closing() and not self._lingering:
            self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was idle for too long."""
        self.end()

    def shutdown(self) -> None:
        """End the connection, after the request that is being answered."""
        self._linger_seconds = FAREWELL_SECONDS
        if self._lingering:
            return
        super().shutdown()
        if self.transport.is_closing():
            self._end_soon()

    def is_waiting(self, now: float) -> bool:
        """Tell whether the client could be sent away without harm: it has not begun a request for a second."""
        if self._lingering:
            return now > self._answered + SWEEP_SECONDS
        if self.transport.is_closing():
            return False
        if self.cycle is None:
            return self._received == 0 and now > self._since + SWEEP_SECONDS
        return self.cycle.response_complete and self._awaited is None

    def check(self, now: float) -> None:
        """End the connection if its client has taken too long."""
        if self._lingering and now > min(self._answered + self._linger_seconds, self._heard + SILENCE_SECONDS):
            self.end()
        if self.transport.is_closing():
            return
        limits = self._limits
        if self._stalled is not None and now > self._stalled + limits.send_seconds:
            self._end_late("answer")
        elif self._awaited == "head" and now > self._since + limits.header_seconds:
            self._end_late("head")
        elif self._awaited == "body":
            if self._held is not None and now > self._since + SWEEP_SECONDS:
                self._release()
            if self.flow.read_paused:
                self._since += self._owner.pause  # we are the slow ones
            elif now > self._since + limits.body_seconds + self._received / limits.min_bytes_per_second:
                self._end_late("body")

    def refuse(self, error: ServiceError) -> None:
        """Answer with a problem, whatever else was asked on this connection, and end it."""
        from .api.envelope import refusal_of

        client = self.client[0] if self.client else "-"
        secure = self.scheme == "https"
        self.transport.write(_whole(refusal_of(error, self._limits, client, secure=secure)))
        self.end()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words, which are plain text
        """Answer what is not HTTP, or too much of it, with a problem, unless an answer has begun."""
        self._refuse_or_abort(self._refusal or BadRequest("This is not a request in HTTP/1.1."))

    def _unsupported_upgrade_warning(self) -> None:
        """Refuse to speak another protocol.

        The parser takes all that follows for that protocol, even the body. So the answer is the last one, and there is
        none to a request with a body, which would be taken for the next one.
        """
        lengths = {name: value for name, value in self.scope["headers"] if name in OF_A_BODY}
        if lengths in ({}, {b"content-length": b"0"}):
            self._make_last()
        else:
            self.cycle.disconnected = True
            self._refuse_or_abort(BadRequest("A request with a body cannot ask for another protocol by Upgrade."))

    def end(self) -> None:
        """Close the connection; what was written is sent first."""
        self._lingering = False
        self.transport.close_now()
        self._end_soon()

    def _make_last(self) -> None:
        """Have the connection closed after the answer to the latest request, and the client told in its head."""
        self.cycle.default_headers = [CLOSE, *self.server_state.default_headers]

    def _begin_to_linger(self) -> bool:
        """Tell whether there is more to read, and begin to throw it away; called when uvicorn closes the connection."""
        if self._awaited == "body" and self.cycle.response_complete:
            self._lingering = True
            self._answered = self._heard = self.loop.time()
            self.flow.resume_reading()
        return self._lingering

    def _throw_away(self, data: bytes) -> None:
        """Read more of a request that was answered; close the connection at its end, or beyond a limit."""
        self._heard = self.loop.time()
        self._linger_bytes -= len(data)
        try:
            self.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):  # not HTTP, or the end, which `on_message_complete` tells
            self.end()
        else:
            if self._linger_bytes < 0 or self._beside > self._limits.max_header_bytes:
                self.end()

    def _end_soon(self) -> None:
        self.loop.call_later(FAREWELL_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        """Cut a connection that is closing, unless the client still takes the answer; the event loop limits that."""
        if _undelivered(self.transport):
            self._end_soon()
        else:
            self.transport.abort()

    def _end_late(self, what: str) -> None:
        """End the connection because something took too long; say so if the client can still understand it."""
        self._owner.count(what)
        if what == "answer" or self._is_answering() or (self._awaited == "head" and self._received == 0):
            self.transport.abort()
        else:
            self.refuse(RequestTimeout("The request did not arrive in time. Send it faster, or in smaller parts."))

    def _end_endless(self) -> None:
        """End the connection because chunk extensions or trailers go on and on; say so unless an answer has begun."""
        if not self.transport.is_closing():
            self._refuse_or_abort(self._too_much_beside())

    def _refuse_or_abort(self, error: ServiceError) -> None:
        """End the connection, with a problem unless that would stand in the midst of an answer."""
        if self._is_answering():
            self.transport.abort()
        else:
            self.refuse(error)

    def _is_answering(self) -> bool:
        """Tell whether an answer has begun; it may be to an earlier request than the latest."""
        cycle = self._answering
        return cycle is not None and cycle.response_started and not cycle.response_complete

    def _too_large(self) -> ServiceError:
        size = self._limits.max_header_bytes
        return HeadTooLarge(f"The request line and headers may have {size} bytes and {MAX_HEADERS} fields in all.")

    def _too_much_beside(self) -> ServiceError:
        size = self._limits.max_header_bytes
        return HeadTooLarge(f"What comes beside the content of a body may have {size} bytes and {MAX_HEADERS} fields.")

    def _give_up(self, error: ServiceError) -> NoReturn:
        """Stop the parser, which then calls `send_400_response`."""
        self._refusal = error
        raise error


class Held(FlowControl):
    """The flow of an answer whose first part waits for the rest of a small body.

    Were it sent before, it would be the last one on its connection, and a busy service refuses many small requests.
    """

    def __init__(self, flow: FlowControl) -> None:
        self._flow = flow
        self._over = asyncio.Event()

    @property
    def write_paused(self) -> bool:  # type: ignore[override] # an attribute there
        """Whether to wait before more is sent."""
        return self._flow.write_paused or not self._over.is_set()

    async def drain(self) -> None:
        """Wait until the answer may be sent."""
        await self._over.wait()
        await self._flow.drain()

    def resume_reading(self) -> None:
        """Read on, if reading was paused."""
        self._flow.resume_reading()

    def release(self) -> None:
        """Send the answer."""
        self._over.set()


class Trailers(list[tuple[bytes, bytes]]):
    """Stands where uvicorn collects the fields of a head once it is over, and hands each to `take`."""

    def __init__(self, take: "Callable[[tuple[bytes, bytes]], None]") -> None:
        super().__init__()
        self.append = take  # type: ignore[method-assign]


def _not_at_all(_reason: str) -> None:
    """Count nothing. A function of its own, because connections are made after a journey to another process."""


def _undelivered(transport: asyncio.Transport) -> bool:
    """Tell whether the client has yet to take something that was written to it."""
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        (left,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
    except (AttributeError, OSError, ValueError):
        return False  # it is closed, or this system cannot tell
    return bool(left)


def _whole(response: "Response") -> bytes:
    """Return an answer as it goes over the wire, the last one on its connection."""
    head = f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}".encode()
    fields = [b": ".join(header) for header in (*response.raw_headers, (b"connection", b"close"))]
    return b"\r\n".join([head, *fields, b"", bytes(response.body)])
