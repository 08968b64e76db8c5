"""Putting parts together: the result in one file, and the list of rejected rows."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from ..storage import Storage
from .footer import MAGIC, TAIL_BYTES, Footer
from .formats import Format
from .write import csv_lines

Check = Callable[[], None]
Paths = Sequence[str]


def assemble(storage: Storage, paths: Paths, form: Format, columns: Sequence[str], check: Check) -> Iterator[bytes]:
    """Yield the bytes of one file made of parts in its format; `check` is called in between and may raise to end it."""
    if form == "parquet":
        yield from _parquet(storage, paths, check)
        return
    if form == "csv":
        yield csv_lines([pa.array([name]) for name in columns])
    for path in paths:
        check()
        yield from storage.pieces(path, 0, storage.size(path))


def _parquet(storage: Storage, paths: Paths, check: Check) -> Iterator[bytes]:
    """Copy what is in the parts, and tell at the end where it is."""
    footer, place = Footer(), len(MAGIC)
    yield MAGIC
    for path in paths:
        check()
        size = storage.size(path)
        length = int.from_bytes(storage.read(path, size - TAIL_BYTES, size)[:4], "little")
        end = size - TAIL_BYTES - length
        footer.add(storage.read(path, end, size - TAIL_BYTES), place - len(MAGIC))
        yield from storage.pieces(path, len(MAGIC), end)
        place += end - len(MAGIC)
    yield footer.content()


def assemble_rejects(storage: Storage, folder: str, most: int) -> Iterator[bytes]:
    """Yield the list of rejected rows, as CSV with their line and the reason."""
    yield b"line,reason\n"
    for name in storage.paths(f"{folder}/rejects"):
        if not most:
            return
        some = storage.read(f"{folder}/rejects/{name}").splitlines(keepends=True)[:most]
        most -= len(some)
        yield b"".join(some)
