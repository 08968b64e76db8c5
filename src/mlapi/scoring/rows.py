"""Where the rows of CSV end, as Arrow sees it: a quote opens a cell only at its beginning, a lone CR ends a row."""

import re

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoringFailed

_QUOTED = rb'"(?:[^"]++|"")*+"'
_CELL = rb'(?:%b(?=[,\r\n])|"(?:[^"\r\n]++|"")*+"[^,\r\n]*+|[^",\r\n][^,\r\n]*+|(?=[,\r\n]))' % _QUOTED
ROW = re.compile(rb"%b(?:,%b)*+(?:\r\n?|\n)" % (_CELL, _CELL))
"""A row. A cell that begins with a quote may go on behind the one that closes it, but not if it takes several lines."""
BROKEN = re.compile(rb"(?:%b,)*+(%b)[^,\r\n]" % (_CELL, _QUOTED))
"""A row up to a cell that goes on; if it takes several lines, most likely a quote too many has swallowed them."""

NOT_CLOSED = "Line {}: a quote is opened here and not closed."
"""What is told of a cell that does not end."""

_BESIDE = np.isin(np.arange(256), [*b',\r\n"'])
"""Bytes that stand before a quote that opens a cell, and behind one that closes it; a quote makes a pair with it."""


def first_row_end(text: bytes) -> int:
    """Return where the first row ends; 0 if it does not end in this text."""
    row = ROW.match(text, 0, _certain(text))
    return row.end() if row else 0


def last_row_end(text: bytes, line: int) -> int:
    """Return where the last row ends that is whole; `text` begins with a row, in this line of the file.

    Raises:
        ScoringFailed: the quoting is broken.

    """
    if b'"' not in text and (end := text.rfind(b"\n") + 1):
        return end
    quotes = _regular(text)
    if quotes is None:
        ends = _scanned(text, line)
        return int(ends[-1]) if len(ends) else 0
    # An even number of quotes before the end of a line says that a row ends.
    return next((int(place) + 1 for place in _breaks(text)[::-1] if not np.searchsorted(quotes, place) % 2), 0)


def lines_in(text: bytes, end: int | None = None) -> int:
    """Count the ends of lines in a text, or before `end`: LF, CR LF and a lone CR."""
    lines, returns = text.count(b"\n", 0, end), text.count(b"\r", 0, end)
    return lines + (returns - text.count(b"\r\n", 0, end) if returns else 0)


def row_ends(text: bytes, line: int) -> NDArray[np.int64]:
    """Return where each whole row ends, blank ones too; raises as `last_row_end` does."""
    quotes = _regular(text)
    if quotes is None:
        return _scanned(text, line)
    breaks = _breaks(text)
    return np.asarray(breaks[np.searchsorted(quotes, breaks) % 2 == 0] + 1, dtype=np.int64)


def row_lines(text: bytes, first: int) -> NDArray[np.int64]:
    """Return the line in which each row begins that is not blank; `text` begins with line `first` and holds whole rows.

    Raises:
        ScoringFailed: the quoting is broken.

    """
    text = text if text.endswith(b"\n") else text + b"\n"
    starts = np.concatenate([[0], row_ends(text, first)[:-1]])
    letters = np.frombuffer(text, np.uint8)[starts]
    starts = starts[(letters != ord("\n")) & (letters != ord("\r"))]
    return np.asarray(first + np.searchsorted(_breaks(text), starts), dtype=np.int64)


def _breaks(text: bytes) -> NDArray[np.int64]:
    """Return the last byte of each end of a line."""
    letters = np.frombuffer(text, np.uint8)
    ends = letters == ord("\n")
    if b"\r" in text:
        ends[:-1] |= (letters[:-1] == ord("\r")) & ~ends[1:]  # the last byte may be half of CR LF
    return np.flatnonzero(ends)


def _regular(text: bytes) -> NDArray[np.int64] | None:
    """Return the quotes if every second opens a cell and the others close one, or two make a pair within one."""
    letters = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(letters == ord('"'))
    opening, closing = quotes[::2], quotes[1::2]
    before = letters[opening[opening > 0] - 1]
    behind = letters[closing[closing < len(letters) - 1] + 1]
    return quotes if _BESIDE[before].all() and _BESIDE[behind].all() else None


def _scanned(text: bytes, line: int) -> NDArray[np.int64]:
    """Find the rows one by one, which is slow and always right."""
    ends, start, certain = [], 0, _certain(text)
    while row := ROW.match(text, start, certain):
        start = row.end()
        ends.append(start)
    broken = BROKEN.match(text, start, certain)
    if broken and lines_in(broken[1]):
        raise ScoringFailed(NOT_CLOSED.format(line + lines_in(text, broken.start(1))))
    return np.array(ends, dtype=np.int64)


def _certain(text: bytes) -> int:
    """Return how much of a text is surely whole: a CR at its end may be half of CR LF."""
    return len(text) - text.endswith(b"\r")
