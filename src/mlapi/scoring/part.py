"""Scoring a part: rows in, rows with predictions out. The same part always gives the same, wherever it is scored."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import ScoringFailed
from ..ml.base import Interval, SupervisedModel, Words
from ..ml.features import Features
from ..serving.champion import Served
from ..serving.runtime import Computes, open_model
from ..storage import Storage
from .check import Checked, check
from .cut import Part
from .formats import Format
from .read import Reject, read
from .write import Write, unwritable, writing

OVERFLOW = "the model computed a value that is not a finite number"
"""Why a row is rejected that looked good."""

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """All that scoring a part needs, wherever that is done."""

    files: str
    """URL of the storage to work in."""
    folder: str
    """Folder of the job in there."""
    source_files: str
    """URL of the storage that holds the file."""
    source: str
    """Path of the file in there."""
    form: Format
    """Format of the file."""
    columns: tuple[str, ...]
    """Names of its columns."""
    version: str
    """Number of the model's version."""
    runtime: Literal["onnx", "joblib"]
    """What computes it."""
    sha256: str
    """Digest of the model, whose bytes are in the folder."""
    interval: dict[str, Any] | None
    """How far a predicted value may be off, as an `Interval` has it."""
    max_rejects: int
    """Rejected rows that are kept."""
    results: tuple[Format, ...]
    """Formats that are wanted."""


class Count(NamedTuple):
    """What came of a part."""

    rows: int
    """Rows that were scored."""
    rejected: int
    """Rows that were not."""


def score_part(model: type[SupervisedModel], order: Order, number: int, part: Part) -> Count:
    """Score a part with a version of a model, write what came of it, then note that it is done."""
    storage = Storage(order.files)
    rejects: list[Reject] = []
    count = [0, 0]

    def batches() -> Iterator[pa.Table]:
        served = _served(model, order)
        for rows in read(model.Features, Storage(order.source_files), order.source, order.form, order.columns, part):
            scored, bad = _predict(served, check(model.Features, rows))
            count[0] += len(scored)
            count[1] += len(bad)
            rejects.extend(bad[: max(order.max_rejects - len(rejects), 0)])
            if len(scored):
                yield scored

    _write(model.Features, storage, order, number, batches())
    if rejects:
        lines = "".join(f'{line},"{reason.replace(chr(34), chr(34) * 2)}"\n' for line, reason in sorted(rejects))
        storage.write(f"{order.folder}/rejects/{number:06}", lines.encode())
    storage.write(f"{order.folder}/done/{number:06}-{count[0]}-{count[1]}", b"")
    return Count(*count)


def done(storage: Storage, folder: str) -> dict[int, Count]:
    """Tell what came of the parts that are done."""
    found = (tuple(map(int, name.split("-"))) for name in storage.paths(f"{folder}/done"))
    return {number: Count(rows, rejected) for number, rows, rejected in found}


def path_of(folder: str, number: int, form: Format) -> str:
    """Return where what came of a part is in a format."""
    return f"{folder}/parts/{number:06}.{form}"


def _write(features: type[Features], storage: Storage, order: Order, number: int, batches: Iterator[pa.Table]) -> None:
    """Write tables of one schema in each format that is wanted; nothing if there are none."""
    first = next(batches, None)
    if first is None:
        return
    with ExitStack() as open_files:
        writes = [
            open_files.enter_context(_writing(features, storage, path_of(order.folder, number, form), form, first))
            for form in order.results
        ]
        for table in chain([first], batches):
            for write in writes:
                write(table)


@contextmanager
def _writing(features: type[Features], storage: Storage, path: str, form: Format, first: pa.Table) -> Iterator[Write]:
    with storage.writer(path) as file, ExitStack() as opened:
        write = _told(form, first, lambda: opened.enter_context(writing(features, file, form, first)))
        yield lambda table: _told(form, table, lambda: write(table))


def _told(form: Format, table: pa.Table, work: Callable[[], T]) -> T:
    """Do something to write a table; say which column is to blame if the format has no place for what it holds."""
    try:
        return work()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, ValueError, OverflowError) as error:
        column = unwritable(form, table)
        what = f"The column {column.name}, which holds {column.type}," if column else "A column of the file"
        raise ScoringFailed(f"{what} cannot be written as {form}. Ask for another format, or change it.") from error


def _predict(served: Served, rows: Checked) -> tuple[pa.Table, list[Reject]]:
    """Add the predictions to rows; reject those that the model cannot compute."""
    if not len(rows.table):
        return rows.table, rows.rejects
    answer = served.answer(rows.X)
    added = answer.columns()
    table = rows.table
    for name, values in added.items():
        table = table.append_column(name, _array(values))
    if answer.finite:
        return table, rows.rejects
    numbers = [values for values in added.values() if not isinstance(values, Words)]
    finite = np.isfinite(np.stack(numbers, axis=1)).all(axis=1)
    return table.filter(pa.array(finite)), rows.rejects + [(int(line), OVERFLOW) for line in rows.lines[~finite]]


def _array(values: NDArray[Any] | Words) -> pa.Array:
    """Return a column of a table, at the speed of arrays."""
    return pa.array(values.among).take(pa.array(values.index)) if isinstance(values, Words) else pa.array(values)


def _served(model: type[SupervisedModel], order: Order) -> Served:
    interval = None if order.interval is None else Interval(**order.interval)
    runtime = _open(model, order.files, f"{order.folder}/model", order.runtime, order.sha256)
    return Served(model, order.version, runtime, interval)


@lru_cache(maxsize=4)
def _open(
    model: type[SupervisedModel], files: str, path: str, runtime: Literal["onnx", "joblib"], sha256: str
) -> Computes:
    """Open the model that was put into the job's folder, once in each process."""
    content = Storage(files).read(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ScoringFailed("The copy of the model is not the one that was published.")
    return open_model(model, runtime, content)
