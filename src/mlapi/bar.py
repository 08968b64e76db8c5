"""A line on the terminal that tells how far a work is."""

import time
from types import TracebackType
from typing import Protocol, Self, TextIO

WIDTH = 30
"""Characters of the bar itself."""
REDRAW_SECONDS = 0.2
"""Shortest time between two drawings, in seconds."""
LOG_SECONDS = 10.0
"""The same where there is no terminal, and each drawing is a line of a log."""
MINUTE = 60
"""Seconds."""


class Counted(Protocol):
    """What can be shown."""

    @property
    def rows(self) -> int:
        """Rows that are done."""

    @property
    def rejected(self) -> int:
        """Rows that could not be done."""


class Bar:
    """Draws part, rows, rows a second and what remains; on a terminal in place, else a line now and then."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._terminal = file.isatty()
        self._began = time.monotonic()
        self._drawn = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._terminal and self._drawn:
            self._file.write("\n")

    def show(self, counted: Counted, of: int) -> None:
        """Show how far the work is, if it is time to."""
        now = time.monotonic()
        rows = counted.rows + counted.rejected
        if rows < of and now - self._drawn < (REDRAW_SECONDS if self._terminal else LOG_SECONDS):
            return
        self._drawn = now
        rate = rows / max(now - self._began, 0.001)
        share = min(rows / of, 1.0) if of else 1.0
        filled = round(share * WIDTH)
        line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%} {rows:,} rows, {rate:,.0f} rows/s"
        if counted.rejected:
            line += f", {counted.rejected:,} rejected"
        if 0 < rows < of:
            line += f", {_time((of - rows) / rate)} left"
        self._file.write(f"\r{line}\x1b[K" if self._terminal else f"{line}\n")
        self._file.flush()


def _time(seconds: float) -> str:
    """Return a time in minutes and seconds."""
    return f"{int(seconds) // MINUTE}:{int(seconds) % MINUTE:02}"
