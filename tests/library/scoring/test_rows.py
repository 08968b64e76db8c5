"""Where the rows of CSV end, which must be where Arrow sees it, or rows get the lines of others."""

import io
import os
import random
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv

from mlapi.errors import ScoringFailed
from mlapi.scoring.rows import last_row_end, lines_in, row_ends, row_lines

TEXTS = int(os.environ.get("TEXTS", "1000"))
"""Made-up texts to cut; TEXTS=100000 takes minutes."""


def rows_in(text: bytes) -> int:
    """Count the rows as Arrow does, whatever their cells."""
    skipped: list[Any] = []

    def skip(row: Any) -> str:
        skipped.append(row)
        return "skip"

    table = csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(use_threads=False, column_names=["x", "y"], block_size=len(text) + 1),
        csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        csv.ConvertOptions(column_types=dict.fromkeys("xy", pa.binary()), null_values=[]),
    )
    return len(table) + len(skipped)


def is_whole(text: bytes) -> bool:
    """Tell whether the last row ends, and no quote is wrong."""
    try:
        return last_row_end(text, 1) == len(text)
    except ScoringFailed:
        return False


def test_rows_end_where_arrow_sees_it_and_parts_can_be_cut_there() -> None:
    chance = random.Random(1)
    texts = ["".join(chance.choices('ab,"\n\r', [1, 1, 2, 2, 2, 1], k=chance.randint(1, 25))) for _ in range(TEXTS)]
    whole = [text for text in (f"{text}\n".encode() for text in texts) if is_whole(text)]
    assert len(whole) > TEXTS / 6
    for text in whole:
        lines = row_lines(text, 1).tolist()
        assert len(lines) == rows_in(text), text
        ends = row_ends(text, 1).tolist()
        for place in range(1, len(text)):
            assert last_row_end(text[:place], 1) in {0, *ends}, text
        end = chance.choice(ends)
        parts = [part for part in ((text[:end], 1), (text[end:], 1 + lines_in(text, end))) if part[0]]
        assert [line for part, first in parts for line in row_lines(part, first)] == lines, text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b'5" a,b\n6" c,d\ne,f\n', [1, 2, 3]),
        (b'5" a,b\ne,f', [1, 2]),
        (b"a,b\rc,d\r\n\r\ne,f\r", [1, 2, 4]),
        (b'"a\rb",c\r\n"d\n",e\r\nf\r\n', [1, 3, 5]),
        (b' "a,b\nc"\n\nd,"e ""f"""\ng,""\n', [1, 2, 4, 5]),
        (b'"5"x,1\n"6",2\n', [1, 2]),
    ],
)
def test_each_row_has_the_line_where_it_begins(text: bytes, lines: list[int]) -> None:
    assert row_lines(text, 1).tolist() == lines


def test_a_quote_that_swallows_lines_is_told_with_its_line() -> None:
    with pytest.raises(ScoringFailed, match="Line 8: a quote is opened here and not closed"):
        row_lines(b'a,"b\nb",c\nd,"e\n"f",g\n', 6)
