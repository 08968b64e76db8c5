"""Whole files, from their first byte to the result, as the command line scores them."""

import csv
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import BadInput, ModelNotReady, ScoringFailed
from mlapi.ml.base import Words
from mlapi.scoring import cut, read, run
from mlapi.scoring.foreground import place_of, score_now
from mlapi.serving.champion import load
from mlapi.serving.registry import Registry
from mlapi.storage import Storage

from rig.bucket import make_bucket, speaking_s3

ADDED = tuple(Model.example_answer().columns())
Write = Callable[..., Path]
Score = Callable[..., dict[str, Any]]

HEADER = ",".join(Model.Features.names())
CELLS = ",".join(f'"{value}"' for value in dict(Model.Features.example()).values())

FORMATS = ("csv", "jsonl", "parquet")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read a result."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


def many(row: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return rows that differ, with an id and a note."""
    rows = []
    for number in range(count):
        changed = dict(row)
        for column in Model.Features.columns():
            if column.kind == "number":
                changed[column.name] = round(column.low + (column.high - column.low) * ((number * 7) % 101) / 101, 2)
            elif column.kind == "category":
                changed[column.name] = column.choices[number % len(column.choices)]
            else:
                changed[column.name] = f"{row[column.name]} {'good' if number % 2 else 'bad'} {number}"
        rows.append({"id": number, **changed, "note": f'a, "b"\n{number}'})
    return rows


@pytest.mark.parametrize("forms", list(itertools.product(FORMATS, FORMATS)), ids="-".join)
def test_each_format_becomes_each_format_with_the_predictions_of_the_service(
    write: Write, score: Score, row: dict[str, Any], tmp_path: Path, trained: Settings, forms: tuple[str, str]
) -> None:
    source, target = forms
    rows = many(row, 500)
    summary = score(write(f"in.{source}", rows), tmp_path / f"out.{target}")
    assert summary == {"version": "1", "rows": 500, "rejected": 0, "rejects": None}
    found = rows_of(tmp_path / f"out.{target}")
    assert [int(one["id"]) for one in found] == list(range(500))
    assert list(found[0]) == [*rows[0], *ADDED]
    assert [one["note"] for one in found] == [one["note"] for one in rows]
    served = load(Model, Registry.of(Model, trained), "1", 10**9)
    names = Model.Features.names()
    expected = served.answer(Model.Features.matrix([[one[name] for name in names] for one in rows])).columns()
    for name, values in expected.items():
        if isinstance(values, Words):
            assert [one[name] for one in found] == values.tolist()
        else:
            np.testing.assert_allclose([float(one[name]) for one in found], values, rtol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"in.{source}", f"out.{target}"])


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_many_parts_gives_what_the_same_rows_in_one_give(
    write: Write, score: Score, row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = write(f"in.{form}", many(row, 3000))
    score(path, tmp_path / f"one.{form}")
    monkeypatch.setattr(cut, "PART_BYTES", 5000)
    parquet_rows = parquet.read_table(path) if form == "parquet" else None
    if parquet_rows is not None:
        parquet.write_table(parquet_rows, path, row_group_size=100)
        monkeypatch.setattr(cut, "PART_ROWS", 250)
    score(path, tmp_path / f"many.{form}")
    assert rows_of(tmp_path / f"many.{form}") == rows_of(tmp_path / f"one.{form}")


def test_bad_rows_are_listed_with_line_and_reason_and_the_others_are_scored(
    write: Write, score: Score, row: dict[str, Any], tmp_path: Path, trained: Settings
) -> None:
    """Checklist 15 and 16; a row that is too long or too short never shifts a column."""
    path = write("in.csv", many(row, 4))  # each takes two lines
    with path.open("ab") as file:
        file.write(f"1,2,3,4,5,6,7,8,9,10\nx\n\n5,{CELLS},\xff\n".encode("latin-1"))
        file.write(f'6,{CELLS},"two\nlines"\n7,{CELLS},\0\n8,{CELLS},ok\n'.encode())
    summary = score(path, tmp_path / "out.csv")
    assert (summary["rows"], summary["rejected"]) == (6, 4)
    rejects = rows_of(tmp_path / "out.csv.rejects.csv")
    assert [int(one["line"]) for one in rejects] == [10, 11, 13, 16]
    assert rejects[0]["reason"].startswith("has 10 cells, the header")
    few = trained.model_copy(update={"max_rejects": 1})
    summary = score_now(Model, few, str(path), str(tmp_path / "few.csv"), lambda _progress, _of: None)
    assert summary["rejected"] == 4
    assert len(rows_of(tmp_path / "few.csv.rejects.csv")) == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f'{HEADER},note\n{CELLS},5" a\nx\n{CELLS},6" b\n', 3),
        (f'{HEADER},note\n{CELLS},5" a\n{CELLS},b\nx\n', 4),
        (f'{HEADER},note\n{CELLS}, "a\nx\n{CELLS},b"\n', 3),
        (f"{HEADER},note\n{CELLS},a\r{CELLS},b\nx\n", 4),
        (f"{HEADER},note\r{CELLS},a\rx\r{CELLS},b\r", 3),
        (f'{HEADER},note\r\n{CELLS},"a\rb"\r\n{CELLS},c\r\nx\r\n', 5),
    ],
)
def test_rows_keep_their_lines_whatever_quotes_and_ends_of_lines_there_are(
    score: Score, tmp_path: Path, content: str, line: int
) -> None:
    (tmp_path / "in.csv").write_bytes(content.encode())
    summary = score(tmp_path / "in.csv", tmp_path / "out.csv")
    assert (summary["rows"], summary["rejected"]) == (2, 1)
    assert [int(one["line"]) for one in rows_of(tmp_path / "out.csv.rejects.csv")] == [line]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rows"),
        (f"{HEADER}\n".encode(), "no rows"),
        (f"{HEADER}\n\n\n".encode(), "no rows"),
        (f"{HEADER},{HEADER}\n{CELLS},{CELLS}\n".encode(), "once, not 2 times"),
        (f"x{HEADER}\n{CELLS}\n".encode(), "once, not 0 times"),
        (f"{HEADER},a,a\n{CELLS},1,1\n".encode(), "name of its own"),
        (f"{HEADER},{ADDED[0]}\n{CELLS},1\n".encode(), "must not have a column of that name"),
        (f"{HEADER},{','.join(map(str, range(2000)))}\n{CELLS}\n".encode(), "columns; at most"),
        (f"{HEADER}\n{CELLS}\n".encode("utf-16"), "not UTF-8"),
        (f"{HEADER};x\n".replace(",", ";").encode() + b"1;2\n", "not by semicolons"),
        (f'{HEADER}\n{CELLS}\n{CELLS}"\n{CELLS}\n'.encode(), "Line 3: a quote is opened"),
        (f"{HEADER}\n1,2,3,4,5,6,7,8,9\n\0\n".encode(), "Line 2: has 9 cells"),
    ],
)
def test_a_file_that_cannot_be_scored_at_all_is_refused_with_the_reason(
    score: Score, tmp_path: Path, content: bytes, said: str
) -> None:
    """Checklist 16."""
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(ScoringFailed, match=said):
        score(tmp_path / "in.csv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("name", "content"), [("in.csv", f"x{HEADER}\n{CELLS}\n".encode()), ("in.jsonl", b'{"x": 1}\n')]
)
def test_a_wrong_column_is_told_before_the_rows_are_read(
    score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(cut, "_text_parts", pytest.fail)
    with pytest.raises(ScoringFailed, match="once, not 0 times"):
        score(tmp_path / name, tmp_path / "out.csv")


def test_a_header_that_does_not_end_is_refused_soon(score: Score, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'"' + b"\n" * 300_000)
    with pytest.raises(ScoringFailed, match="Line 1"):
        score(tmp_path / "in.csv", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [("in.parquet", b"PAR1 no PAR1"), ("in.jsonl", b"[1, 2]\n"), ("in.jsonl", b"\n\n"), ("in.jsonl", b"{}\n")],
)
def test_a_file_of_another_format_is_refused(score: Score, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScoringFailed):
        score(tmp_path / name, tmp_path / "out.csv")


def test_bad_lines_of_json_are_listed(write: Write, score: Score, row: dict[str, Any], tmp_path: Path) -> None:
    """Checklist 1, 4, 9, 10 and 11."""
    name = Model.Features.names()[0]
    path = write("in.jsonl", [row, row])
    bad = ["x", "[]", json.dumps(row | {"more": 1}), json.dumps(row | {name: True}), json.dumps(row | {name: None})]
    bad += [json.dumps({name: "VALUE"}).replace('"VALUE"', value) for value in ("NaN", "1e999", "9" * 400, '"\\ud800"')]
    bad += ["[" * 100_000]
    path.write_text(path.read_text() + "\n".join(bad) + "\n")
    summary = score(path, tmp_path / "out.jsonl")
    assert (summary["rows"], summary["rejected"]) == (2, len(bad))
    assert [int(one["line"]) for one in rows_of(tmp_path / "out.jsonl.rejects.csv")] == list(range(3, 3 + len(bad)))


def test_an_integer_that_no_float_equals_spoils_no_other_row(
    write: Write, score: Score, row: dict[str, Any], tmp_path: Path
) -> None:
    rows = [row, *({**row, name: 2**53 + 1} for name in row)]
    summary = score(write("in.jsonl", rows), tmp_path / "out.jsonl")
    assert summary["rows"] > 0
    assert summary["rows"] + summary["rejected"] == len(rows)


def test_short_lines_of_json_are_held_a_few_at_once_and_those_without_a_feature_not_at_all(
    write: Write, row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [*row, *map(str, range(100))]
    path = write("in.jsonl", [dict.fromkeys(columns) | row, *[row] * 9, *[{}] * 9])
    monkeypatch.setattr(read, "CELLS", 3 * len(columns))
    part = cut.Part(0, path.stat().st_size, 1)
    pieces = list(read.read(Model.Features, Storage(tmp_path.as_uri()), path.name, "jsonl", columns, part))
    assert [len(piece.table) for piece in pieces][:3] == [3, 3, 3]
    kept = 19 if all(column.optional for column in Model.Features.columns()) else 10
    assert sum(len(piece.table) for piece in pieces) == kept
    assert [line for piece in pieces for line in piece.lines.tolist()][:10] == list(range(1, 11))


def test_the_parts_that_are_done_are_listed_once_for_each_group(
    write: Write, row: dict[str, Any], tmp_path: Path, trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("in.csv", many(row, 3000))
    monkeypatch.setattr(cut, "PART_BYTES", 5000)
    run.prepare(Model, trained, tmp_path.as_uri(), "job", (tmp_path.as_uri(), path.name, "csv"), ["csv"])
    plan = run.plan_of(tmp_path.as_uri(), "job")
    listed: list[str] = []
    paths = Storage.paths

    def told(storage: Storage, prefix: str) -> Sequence[str]:
        listed.append(prefix)
        return paths(storage, prefix)

    monkeypatch.setattr(Storage, "paths", told)
    _, first = run.score_some(Model, plan, None)
    before, second = run.score_some(Model, plan, None)
    assert len(listed) == 2
    assert before == first
    assert 0 < first.done < second.done
    assert second == run.progress_of(plan)


def test_cells_are_kept_and_those_that_would_run_as_formulas_are_harmless_in_csv(
    write: Write, score: Score, row: dict[str, Any], tmp_path: Path
) -> None:
    """Checklist 17."""
    cells = ["=1+1", "+cmd", "-x", "@a", "\tb", "-5", "+1.5e-3", "-.5", "a-b", "", "'", '=A1&"x"']
    path = write("in.csv", [{**row, "note": cell} for cell in cells])
    score(path, tmp_path / "out.csv")
    score(path, tmp_path / "out.jsonl")
    assert [one["note"] for one in rows_of(tmp_path / "out.jsonl")] == cells
    harmless = [f"'{cell}" if number in {0, 1, 2, 3, 4, 11} else cell for number, cell in enumerate(cells)]
    assert [one["note"] for one in rows_of(tmp_path / "out.csv")] == harmless
    first = Model.Features.columns()[0]
    if first.kind == "number" and first.low < 0:  # a negative feature stays the number that it is
        assert path.read_text().splitlines()[1].split(",")[0] == rows_of(tmp_path / "out.csv")[0][first.name]


def test_without_a_model_nothing_is_scored(
    settings: Settings, write: Write, row: dict[str, Any], tmp_path: Path
) -> None:
    path = write("in.csv", [row])
    with pytest.raises(ModelNotReady):
        score_now(Model, settings, str(path), str(tmp_path / "out.csv"), lambda _progress, _of: None)


@pytest.mark.parametrize("name", ["in", "in.xlsx", "s3://bucket/in.zip"])
def test_a_name_must_tell_the_format(name: str) -> None:
    with pytest.raises(BadInput, match="must end with"):
        place_of(name)


def test_files_in_a_bucket_are_scored(
    write: Write, score: Score, row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking_s3() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        bucket = make_bucket(variables)
        rows = many(row, 300)
        for form in FORMATS:
            here = write(f"in.{form}", rows)
            place = place_of(f"{bucket}/in.{form}")
            place.storage.write(place.path, here.read_bytes())
            score(f"{bucket}/in.{form}", f"{bucket}/out.{form}")
            score(here, tmp_path / f"out.{form}")
            there = place_of(f"{bucket}/out.{form}")
            assert there.storage.read(there.path) == (tmp_path / f"out.{form}").read_bytes()
