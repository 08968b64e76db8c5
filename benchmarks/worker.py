"""What a worker costs while it has nothing to do, and how long a job waits for it.

Run it with the Python of an installed project that this template generated, with a trained model::

    cd build/iris-api
    .venv/bin/python ../../benchmarks/worker.py

It starts a worker with a database of its own, in a file, or the one at `--database`; reads what it uses in 30 seconds
without jobs; then has a file of one row scored, again and again, and prints the times from the submission of each job
to its start and to its end, as a caller sees them who looks again and again, in seconds, as JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
"""Ticks of the system's clock in a second of processor time."""
LOOK_SECONDS = 0.01
"""Time between two looks at a job, in seconds."""
SETTLE_SECONDS = 10
"""Seconds until a worker that started has nothing more to do."""


def main() -> int:
    """Measure all and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", help="URL of a PostgreSQL database; by default a file is used")
    parser.add_argument("--seconds", type=float, default=30, help="how long the idle worker is watched")
    parser.add_argument("--jobs", type=int, default=30, help="jobs to submit")
    chosen = parser.parse_args()
    package = next(Path("src").glob("*/about.toml")).parent.name
    with tempfile.TemporaryDirectory() as folder:
        names = {"DATA_DIR": folder} | ({"DATABASE_URL": chosen.database} if chosen.database else {})
        os.environ.update({f"{package.upper()}_{name}": value for name, value in names.items()})
        with Path(folder, "log").open("wb") as log:
            worker = subprocess.Popen([sys.executable, "-m", package, "worker"], stderr=log)  # noqa: S603 - our own command
        try:
            print(json.dumps(measured(package, worker.pid, chosen.seconds, chosen.jobs), indent=2))
        finally:
            worker.terminate()
            worker.wait()
    return 0


def measured(package: str, pid: int, seconds: float, count: int) -> dict[str, Any]:
    """Watch a worker, then give it jobs."""
    settings = import_module(f"{package}.settings").Settings()
    jobs = import_module("mlapi.jobs.store").Jobs(settings)
    content, source = file_of(package), "uploads/few.csv"
    import_module("mlapi.storage").Storage(settings.files_url()).write(source, content)
    order = {"source": source, "form": "csv", "results": ["csv"]}
    time.sleep(SETTLE_SECONDS)
    fresh = memory(pid)
    run(jobs, order)  # the first one loads libraries
    time.sleep(SETTLE_SECONDS)
    before = processor(pid)
    time.sleep(seconds)
    idle = (processor(pid) - before) / seconds
    ended = [run(jobs, order) for _ in range(count)]
    jobs.close()
    return {
        "idle": {"processor_percent": round(100 * idle, 2), "megabytes": fresh, "megabytes_after_a_file": memory(pid)},
        "to_start": spread([start for start, _ in ended]),
        "to_end": spread([end for _, end in ended]),
    }


def file_of(package: str) -> bytes:
    """Return a CSV file of one row."""
    example = dict(import_module(f"{package}.ml").Model.Features.example())
    cells = (f'"{cell}"' for cell in example.values())
    return f"{','.join(example)}\n{','.join(cells)}\n".encode()


def run(jobs: Any, order: dict[str, Any]) -> tuple[float, float]:
    """Have a file scored; return the seconds until the job ran and until it was done."""
    began = time.monotonic()
    job = jobs.submit("score", order)
    start = 0.0
    while not job.done:
        time.sleep(LOOK_SECONDS)
        job = jobs.get(job.id)
        start = start or (time.monotonic() - began if job.state != "queued" else 0.0)
    if job.state != "succeeded":
        raise SystemExit(f"The job has {job.state}: {job.error}")
    return start, time.monotonic() - began


def processor(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> int:
    """Return the resident memory of a process, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


def spread(seconds: list[float]) -> dict[str, float]:
    """Return the middle and the worst of some times."""
    return {
        "p50": round(median(seconds), 3),
        "p90": round(quantiles(seconds, n=10)[-1], 3),
        "most": round(max(seconds), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
