import io
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from mlapi.ml.features import Features, category, number
from mlapi.ml.table import TableError, read_examples, read_rows, to_number


class Point(Features):
    """A point in the plane."""

    x: float = number(example=1, low=-10, high=10, unit="m")
    """How far east."""
    y: float = number(example=2, low=-10, high=10, unit="m")
    """How far north."""


def rows(text: str) -> list[tuple[int, list[str]]]:
    return list(read_rows(io.StringIO(text, newline=""), ["x", "y"]))


def test_columns_are_matched_by_name_in_any_order() -> None:
    assert rows("y, x\n2,1\n") == [(2, ["1", "2"])]


def test_blank_lines_are_passed_over() -> None:
    assert rows("x,y\n\n1,2\n\n") == [(3, ["1", "2"])]


def test_semicolons_are_named_as_the_mistake() -> None:
    with pytest.raises(TableError, match="by commas"):
        rows("x;y\n1;2\n")


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    assert rows("\ufeffx,y\n1,2\n") == [(2, ["1", "2"])]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("x\n1\n", 1),
        ("x,y,z\n1,2,3\n", 1),
        ("x,x,y\n1,1,2\n", 1),
        ("x,z\n1,2\n", 1),
        ("x,y\n1,2\n1,2,3\n", 3),
        ("x,y\n1\n", 2),
        ('x,y\n1,2\n"1,2\n', 3),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(TableError) as refused:
        rows(text)
    assert refused.value.line == line


@pytest.mark.parametrize("cell", ["", "a", "nan", "inf", "1_0", "0x1", "१", "1,5", "--1"])
def test_a_cell_that_is_not_a_decimal_number_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        to_number(cell)


@pytest.mark.parametrize(("cell", "value"), [("1", 1), ("-2.5", -2.5), (" 3e-2 ", 0.03)])
def test_a_decimal_number_is_read(cell: str, value: float) -> None:
    assert to_number(cell) == value


def kind(cell: str) -> int:
    """Read the target of a table of points."""
    if cell not in {"near", "far"}:
        raise ValueError("must be one of near, far")
    return ["near", "far"].index(cell)


def test_examples_are_read_with_the_index_of_their_label(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("kind,y,x\nfar,9,8\nnear,1,2\n", encoding="utf-8")
    X, y = read_examples(table, Point, "kind", kind)
    assert X.tolist() == [[8, 9], [2, 1]]
    assert y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,elsewhere", "line 2: kind: must be one of near, far"),
        ("1,99,near", "line 2: y: Input should be less than or equal to 10"),
        ("1,?,near", "line 2: y: must be a number"),
    ],
)
def test_a_bad_example_is_refused_with_its_line_and_column(tmp_path: Path, row: str, message: str) -> None:
    table = tmp_path / "points.csv"
    table.write_text(f"x,y,kind\n{row}\n", encoding="utf-8")
    with pytest.raises(TableError) as refused:
        read_examples(table, Point, "kind", kind)
    assert str(refused.value) == message


class Flat(Features):
    """A flat to let."""

    area: float = number(example=60, low=5, high=500, unit="m²")
    """Floor area."""
    heating: Literal["gas", "Öl"] | None = category(example="gas", optional=True)
    """What it is heated with."""


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_text("\n".join(lines), encoding=encoding)
    return path


def test_examples_may_have_other_columns_and_names_and_marks_for_missing_values(tmp_path: Path) -> None:
    table = write(tmp_path / "flats.csv", "Nr.,Größe (m²),heating,kind", "1,61.5,Öl,near", "2,70,NA,far", "NA,80,,far")
    X, y = read_examples(table, Flat, "kind", kind, header={"area": "Größe (m²)"}, missing=["NA", "?"])
    assert X.tolist() == pytest.approx(np.array([[61.5, 1], [70, np.nan], [80, np.nan]]), nan_ok=True)
    assert y.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",gas,near", "line 2: area: is missing"),
        ("NA,gas,near", "line 2: area: is missing"),
        ("60,coal,near", "line 2: heating: Input should be 'gas' or 'Öl'"),
        ("60,gas,NA", "line 2: kind: must be one of near, far"),
        ("60,gas,near,1", "line 2: has 4 cells, the header 3"),
    ],
)
def test_an_example_that_lacks_what_it_needs_is_refused(tmp_path: Path, row: str, message: str) -> None:
    table = write(tmp_path / "flats.csv", "area,heating,kind", row)
    with pytest.raises(TableError) as refused:
        read_examples(table, Flat, "kind", kind, missing=["NA"])
    assert str(refused.value) == message


def test_a_header_that_lacks_a_renamed_column_is_refused_by_its_name(tmp_path: Path) -> None:
    table = write(tmp_path / "flats.csv", "area,heating,kind", "60,gas,near")
    with pytest.raises(TableError, match="must name the column Größe once, not 0 times"):
        read_examples(table, Flat, "kind", kind, header={"area": "Größe"})


def test_a_table_in_another_encoding_is_refused_with_what_to_do(tmp_path: Path) -> None:
    table = write(tmp_path / "flats.csv", "area,heating,kind", "60,Öl,near", encoding="cp1252")
    with pytest.raises(ValueError, match=r"flats\.csv is not UTF-8 text\. .* 'CSV UTF-8'"):
        read_examples(table, Flat, "kind", kind)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("x,y,kind\n", encoding="utf-8")
    with pytest.raises(TableError, match="holds no rows"):
        read_examples(table, Point, "kind", kind)
