"""What comes of a part, as bytes of a format."""

import pyarrow as pa

from mlapi.scoring.write import csv_lines

COLUMNS = [
    pa.array([1, None, -3], pa.int64()),
    pa.array([0.1, None, 2.5e-7], pa.float32()),
    pa.array([1e300, 2.0, None], pa.float64()),
    pa.array(["=a", "-5", None]),
    pa.array([True, False, None]),
]


def test_a_cell_that_needs_quotes_changes_no_other() -> None:
    plain = csv_lines([*COLUMNS, pa.array(["a", "b", "c"])])
    quoted = csv_lines([*COLUMNS, pa.array(["a", 'b "c"', "c"])])
    assert plain.splitlines()[::2] == quoted.splitlines()[::2]
    assert quoted.splitlines()[1] == b',,2,-5,false,"b ""c"""'
    assert plain == b"1,0.1,1e+300,'=a,true,a\n,,2,-5,false,b\n-3,2.5e-7,,,,c\n"


def test_what_would_run_as_a_formula_is_found_in_a_part_of_a_column_too() -> None:
    texts = pa.chunked_array([pa.array(["", "=a", "b"]).slice(1, 1), pa.array([], pa.string()), pa.array([""])])
    assert csv_lines([texts, pa.array(["x", "＝y"])]) == "'=a,x\n,'＝y\n".encode()
