"""The end of a Parquet file, which says where all before it is. So files are joined by copying what is in them.

It is a structure of Thrift in the compact protocol, of which this is the part that Parquet uses
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). Its fields have the numbers of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from typing import Any, NamedTuple

MAGIC = b"PAR1"
"""What a file begins and ends with."""
TAIL_BYTES = 8
"""The last bytes of a file: how many the structure before them takes, and the magic."""

TRUE, FALSE, BYTE, SHORT, LONG, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 6, 7, 8, 9, 12
"""Kinds of values."""
LONG_LIST = 15
"""Stands for the length of a list of so many elements or more."""

ROWS, GROUPS = 3, 4
"""Fields of the whole: how many rows there are, and the row groups."""
GROUP_COLUMNS, GROUP_PLACE, GROUP_NUMBER = 1, 5, 7
"""Fields of a row group."""
COLUMN_PLACES, COLUMN_FACTS = (2, 4, 6), 3
"""Fields of a column of a row group."""
PAGE_PLACES = (9, 10, 11, 14)
"""Fields of its facts."""


class Value(NamedTuple):
    """A value of a field."""

    kind: int
    """Which of the above."""
    held: Any
    """A number, bytes, a `Many`, or fields; of a truth value the kind says all."""


class Many(NamedTuple):
    """A list."""

    kind: int
    """The kind of its elements."""
    elements: list[Any]
    """What they hold; structures may be written already."""


Fields = dict[int, Value]
"""A structure: its values by the numbers of their fields."""


class Footer:
    """The end of a file that grows by what is in others."""

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._groups: list[bytes] = []
        self._rows = 0

    def add(self, content: bytes, shift: int) -> None:
        """Take up the structure of a file whose content now is so many bytes behind where it was.

        Raises:
            ValueError: that file has other columns.

        """
        fields = Reader(content).fields()
        self._rows += fields.pop(ROWS).held
        self._groups += [_fields(_moved(group, shift)) for group in fields.pop(GROUPS).held.elements]
        if self._fields not in ({}, fields):
            raise ValueError("The parts have different columns.")
        self._fields = fields

    def content(self) -> bytes:
        """Return what ends the file."""
        groups = Many(STRUCT, self._groups)
        structure = _fields({**self._fields, ROWS: Value(LONG, self._rows), GROUPS: Value(LIST, groups)})
        return structure + len(structure).to_bytes(4, "little") + MAGIC


def _moved(group: Fields, shift: int) -> Fields:
    """Return a row group as it is when it is elsewhere; its number, which may be left out, is."""
    columns = [
        _shifted(column, COLUMN_PLACES, shift)
        | {COLUMN_FACTS: Value(STRUCT, _shifted(column[COLUMN_FACTS].held, PAGE_PLACES, shift))}
        for column in group[GROUP_COLUMNS].held.elements
    ]
    kept = {number: value for number, value in group.items() if number != GROUP_NUMBER}
    return _shifted(kept, (GROUP_PLACE,), shift) | {GROUP_COLUMNS: Value(LIST, Many(STRUCT, columns))}


def _shifted(fields: Fields, places: tuple[int, ...], shift: int) -> Fields:
    """Add to the places among some fields; 0 stands for none."""
    return {
        number: Value(kind, held + shift) if number in places and held else Value(kind, held)
        for number, (kind, held) in fields.items()
    }


class Reader:
    """Reads values, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def fields(self) -> Fields:
        """Read a structure."""
        found: Fields = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._value(SHORT)
            kind = head & 15
            found[number] = Value(kind, None if kind in {TRUE, FALSE} else self._value(kind))
        return found

    def _value(self, kind: int) -> Any:
        if kind == STRUCT:
            return self.fields()
        if kind == LIST:
            return self._many()
        if kind in {BINARY, DOUBLE}:
            return self._take(self._varint() if kind == BINARY else 8)
        if kind in {TRUE, FALSE, BYTE}:
            return self._byte()
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _many(self) -> Many:
        count, kind = divmod(self._byte(), 16)
        count = self._varint() if count == LONG_LIST else count
        return Many(kind, [self._value(kind) for _ in range(count)])

    def _varint(self) -> int:
        number, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            shift += 7
        return number

    def _byte(self) -> int:
        self._place += 1
        return self._content[self._place - 1]

    def _take(self, count: int) -> bytes:
        self._place += count
        return self._content[self._place - count : self._place]


def _fields(fields: Fields) -> bytes:
    """Write a structure. Its fields are so few that the difference of their numbers is below 16."""
    pieces, before = [], 0
    for number, (kind, held) in sorted(fields.items()):
        pieces += [bytes([number - before << 4 | kind]), b"" if kind in {TRUE, FALSE} else _written(kind, held)]
        before = number
    return b"".join([*pieces, b"\0"])


def _written(kind: int, held: Any) -> bytes:
    """Write a value."""
    if kind == STRUCT:
        return held if isinstance(held, bytes) else _fields(held)
    if kind == LIST:
        count = len(held.elements)
        head = bytes([min(count, LONG_LIST) << 4 | held.kind]) + (_varint(count) if count >= LONG_LIST else b"")
        return head + b"".join(_written(held.kind, element) for element in held.elements)
    if kind in {BINARY, DOUBLE}:
        return (_varint(len(held)) if kind == BINARY else b"") + bytes(held)
    return bytes([held]) if kind in {TRUE, FALSE, BYTE} else _varint(held << 1 if held >= 0 else ~(held << 1))


def _varint(number: int) -> bytes:
    """Write a number, seven bits of it in each byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - more bits than a byte takes follow
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])
