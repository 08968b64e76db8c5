"""Cutting a file into parts that can be read one without the other. What cannot be scored at all is refused here."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ScoringFailed
from ..ml.base import SupervisedModel
from ..ml.table import TableError, read_rows
from ..storage import Storage
from .formats import Format
from .rows import NOT_CLOSED, first_row_end, last_row_end, lines_in

if TYPE_CHECKING:
    from pyarrow import Schema

PART_BYTES = 2 * 2**20
"""Bytes of a part of CSV or JSON Lines, if its rows allow it."""
PART_ROWS = 200_000
"""Rows of a part of Parquet, if its row groups allow it: these cannot be cut."""
TOP_BYTES = 2**16
"""Bytes in which a header mostly ends."""
LONGEST = 16 * 2**20
"""Bytes in which a row of CSV or JSON Lines must end."""
MOST_OTHERS = 1000
"""Columns beside those of the features: each costs memory for every row, even where the row has nothing for it."""

BOM, NEWLINE = b"\xef\xbb\xbf", b"\n"
"""What may begin a text, and what ends a row of JSON Lines."""


class Part(NamedTuple):
    """A part of a file."""

    start: int
    """Where it begins: a byte of CSV or JSON Lines, a row group of Parquet."""
    end: int
    """Where the next begins."""
    first: int
    """Line of its first row in CSV or JSON Lines; number of its first row in Parquet, counted from 1."""


class Cuts(NamedTuple):
    """How a file is cut."""

    columns: list[str]
    """Names of its columns, in their order."""
    parts: list[Part]
    """Its parts."""
    rows: int
    """How many rows it has, about: lines in CSV and JSON Lines."""


def cut(model: type[SupervisedModel], storage: Storage, path: str, form: Format) -> Cuts:
    """Cut a file that a model is to score.

    Raises:
        ScoringFailed: it is of another format, lacks a column, has one twice or too many, or holds no row.

    """
    cuts = {"csv": _cut_csv, "jsonl": _cut_lines, "parquet": _cut_parquet}[form](model, storage, path)
    if not cuts.parts:
        raise ScoringFailed("The file holds no rows.")
    check_names(model, cuts.columns)
    return cuts


def check_names(model: type[SupervisedModel], columns: Sequence[str]) -> None:
    """Make sure that there is a column for each feature, not too many others, none twice, none for a prediction."""
    most = len(model.Features.names()) + MOST_OTHERS
    if len(columns) > most:
        raise ScoringFailed(f"The file has {len(columns)} columns; at most {most} are read.")
    for name in model.Features.names():
        if columns.count(name) != 1:
            raise ScoringFailed(f"The file must have the column {name} once, not {columns.count(name)} times.")
    if "" in columns or len(set(columns)) < len(columns):
        raise ScoringFailed("Each column of the file must have a name of its own.")
    for name in model.example_answer().columns():
        if name in columns:
            raise ScoringFailed(f"A prediction is called {name}, so the file must not have a column of that name.")


def _cut_csv(model: type[SupervisedModel], storage: Storage, path: str) -> Cuts:
    size = storage.size(path)
    header = _first_row(storage, path, size)
    columns = _header(model, header)
    if columns:
        check_names(model, columns)  # now, because the rest may take long to read
    line = 1 + max(lines_in(header), 1)
    parts = list(_text_parts(storage, path, (len(header), size), line, quoted=True))
    return Cuts(columns, parts, _lines(storage, parts, path))


def _first_row(storage: Storage, path: str, size: int) -> bytes:
    """Read the first row of CSV, which may take some lines; all that is looked at if it does not end there."""
    top = b""
    for length in (TOP_BYTES, LONGEST):
        top = storage.read(path, 0, min(size, length))
        mark = len(BOM) if top.startswith(BOM) else 0
        if end := first_row_end(top[mark:]):
            return top[: mark + end]
    return top


def _header(model: type[SupervisedModel], line: bytes) -> list[str]:
    """Read the header of a CSV file."""
    try:
        text = line.decode("utf-8-sig")
        if "\0" in text:
            raise ScoringFailed("Line 1: the file is not UTF-8 text.")
        names = [name.strip() for name in next(csv.reader(io.StringIO(text, newline=""), strict=True), [])]
        if len(names) == 1 and ";" in text:
            list(read_rows(io.StringIO(text, newline=""), model.Features.names()))  # which says what is wrong
    except UnicodeDecodeError:
        raise ScoringFailed("Line 1: the file is not UTF-8 text.") from None
    except TableError as error:
        raise ScoringFailed(f"Line {error.line}: {error.message}.") from None
    except csv.Error as error:
        raise ScoringFailed(f"Line 1: is not valid CSV: {error}.") from None
    return names


def _cut_lines(model: type[SupervisedModel], storage: Storage, path: str) -> Cuts:
    from .read import parse

    size = storage.size(path)
    top = storage.read(path, 0, min(size, LONGEST)).removeprefix(BOM)
    line = re.search(rb"\S[^\n]*", top)
    first = parse(line.group() if line else b"{}")
    if first is None:
        raise ScoringFailed("The first row is not a JSON object.")
    if not first:
        return Cuts([], [], 0)
    check_names(model, list(first))  # likewise
    parts = list(_text_parts(storage, path, (0, size), 1, quoted=False))
    return Cuts(list(first), parts, _lines(storage, parts, path))


def _text_parts(storage: Storage, path: str, span: tuple[int, int], line: int, *, quoted: bool) -> Iterator[Part]:
    """Cut at the ends of rows; where cells may be quoted, not at the end of a line within one."""
    text, (start, size) = b"", span
    for piece in storage.pieces(path, start, size, PART_BYTES):
        text += piece
        end = _row_end(text, line, quoted=quoted) if len(text) >= PART_BYTES else 0
        if end:
            yield Part(start, start + end, line)
            line += _lines_in(text, end, quoted=quoted)
            start, text = start + end, text[end:]
        elif len(text) > LONGEST:
            raise ScoringFailed(f"Line {line}: no row ends within {LONGEST // 2**20} MiB from here.")
    if quoted:
        _check_end(text, line)
    if text.strip():
        yield Part(start, size, line)


def _check_end(text: bytes, line: int) -> None:
    """Make sure that the last row of CSV is whole once its line ends, as that of the file may not."""
    text = text if text.endswith(NEWLINE) else text + NEWLINE
    end = last_row_end(text, line)
    if end < len(text):
        raise ScoringFailed(NOT_CLOSED.format(line + lines_in(text, end)))


def _row_end(text: bytes, line: int, *, quoted: bool) -> int:
    return last_row_end(text, line) if quoted else text.rfind(NEWLINE) + 1


def _lines_in(text: bytes, end: int, *, quoted: bool) -> int:
    """Count the lines before `end`: in JSON Lines, LF alone ends one."""
    return lines_in(text, end) if quoted else text.count(NEWLINE, 0, end)


def _lines(storage: Storage, parts: Sequence[Part], path: str) -> int:
    """Count the lines of all parts; those of the last are not known yet."""
    if not parts:
        return 0
    last = storage.read(path, parts[-1].start, parts[-1].end)
    return parts[-1].first - parts[0].first + lines_in(last) + (last[-1:] not in b"\r\n")


def _cut_parquet(model: type[SupervisedModel], storage: Storage, path: str) -> Cuts:
    from .parquet import outline

    schema, groups = outline(storage, path)
    _check_types(model, schema)
    return Cuts(list(schema.names), list(_row_groups(groups)), sum(groups))


def _row_groups(groups: Sequence[int]) -> Iterator[Part]:
    """Put row groups together, as long as they are small."""
    start, first, rows = 0, 1, 0
    for place, size in enumerate(groups):
        if rows and rows + size > PART_ROWS:
            yield Part(start, place, first)
            start, first, rows = place, first + rows, 0
        rows += size
    if rows:
        yield Part(start, len(groups), first)


def _check_types(model: type[SupervisedModel], schema: "Schema") -> None:
    """Make sure that the columns of the features hold numbers or texts."""
    from pyarrow import types

    for column in model.Features.columns():
        for field in (schema.field(place) for place in schema.get_all_field_indices(column.name)):
            kind = field.type.value_type if types.is_dictionary(field.type) else field.type
            number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
            wanted = number if column.kind == "number" else types.is_string(kind) or types.is_large_string(kind)
            if not wanted and not types.is_null(kind):
                raise ScoringFailed(f"The column {column.name} holds {field.type}, not {column.kind}.")
