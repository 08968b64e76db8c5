"""How processes log: lines on standard error, for people or as JSON for programs, and one for each request."""

import json
import logging
import re
import sys
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .settings import Settings

HERE = __name__.partition(".")[0]
"""Name of this package, and so of its loggers."""
FLUSH_SECONDS = 0.1
"""How long the line of a request waits for others, to be written together with them."""
TOGETHER = 64
"""Requests whose lines are made at once: in a row they take a third of the time, and nobody notices how long."""
MAX_WAITING = 20_000
"""Lines of requests that wait while standard error takes none; further ones are counted and lost."""
MAX_PATH = 200
"""Characters of a path that are logged."""
ATOMIC_BYTES = 4096
"""What a pipe takes in one piece, so that lines of several processes do not mix."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; empty outside of one."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def logging_config(settings: "Settings") -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`, the same in every process."""
    level = settings.log_level.upper()
    formatter = "JsonLine" if settings.log_format == "json" else "TextLine"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{__name__}.{formatter}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {name: {"level": level} for name in (HERE, settings.package, "uvicorn")},
    }


class TextLine(logging.Formatter):
    """A line for people. What a message holds cannot end it, nor begin another."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Return the line of a record; a traceback may follow it."""
        record.message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], record.message)
        line = super().formatMessage(record)
        found = request_id.get()
        return f"{line} [{found}]" if found else line


class JsonLine(logging.Formatter):
    """A JSON object on a line: time, level, logger, message, and where there are any the request's id and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if found := request_id.get():
            line["request_id"] = found
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Request(NamedTuple):
    """What is logged of a request and its answer."""

    client: str
    """Address that the request came from."""
    caller: str
    """Name of the caller; `-` if nobody knows."""
    method: str
    """Its method."""
    path: str
    """Its path, without the query."""
    status: int
    """Status of the answer; 0 if there was none."""
    size: int
    """Bytes of the answer's body."""
    seconds: float
    """How long the answer took."""


class AccessLog:
    """The lines of requests, written a few times a second by a thread: no request waits for who reads them."""

    def __init__(self, lose: Callable[[int], None], *, as_json: bool) -> None:
        """Write lines as JSON or for people; `lose` is told how many nobody will read."""
        self._lose = lose
        self._line = _json_line if as_json else _text_line
        self._noted: list[tuple[float, str, Request]] = []
        self._waiting: list[str] = []
        self._writing: Future[None] | None = None
        self._is_due = False

    def add(self, request: Request) -> None:
        """Log a request; needs a running event loop."""
        if len(self._waiting) >= MAX_WAITING:
            self._lose(1)
            return
        self._noted.append((time(), request_id.get(), request))
        if len(self._noted) >= TOGETHER:
            self._make_lines()
        if not self._is_due:
            self._is_due = True
            loop = get_running_loop()
            loop.call_later(FLUSH_SECONDS, self._flush, loop)

    def _flush(self, loop: AbstractEventLoop) -> None:
        if self._writing is not None and not self._writing.done():
            loop.call_later(FLUSH_SECONDS, self._flush, loop)
            return
        self._is_due = False
        self._make_lines()
        lines, self._waiting = self._waiting, []
        self._writing = loop.run_in_executor(None, self._write, lines)

    def _make_lines(self) -> None:
        noted, self._noted = self._noted, []
        self._waiting += [self._line(*one) for one in noted]

    async def close(self) -> None:
        """Write what waits."""
        if self._writing is not None:
            await self._writing
        self._make_lines()
        lines, self._waiting = self._waiting, []
        await get_running_loop().run_in_executor(None, self._write, lines)

    def _write(self, lines: list[str]) -> None:
        """Write lines in pieces that a pipe takes whole."""
        try:
            for piece in _pieces(lines):
                sys.stderr.write(piece)
                sys.stderr.flush()
        except OSError:  # a full disk: there is nowhere to say so, and requests go on
            self._lose(len(lines))


def _json_line(at: float, id_: str, request: Request) -> str:
    path = quoted(request.path[:MAX_PATH])
    return (
        f'{{"time": "{_moment(at)}", "level": "info", "logger": "access", "request_id": "{id_}", '
        f'"client": {quoted(request.client)}, "caller": {quoted(request.caller)}, "method": {quoted(request.method)}, '
        f'"path": {path}, "status": {request.status}, "bytes": {request.size}, '
        f'"milliseconds": {request.seconds * 1000:.2f}}}\n'
    )


def _text_line(at: float, id_: str, request: Request) -> str:
    path, caller = quoted(request.path[:MAX_PATH]), quoted(request.caller)
    return (
        f"{_moment(at)} INFO    access: {quoted(request.client)[1:-1]} {caller} {quoted(request.method)[1:-1]} {path} "
        f"{request.status} {request.size} B {request.seconds * 1000:.2f} ms [{id_}]\n"
    )


def _moment(at: float) -> str:
    """Return a time in seconds since 1970 in ISO 8601."""
    seconds, milliseconds = divmod(int(at * 1000), 1000)
    return f"{_second(seconds)}.{milliseconds:03}+00:00"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """Return a second in ISO 8601; thousands of requests are answered in the same one."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    piece: list[str] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > ATOMIC_BYTES:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield "".join(piece)
