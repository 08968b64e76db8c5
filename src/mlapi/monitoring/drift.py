"""Whether callers' values still look like those of the training: counts in bins, and never the values themselves.

Each serving process counts what it predicts and writes its counts to a file a day. Whoever wants to know, a scrape of
the metrics or the command `drift`, adds the files up: so the counts survive restarts, and those of several processes
become one.
"""

import json
import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..durable import write_durably
from ..ml.features import Features
from ..ml.reference import PREDICTION, Histogram, measures, place

MOST_WAITING = 100_000
"""Rows that may wait to be counted. What comes while so many wait is not counted, so that a flood costs no memory."""
ENOUGH_ROWS = 1_000
"""Rows below which nothing is said: small samples differ by chance."""
NORMAL_QUANTILE = 3.09
"""Of the standard normal distribution, for a probability of 0.999: one false alarm in a thousand looks at a feature."""

Counts = Mapping[str, NDArray[np.int64]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drift:
    """How one feature, or the prediction, differs from the training."""

    name: str
    """Name of the feature."""
    counted: int
    """Rows that were counted."""
    psi: float
    """Population stability index: the sum over the bins of (share now - share then) x ln(share now / share then)."""
    limit: float
    """What it stays below by chance in 999 of 1000 samples of this size.

    B. Yurdakul and J. Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
    Validation 14, 2020: without drift, the index is about (1/N + 1/n) times a chi-squared variable with one degree of
    freedom less than bins, for N rows in training and n now.
    """
    then: tuple[float, ...]
    """Share of the training's rows in each bin, the last one being for missing values."""
    now: tuple[float, ...]
    """Share of the counted rows in each bin."""

    @property
    def drifted(self) -> bool:
        """Whether there is drift beyond chance."""
        return self.counted >= ENOUGH_ROWS and self.psi > self.limit

    def summary(self) -> dict[str, Any]:
        """Return it in values that JSON can carry, rounded for people."""
        return {
            "rows": self.counted,
            "psi": round(self.psi, 4),
            "limit": round(self.limit, 4),
            "drifted": self.drifted,
            "then": [round(share, 4) for share in self.then],
            "now": [round(share, 4) for share in self.now],
        }


class Watch:
    """Counts the rows that a version predicts. `see` costs next to nothing; `flush` does the work, in any thread."""

    def __init__(
        self, features: type[Features], reference: Mapping[str, Histogram], directory: Path, name: str
    ) -> None:
        """Count rows of these features against the reference of a version.

        The counts are in files of this name in the version's directory, and go on from there.
        """
        self.reference = reference
        """What the training data look like."""
        self._directory = directory
        self._name = name
        self._features = features
        self._names = tuple(measures(features, features.matrix([features.example().values()])))
        # Numbers in arrays that are there already: an object for each request would take ten times the memory.
        self._measured = np.empty((MOST_WAITING, len(self._names)), dtype=np.float32)
        self._predicted = np.empty(MOST_WAITING, dtype=np.float64)
        self._rows = 0
        self._lock = threading.Lock()
        self._day = _today()
        self._counts = {name: np.zeros(len(one["counts"]) + 1, dtype=np.int64) for name, one in reference.items()}
        self._is_written = True
        with suppress(FileNotFoundError, NoCounts):  # it is there if this process has served the version before
            self._counts |= read_counts(self._path, reference)

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._day}.{self._name}.json"

    def see(self, X: NDArray[Any], prediction: NDArray[Any]) -> None:
        """Note rows that were predicted, to be counted later; shapes (rows, features) and (rows,)."""
        if X.dtype == object:  # texts: their length is measured
            X = np.column_stack([*measures(self._features, X).values()])
        with self._lock:
            start, end = self._rows, min(self._rows + len(X), MOST_WAITING)
            self._measured[start:end] = X[: end - start]
            self._predicted[start:end] = prediction[: end - start]
            self._rows = end

    @property
    def waits(self) -> bool:
        """Whether there are rows to count, or counts to write."""
        return self._rows > 0 or not self._is_written

    def flush(self) -> None:
        """Count what waits and write the counts down.

        Raises:
            OSError: they cannot be written; they are kept and written the next time.

        """
        if self._day != _today():
            self._write()  # what is left of the day that is over, if it could not be written then
            self._day = _today()
            for counts in self._counts.values():
                counts[:] = 0
        with self._lock:
            measured, predicted = self._measured[: self._rows].copy(), self._predicted[: self._rows].copy()
            self._rows = 0
        if len(predicted):
            self._is_written = False
            seen = {**dict(zip(self._names, measured.T.astype(np.float64), strict=True)), PREDICTION: predicted}
            for name, one in self.reference.items():
                if name in seen:
                    self._counts[name] += count(seen[name], one)
        self._write()

    def _write(self) -> None:
        if self._is_written:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        content = json.dumps({name: counts.tolist() for name, counts in self._counts.items()})
        write_durably(self._path, content.encode())
        self._is_written = True


class NoCounts(Exception):
    """A file holds no counts, or those of other bins."""


def read_counts(path: Path, reference: Mapping[str, Histogram]) -> dict[str, NDArray[np.int64]]:
    """Read counts in the bins of a reference.

    Raises:
        NoCounts: the file holds something else.
        OSError: it cannot be read.

    """
    try:
        found = json.loads(path.read_bytes())
        counts = {name: np.array(each, dtype=np.int64) for name, each in found.items() if name in reference}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise NoCounts from error
    for name, each in counts.items():
        if each.shape != (len(reference[name]["counts"]) + 1,) or (each < 0).any():
            raise NoCounts
    return counts


def count(values: NDArray[np.float64], reference: Histogram) -> NDArray[np.int64]:
    """Count values in the bins of a reference, and missing ones behind them; shape (bins + 1,)."""
    known = values[~np.isnan(values)]
    bins = len(reference["counts"])
    return np.append(np.bincount(place(known, reference), minlength=bins), len(values) - len(known))


class Tallies:
    """What all processes counted, kept in a directory: for each version a file per day and process.

    However often a process loads a version: the files are read at each scrape, so there must be few.
    """

    def __init__(self, directory: Path, days: int) -> None:
        """Keep counts of the last `days`, today being one of them."""
        self._directory = directory
        self._name = uuid.uuid4().hex[:12]
        self._skipped: set[Path] = set()
        self.days = days

    def watch(self, features: type[Features], version: str, reference: Mapping[str, Histogram]) -> Watch:
        """Begin to count what a version predicts for rows of these features, and forget what is too old."""
        for path in self._directory.glob("*/*.json"):
            day = _day_of(path)  # a file without a day is not ours to remove
            if day is not None and not _within(day, self.days):
                path.unlink(missing_ok=True)
        return Watch(features, reference, self._directory / version, self._name)

    def drift(self, version: str, reference: Mapping[str, Histogram], days: int | None = None) -> list[Drift]:
        """Compare what a version predicted in the last `days` with its training."""
        total: dict[str, NDArray[np.int64]] = {}
        for path in (self._directory / version).glob("*.json"):
            day = _day_of(path)
            if day is None:
                self._skip(path)
            elif _within(day, days or self.days):
                for name, counts in self._read(path, reference).items():
                    total[name] = total.get(name, 0) + counts
        return list(compare(reference, total))

    def _read(self, path: Path, reference: Mapping[str, Histogram]) -> Counts:
        """Return the counts in a file; none if it is damaged: those of the other files are worth knowing."""
        try:
            return read_counts(path, reference)
        except FileNotFoundError:
            return {}  # another process has just found it too old
        except (NoCounts, OSError):
            self._skip(path)
            return {}

    def _skip(self, path: Path) -> None:
        """Say once that a file is not counted."""
        if path not in self._skipped:
            log.warning("%s holds no counts of what this version predicted: it is left out", path)
        self._skipped.add(path)


def _day_of(path: Path) -> date | None:
    """Return the day of a file of counts, with which its name begins."""
    try:
        return date.fromisoformat(path.name[:10])
    except ValueError:
        return None


def _within(day: date, days: int) -> bool:
    """Tell whether a day is one of the last `days`."""
    return day > _today() - timedelta(days)


def compare(reference: Mapping[str, Histogram], counts: Counts) -> Iterator[Drift]:
    """Compare the counts of each feature with its reference."""
    for name, one in reference.items():
        then = np.array([*one["counts"], *one.get("missing", [0.0])])
        now = counts.get(name, np.zeros(len(then), dtype=np.int64))
        rows = int(now.sum())
        used = (then > 0) | (now > 0)
        # Half a row more in each bin, so that an empty one does not make the index infinite.
        p, q = ((part[used] + 0.5) / (part[used] + 0.5).sum() for part in (then, now))
        psi = float(((q - p) * np.log(q / p)).sum()) if rows else 0.0
        limit = chi_squared(int(used.sum()) - 1) * (1 / max(float(then.sum()), 1) + 1 / max(rows, 1))
        yield Drift(name, rows, psi, limit, tuple(then / max(then.sum(), 1)), tuple(now / max(rows, 1)))


def chi_squared(freedom: int) -> float:
    """Return the 0.999 quantile of the chi-squared distribution (Wilson and Hilferty, PNAS 17, 1931)."""
    if freedom < 1:
        return 0.0
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + NORMAL_QUANTILE * spread**0.5) ** 3)


def _today() -> date:
    return datetime.now(UTC).date()
