import io
from typing import NamedTuple

import pytest

from mlapi import bar
from mlapi.bar import Bar


class Counted(NamedTuple):
    rows: int
    rejected: int = 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _always_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(bar, "LOG_SECONDS", 0.0)


def test_on_a_terminal_one_line_is_drawn_again_and_again() -> None:
    file = Terminal()
    with Bar(file) as shown:
        shown.show(Counted(0), 1000)
        shown.show(Counted(400, 100), 1000)
        shown.show(Counted(900, 100), 1000)
    first, second, third = file.getvalue().split("\r")[1:]
    assert first.startswith("[..............................]   0% 0 rows")
    assert "50% 500 rows" in second
    assert "100 rejected" in second
    assert second.endswith(" left\x1b[K")
    assert third.startswith("[##############################] 100% 1,000 rows")
    assert third.endswith("\n")


def test_in_a_log_each_drawing_is_a_line() -> None:
    file = io.StringIO()
    with Bar(file) as shown:
        shown.show(Counted(1), 2)
        shown.show(Counted(2), 2)
    assert [line.split()[1:4] for line in file.getvalue().splitlines()] == [
        ["50%", "1", "rows,"],
        ["100%", "2", "rows,"],
    ]
    assert "\x1b" not in file.getvalue()
