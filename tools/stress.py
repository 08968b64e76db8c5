"""Repeat tests while every processor is busy, and count how often each failed: none may.

A test that decides by the clock, or counts before another thread is done, fails when it gets little of a processor.
Run this with the Python that runs the tests, in the folder that they run in::

    .venv/bin/python tools/stress.py tests/test_cli.py
    .venv/bin/python tools/stress.py --starting tests/library/jobs

With `--starting`, a first run finds the tests that start a process or a thread, and only these are repeated. Several
runs go on at the same time, beside a busy loop for each processor. It ends with 1 if a test ever failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

REPORT = "STRESS_REPORT"
"""Variable that names the file in which a run of pytest tells what happened."""
PROCESSES = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.spawn", "pty.spawn"})
"""Audit events of Python for a new process."""


class Watch:
    """Plugin of pytest that notes the outcome of each test, and what it starts."""

    def __init__(self, report: Path) -> None:
        self.report = report
        self.current = ""
        self.started: defaultdict[str, set[str]] = defaultdict(set)
        self.outcomes: list[tuple[str, str, str]] = []
        sys.addaudithook(lambda event, _: self.note("process") if event in PROCESSES else None)
        start = threading.Thread.start

        def noted(thread: threading.Thread) -> None:
            self.note("thread")
            start(thread)

        threading.Thread.start = noted  # type: ignore[method-assign, assignment]

    def note(self, what: str) -> None:
        """Note that the test that runs starts something."""
        if self.current:
            self.started[self.current].add(what)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note which test runs."""
        self.current = nodeid

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        """Note how it went; what is set up and torn down counts if it fails."""
        if report.when == "call" or not report.passed:
            self.outcomes.append((report.nodeid, report.outcome, report.longreprtext if report.failed else ""))

    def pytest_sessionfinish(self) -> None:
        """Tell it."""
        started = {test: sorted(kinds) for test, kinds in self.started.items()}
        self.report.write_text(json.dumps({"started": started, "outcomes": self.outcomes}), encoding="utf-8")


def pytest_configure(config: "pytest.Config") -> None:
    """Watch; called by pytest, to which this file is given as a plugin."""
    config.pluginmanager.register(Watch(Path(os.environ[REPORT])))


def main() -> int:
    """Repeat, and print the tally."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="how often each test runs (20)")
    parser.add_argument("--at-once", type=int, default=2, help="runs that go on at the same time (2)")
    parser.add_argument("--starting", action="store_true", help="only tests that start a process or a thread")
    parser.add_argument("what", nargs="+", help="what pytest is to run: files, tests; options after --")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        chosen: Sequence[str] = asked.what
        if asked.starting:
            found = run(Path(folder) / "first", chosen)["started"]
            chosen = sorted(found)
            print(f"{len(chosen)} tests start a process or a thread", flush=True)
        with busy(), ThreadPoolExecutor(asked.at_once) as pool:
            told = list(pool.map(lambda number: run(Path(folder) / str(number), chosen), range(asked.times)))
    return tally([outcome for one in told for outcome in one["outcomes"]])


def run(folder: Path, chosen: Sequence[str]) -> dict[str, Any]:
    """Run tests once; return what `Watch` tells."""
    folder.mkdir()
    (folder / "chosen").write_text("\n".join(chosen), encoding="utf-8")
    report = folder / "report.json"
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = os.environ | {REPORT: str(report), "PYTHONPATH": paths}
    options = ("-q", "-p", Path(__file__).stem, "-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}")
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "pytest", *options, f"@{folder / 'chosen'}"]
        subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if not report.exists():
        sys.exit((folder / "log").read_text(encoding="utf-8", errors="replace"))
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return told


@contextmanager
def busy() -> Iterator[None]:
    """Keep every processor busy until the block ends."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def tally(outcomes: Sequence[tuple[str, str, str]]) -> int:
    """Print how often each test passed, failed or was skipped; return 1 if any failed."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for test, outcome, text in outcomes:
        counts[test][outcome] += 1
        if text:
            print(f"{test}\n{text}\n")
    for test, count in sorted(counts.items(), key=lambda one: -one[1]["failed"]):
        print(f"{count['passed']:4} passed {count['failed']:4} failed {count['skipped']:4} skipped  {test}")
    total = sum(counts.values(), Counter[str]())
    print(f"{len(counts)} tests: {total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return int(total["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
