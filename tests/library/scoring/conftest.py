"""Files to score: good rows of this model, and some that are not."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from sample.ml import Model
from sample.settings import Settings

from mlapi.scoring.foreground import score_now

NAMES = Model.Features.names()
ROW = dict(Model.Features.example())

Write = Callable[..., Path]
Score = Callable[..., dict[str, Any]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rows to a file in the format that its name tells."""

    def to(name: str, rows: Sequence[dict[str, Any]]) -> Path:
        path = tmp_path / name
        if path.suffix == ".parquet":
            parquet.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=70_000)
        elif path.suffix == ".jsonl":
            path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        else:
            file = io.StringIO()
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            path.write_text(file.getvalue(), encoding="utf-8")
        return path

    return to


@pytest.fixture
def score(trained: Settings) -> Score:
    """Score a file with the trained model."""

    def now(source: Path | str, target: Path | str, cluster_url: str | None = None) -> dict[str, Any]:
        settings = trained.model_copy(update={"cluster_url": cluster_url})
        return score_now(Model, settings, str(source), str(target), lambda _progress, _of: None)

    return now


@pytest.fixture
def row() -> dict[str, Any]:
    """One row that is good."""
    return dict(ROW)
