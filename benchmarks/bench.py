"""Measure a generated service beside its limit, its origin and its peers, in one run on one machine.

`make bench` runs it, with the Python of an installed project that this template generated (its group `plot` brings
matplotlib); `--quick` leaves the peers out and takes less than three minutes. It needs wrk and Linux.

A machine that others use too is never equally fast for long. So contenders are measured in turns, a second or two each,
again and again; what counts are the ratios within a round, and of all rounds the median. Answers are checked before
and after the time that is measured, and any that is wrong or missing meanwhile is counted.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import field
import load
import peers
import report
from benchmark import FULL, QUICK, ROWS, Benchmark


def machine() -> dict[str, Any]:
    """Return what it was measured on."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "processor": next(iter(cpus), platform.machine()),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": os.getloadavg()[0],
    }


def _lines(path: str) -> Iterator[str]:
    if Path(path).exists():
        yield from Path(path).read_text(encoding="utf-8").splitlines()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write what was found, and tell where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--project", type=Path, required=True, help="a generated project with its .venv")
    parser.add_argument("--output", type=Path, required=True, help="folder to write into")
    parser.add_argument("--quick", action="store_true", help="without peers, in less than three minutes")
    parser.add_argument("--peers", nargs="+", default=peers.NAMES, choices=peers.NAMES, help="which peers")
    parser.add_argument("--rounds", type=int, help="turns of each contender")
    parser.add_argument("--rows", type=int, nargs="+", help=f"rows of a request, of {ROWS}")
    parser.add_argument("--minutes", type=float, help="begin no further peer after this time")
    parser.add_argument("--parts", nargs="+", choices=FULL.parts, help="what to measure")
    asked = parser.parse_args(arguments)
    if not load.is_installed():
        print("wrk is needed. On Debian: apt-get install wrk", file=sys.stderr)
        return 2
    plan = QUICK if asked.quick else FULL
    given = {name: getattr(asked, name) for name in ("rows", "parts") if getattr(asked, name)}
    if asked.rounds:
        given |= dict.fromkeys(("rounds", "compared", "paired"), asked.rounds)
    plan = replace(plan, **given)
    asked.output.mkdir(parents=True, exist_ok=True)
    project = field.Project(asked.project.resolve(), (asked.output / "run").resolve())
    project.folder.mkdir(parents=True, exist_ok=True)
    benchmark = Benchmark(project, plan)
    begun, on = time.monotonic(), machine()
    if asked.minutes:
        benchmark.until = begun + 60 * asked.minutes
    benchmark.everything(asked.output.resolve() / "environments", asked.peers)
    found = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "machine": {**on, "load_after": os.getloadavg()[0]},
        "results": benchmark.results,
        "starts": benchmark.starts,
        "absent": benchmark.absent,
    }
    report.write(found, asked.output)
    wrong = sum(one.get("wrong", 0) for one in benchmark.results if one["contender"].startswith(("service", "limit")))
    if wrong:
        print(f"{wrong} answers were wrong or did not come", file=sys.stderr)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
