"""How fast files are scored and how much memory that takes, beside a plain loop written by hand, in one run.

Run it with the Python of an installed project that this template generated, with a trained model::

    cd build/iris-api
    .venv/bin/python ../../benchmarks/scoring.py --rows 10000000

It makes a Parquet file and, a tenth as long, a CSV file of random good rows; scores each by the command `score`, by a
loop over pyarrow and onnxruntime, and by `score --cluster` with two processes on this machine; compares the results;
and prints rows a second, seconds by the clock and of the processors, and the peak of memory in megabytes, as JSON. The
memory of a cluster is that of all its processes, its processors' seconds are those of the command alone.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

LOOP = """
import sys
from pathlib import Path
import numpy as np, onnxruntime, pyarrow as pa
from pyarrow import csv, parquet
source, target, model, labels, *names = sys.argv[1:]
labels = labels.split(",")
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
reads = parquet.ParquetFile(source).iter_batches(65536) if source.endswith("parquet") else csv.open_csv(source)
writer = None
for batch in reads:
    X = np.stack([batch.column(name).to_numpy(zero_copy_only=False) for name in names], axis=1).astype(np.float32)
    (found,) = session.run(["probabilities"], {session.get_inputs()[0].name: X})
    table = pa.Table.from_batches([batch])
    table = table.append_column("label", pa.array(np.array(labels, dtype=object)[found.argmax(axis=1)]))
    for place, label in enumerate(labels):
        table = table.append_column(f"probability_{label}", pa.array(found[:, place]))
    if writer is None:
        make = parquet.ParquetWriter if target.endswith("parquet") else csv.CSVWriter
        writer = make(target, table.schema)
    writer.write_table(table)
writer.close()
"""
"""The loop: one thread, a piece of the file after the other, no checks. For models that tell classes apart."""


def main() -> int:
    """Measure all and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the Parquet file")
    rows = parser.parse_args().rows
    name = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    command = [sys.executable, "-m", next(Path("src").glob("*/about.py")).parent.name]
    with tempfile.TemporaryDirectory(dir=".") as folder:
        found = {form: measured(command, Path(folder), form, count) for form, count in kinds(rows)}
    print(json.dumps({"project": name, "cores": len(os.sched_getaffinity(0)), **found}, indent=2))
    return 0


def kinds(rows: int) -> list[tuple[str, int]]:
    """Return the formats and how many rows each file has; a second size of one shows whether memory grows."""
    return [("parquet", rows), ("parquet-tenth", rows // 10), ("csv", rows // 10)]


def measured(command: list[str], folder: Path, kind: str, rows: int) -> dict[str, Any]:
    """Score a file in each way."""
    form = kind.partition("-")[0]
    source, model = folder / f"{kind}.{form}", described(command)
    subprocess.run([sys.executable, "-c", MAKE, str(source), str(rows), json.dumps(model["bounds"])], check=True)  # noqa: S603 - our own command
    result, looped, spread = (folder / f"{way}.{form}" for way in ("result", "looped", "spread"))
    loop = [sys.executable, "-c", LOOP, str(source), str(looped), model["path"], ",".join(model["labels"])]
    ways = {
        "score": timed([*command, "score", str(source), str(result)]),
        "loop": timed([*loop, *model["bounds"]]),
    }
    with cluster() as (url, processes):
        ways["cluster"] = timed([*command, "score", "--cluster", url, str(source), str(spread)])
        ways["cluster"]["megabytes"] += sum(peak(process.pid) for process in processes)
    if digest(result) != digest(spread):
        raise SystemExit("The cluster gives another result.")
    for file in (source, result, looped, spread):
        file.unlink()
    return {
        "rows": rows,
        **{way: {"rows_per_second": round(rows / one["seconds"]), **one} for way, one in ways.items()},
    }


MAKE = """
import json, sys
import numpy as np, pyarrow as pa
from pyarrow import csv, parquet
path, rows, bounds = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
random = np.random.default_rng(0)
writer = None
for start in range(0, rows, 200_000):
    count = min(200_000, rows - start)
    columns = {name: np.round(random.uniform(low, high, count), 1) for name, (low, high) in bounds.items()}
    table = pa.table({"id": np.arange(start, start + count), **columns})
    if writer is None:
        writer = (parquet.ParquetWriter if path.endswith("parquet") else csv.CSVWriter)(path, table.schema)
    writer.write_table(table)
writer.close()
"""
"""Makes a file of random good rows."""


def described(command: list[str]) -> dict[str, Any]:
    """Return what the loop must know of the model that serves."""
    program = (
        f"import json; from {command[-1]}.ml import Model; from {command[-1]}.settings import Settings;"
        f"from {command[-1]}.serving.registry import Registry;"
        "registry = Registry(Settings().models_dir, Model.name);"
        "path = str(registry.directory / registry.champion() / 'model.onnx');"
        "bounds = {one.name: (max(one.low, 0.1), min(one.high, 10)) for one in Model.Features.columns()};"
        "print(json.dumps({'path': path, 'labels': Model.labels, 'bounds': bounds}))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def timed(command: list[str]) -> dict[str, float]:
    """Run a command; return its seconds and the peak of its memory."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if status:
        raise SystemExit(f"{command[:4]} failed")
    processor = used.ru_utime + used.ru_stime
    return {"seconds": round(seconds, 2), "processor": round(processor, 2), "megabytes": round(used.ru_maxrss / 1024)}


def peak(pid: int) -> int:
    """Return the peak of a process's memory, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


class cluster:  # noqa: N801 - used like a function
    """A scheduler and two workers of one thread each, for as long as the block lasts."""

    def __enter__(self) -> tuple[str, list["subprocess.Popen[str]"]]:
        """Start them, and wait until the scheduler says where it is."""
        dask = [sys.executable, "-m", "dask"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "text": True}
        scheduler = subprocess.Popen(  # noqa: S603 - our own command
            [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
            **quiet | {"stderr": subprocess.PIPE},
        )
        url = next(line.split()[-1] for line in scheduler.stderr or () if "Scheduler at:" in line)
        worker = [*dask, "worker", url, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        self.processes = [scheduler, *(subprocess.Popen(worker, **quiet) for _ in range(2))]  # noqa: S603 - our own command
        return url, self.processes

    def __exit__(self, *_: object) -> None:
        """End them."""
        for process in self.processes:
            process.kill()
            process.communicate()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
