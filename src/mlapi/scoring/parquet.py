"""Reading Parquet: a file that may be damaged, or say in a few bytes what takes many in memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa
from pyarrow import compute, parquet

from ..errors import ScoringFailed
from ..storage import Storage

ROWS = 65_536
"""Rows that are held at once."""
BYTES = 16 * 2**20
"""Bytes that are held at once, if the rows allow it."""

FEW_ROWS = 1024
"""Rows that are decoded at once: what they take is known only then, as a few bytes may stand for many long cells."""
FEW_BYTES = 4 * 2**20
"""Bytes that they take, about, where the file says that its rows are long: fewer are decoded at once."""
MOST_BYTES = 128 * 2**20
"""Bytes that they may take."""

DAMAGED = "The file is not Parquet that can be read."
"""What is told of a file that Arrow does not read."""

T = TypeVar("T")


def outline(storage: Storage, path: str) -> tuple[pa.Schema, list[int]]:
    """Return the columns of a file, and how many rows each row group has; raise `ScoringFailed` if it is damaged."""
    with storage.reader(path) as file, _told(lambda: parquet.ParquetFile(file)) as table:
        groups = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
        return _told(lambda: table.schema_arrow), groups


def tables(storage: Storage, path: str, groups: Sequence[int]) -> Iterator[pa.Table]:
    """Read row groups as tables whose size in memory is bounded.

    Raises:
        ScoringFailed: the file is damaged, its rows are too long, or its texts are not UTF-8.

    """
    held, rows, size = [], 0, 0
    with storage.reader(path) as file, _told(lambda: parquet.ParquetFile(file)) as table:
        for few in _few_rows(table, groups):
            held.append(few)
            rows, size = rows + len(few), size + few.nbytes
            if rows >= ROWS or size >= BYTES:
                yield pa.concat_tables(held).combine_chunks()
                held, rows, size = [], 0, 0
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _few_rows(file: parquet.ParquetFile, groups: Sequence[int]) -> Iterator[pa.Table]:
    """Decode some rows at once, as many as are surely few."""
    batches = file.iter_batches(_few(file, groups), row_groups=groups, use_threads=False)
    while (batch := _told(lambda: next(batches, None))) is not None:
        table = _plain(pa.Table.from_batches([batch]))
        if table.nbytes > MOST_BYTES:
            raise ScoringFailed(f"{len(table)} rows of the file take more than {MOST_BYTES // 2**20} MiB in memory.")
        yield table


def _few(file: parquet.ParquetFile, groups: Sequence[int]) -> int:
    """Return how many rows to decode at once, by what the file says of their length."""
    facts = [file.metadata.row_group(group) for group in groups]
    longest = max((one.total_byte_size // max(one.num_rows, 1) for one in facts), default=0)
    return max(min(FEW_ROWS, FEW_BYTES // max(longest, 1)), 1)


def _plain(table: pa.Table) -> pa.Table:
    """Write out the words of dictionaries, which may differ from one part to the next, and check the texts."""
    for place, field in enumerate(table.schema):
        column = table.column(place)
        try:
            column.validate(full=True)
            if pa.types.is_dictionary(field.type):
                table = table.set_column(place, field.name, compute.cast(column, field.type.value_type))
        except pa.ArrowInvalid as error:
            kind = "UTF-8 text" if pa.types.is_string(field.type) else field.type
            raise ScoringFailed(f"The column {field.name} holds what is not {kind}.") from error
    return table.replace_schema_metadata(None)


def _told(work: Callable[[], T]) -> T:
    """Ask Arrow for something, and tell its faults from those of the storage: it raises OSError for both."""
    try:
        return work()
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system
        raise ScoringFailed(DAMAGED) from error
