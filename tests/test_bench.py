"""The benchmark measures what it says, and tells when a contender answers wrongly."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import field
import load
import pytest
import report
from benchmark import QUICK, Benchmark
from contender import Contender, running
from workbench import ROOT, SLUG, free_port, run

MINUTES = os.environ.get("SOAK_MINUTES", "0.1")
"""How long the soak lasts; `make test-all` sets more."""
WARM = 3.0
"""Minutes of a soak from which on nothing may grow: what is shorter is warming up."""
STAND_IN = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]
        content = json.dumps({"prediction": [round(row[0]) if sys.argv[2] == "right" else 7 for row in rows]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


@pytest.mark.parametrize("kind", ["right", "wrong"])
def test_a_contender_is_watched_and_one_that_answers_wrongly_is_not_measured(tmp_path: Path, kind: str) -> None:
    contender = Contender("stand-in", lambda port, _: [sys.executable, "-c", STAND_IN, str(port), kind])
    benchmark = Benchmark(field.Project(tmp_path, tmp_path), QUICK)
    benchmark._expected[32] = [round(row[0]) for row in load.rows(32)]  # noqa: SLF001
    with running(contender, free_port(), tmp_path) as it:
        assert it.start_seconds > 0
        assert it.cpu() > 0
        assert 1 < it.memory() < 500
        if kind == "right":
            benchmark.check(it, 32)
        else:
            with pytest.raises(RuntimeError, match="answers 32 rows wrongly"):
                benchmark.check(it, 32)
    assert it.process.poll() is not None


def test_a_contender_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    contender = Contender("broken", lambda *_: [sys.executable, "-c", "raise SystemExit('no licence')"])
    with pytest.raises(RuntimeError, match="no licence"), running(contender, free_port(), tmp_path):
        pass


def test_it_is_waited_for_until_a_contender_does_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contender = Contender("works", lambda port, _: [sys.executable, "-c", STAND_IN, str(port), "right"])
    used = iter([0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 9.0])  # processor seconds, before and after each look
    with running(contender, free_port(), tmp_path) as it:
        with monkeypatch.context() as patched:
            patched.setattr(it, "cpu", lambda: next(used))
            it.rest()
        assert next(used) == 9.0, "it looked until nothing was used between two looks, and not again"


def result(contender: str, rows: int, group: str = "HTTP", **times: float) -> dict[str, Any]:
    figures = {"rate": 1.0, "p50": 1.0, "p99": 1.0, "cpu": 1.0, "wrong": 0}
    return {"group": group, "contender": contender, "rows": rows, "connections": 16, **figures, "times": times}


def told(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {"results": results, "starts": [], "machine": {"cores": 2}}


@pytest.mark.parametrize(("part", "met"), [(0.26, True), (0.24, False)])
def test_targets_are_met_or_not_and_what_was_not_measured_is_neither(part: float, met: bool) -> None:  # noqa: FBT001
    results = [result("service", 1, limit=part), result("service", 1, "Peer", Peer=5.0)]
    found = {one.what: one for one in report.targets(told(results))}
    assert found["rows: 1; answers/s, as a part of limit"].met is met
    assert found["rows: 1; answers/s, times the best peer in its best configuration"].met
    assert found["rows: 1; answers/s, times the best peer in its documented default"].met is False
    assert found["rows: 1; p99 at 16 connections in ms, on a quiet machine"].met
    assert found["rows: 32; answers/s, as a part of bare"].met is None


@pytest.mark.parametrize(
    ("rate", "cpu", "cores", "wanted"),
    [(10_000, 100, 2, "1.7"), (200, 8_000, 2, "1.06"), (200, 8_000, 4, "1.7"), (100, 5_000, 2, "1.7")],
)
def test_two_processes_are_to_give_what_one_leaves_of_the_cores(
    rate: float, cpu: float, cores: int, wanted: str
) -> None:
    one = result("service", 1000, "processes") | {"rate": rate, "cpu": cpu}
    two = result("service, 2 processes", 1000, "processes", service=1.2)
    found = [each for each in report.targets(told([one, two]) | {"machine": {"cores": cores}}) if each.found == 1.2]
    assert [each.wanted for each in found] == [f"at least {wanted}"]
    assert found[0].met is (wanted == "1.06")
    assert (f"uses 1.60 of {cores} cores" in found[0].what) is (cpu == 8_000)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_tiny_run_measures_four_contenders_and_writes_table_plot_and_figures(
    installed: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    run(
        str(installed / ".venv/bin/python"),
        str(ROOT / "benchmarks/bench.py"),
        *("--project", str(installed), "--output", str(tmp_path), "--quick", "--rounds", "1", "--rows", "1"),
        *("--parts", "base"),
        environ=environ,
    )
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    names = [one["contender"] for one in found["results"]]
    assert names == ["limit", "bare", "service", "service over HTTPS", "seed"]
    assert all(one["rate"] > 0 and one["cpu"] > 0 and one["wrong"] == 0 for one in found["results"])
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "<td>service</td>" in (tmp_path / "bench.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.full
def test_a_short_soak_has_everybody_answered_and_writes_what_it_saw(
    installed: Path, project: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = shutil.copytree(project, tmp_path / SLUG)
    soak = (installed / ".venv/bin/python", ROOT / "benchmarks/soak.py", "--minutes", MINUTES, "--output", tmp_path)
    run(*soak, environ=environ, cwd=folder, expect=0 if float(MINUTES) >= WARM else None, timeout=3600)
    found = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert {"POST /predict 200", "POST /predict 422", "GET /no/such/page 404"} <= set(found["answers"])
    assert not [name for name in found["answers"] if name[-3] == "5"]
    assert (found["exit_code"], found["tracebacks"]) == (0, 0)
    assert all(sample["memory_mb"] > 0 for sample in found["samples"])
