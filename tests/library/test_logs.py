import asyncio
import io
import itertools
import json
import logging
import subprocess
import sys
import threading
from datetime import datetime
from typing import Any

import pytest
from sample.settings import Settings

from mlapi import logs
from mlapi.logs import (
    AccessLog,
    JsonLine,
    Request,
    TextLine,
    logging_config,
    request_id,
)

LINE = Request("192.0.2.1", "key:ann", "GET", "/models", 200, 17, 0.0123)


def written(formatter: logging.Formatter, message: str, *arguments: Any, exc_info: Any = None) -> str:
    record = logging.LogRecord("a.b", logging.ERROR, __file__, 1, message, arguments, exc_info)
    return formatter.format(record)


@pytest.mark.parametrize("evil", ["a\nb", "a\r\nb", "\x1b[2J", "\x00", "\u2028", "\x85"])
def test_a_message_cannot_end_its_line(evil: str) -> None:
    """Checklist 41."""
    for formatter in (TextLine(), JsonLine()):
        line = written(formatter, "it said %s", evil)
        assert line.isprintable()
        assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == f"it said {evil}"


def test_a_traceback_stays_with_its_record() -> None:
    try:
        int("broken")
    except ValueError:
        found = sys.exc_info()
    assert "ValueError: invalid" in json.loads(written(JsonLine(), "x", exc_info=found))["traceback"]
    assert "ValueError: invalid" in written(TextLine(), "x", exc_info=found)


def test_a_record_names_the_request_it_belongs_to() -> None:
    token = request_id.set("the-one")
    try:
        assert json.loads(written(JsonLine(), "x"))["request_id"] == "the-one"
        assert written(TextLine(), "x").endswith("x [the-one]")
    finally:
        request_id.reset(token)
    assert "request_id" not in json.loads(written(JsonLine(), "x"))


def test_the_settings_choose_form_and_level() -> None:
    config = logging_config(Settings(log_format="json", log_level="error"))
    assert config["formatters"]["line"]["()"].endswith(".JsonLine")
    assert {one["level"] for one in config["loggers"].values()} == {"ERROR"}


def test_lines_are_written_whole_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    async def log() -> None:
        lines = AccessLog(lambda _lost: None, as_json=True)
        for number in range(1000):
            lines.add(LINE._replace(size=number))
        await lines.close()

    asyncio.run(log())
    assert [json.loads(line)["bytes"] for line in capsys.readouterr().err.splitlines()] == list(range(1000))


def test_a_line_tells_when_its_request_was_answered_and_which_it_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are written together."""
    clock = itertools.count(10).__next__
    monkeypatch.setattr(logs, "time", clock)

    async def log() -> None:
        lines = AccessLog(lambda _lost: None, as_json=True)
        for number in range(3):
            token = request_id.set(f"id-{number}")
            lines.add(LINE)
            request_id.reset(token)
        clock()  # time goes by
        await lines.close()

    asyncio.run(log())
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [one["request_id"] for one in found] == ["id-0", "id-1", "id-2"]
    assert [datetime.fromisoformat(one["time"]).timestamp() for one in found] == [10, 11, 12]


class Stuck(io.StringIO):
    """A standard error that nobody reads until somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.read_on = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.read_on.wait(60)
        return super().write(text)


def test_a_reader_that_stalls_keeps_no_request_waiting_and_memory_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checklist 34 and 43."""
    monkeypatch.setattr(logs, "MAX_WAITING", 10)
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.001)
    stuck = Stuck()
    monkeypatch.setattr(sys, "stderr", stuck)

    async def log() -> int:
        counted: list[int] = []
        lines = AccessLog(counted.append, as_json=False)
        lines.add(LINE)
        await asyncio.to_thread(stuck.reached.wait, 60)
        for _ in range(199):
            lines.add(LINE)
            await asyncio.sleep(0)
        assert not stuck.getvalue()  # so nobody has waited for it
        stuck.read_on.set()
        await lines.close()
        return sum(counted)

    lost = asyncio.run(log())
    assert lost > 0
    assert stuck.getvalue().count("\n") == 200 - lost


def test_a_full_disk_behind_the_log_stops_nothing() -> None:
    """Checklist 34."""
    program = (
        "import asyncio, sys\n"
        "from mlapi import logs\n"
        "from mlapi.logs import AccessLog, Request\n"
        "logs.FLUSH_SECONDS = 0.0\n"
        "sys.stderr = open('/dev/full', 'w')\n"
        "async def log():\n"
        "    lost = []\n"
        "    lines = AccessLog(lost.append, as_json=True)\n"
        "    for number in range(3):\n"
        "        lines.add(Request('a', 'b', 'GET', '/', 200, 1, 0.1))\n"
        "        while len(lost) <= number:\n"
        "            await asyncio.sleep(0.01)\n"
        "    await lines.close()\n"
        "    print(sum(lost))\n"
        "asyncio.run(log())\n"
        "sys.stderr = None\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "3\n", done
