"""How fast files are scored and how much memory that takes, beside loops written by hand, in one run.

Run it with the Python of an installed project that this template generated, one that tells classes apart, with a
trained model::

    cd build/iris-api
    .venv/bin/python ../../benchmarks/scoring.py --rows 10000000

It makes a Parquet file and, a tenth as long, a CSV file of random good rows, and has them scored by the model that
serves, a logistic regression and a random forest: by the command `score`; by a plain loop over pyarrow and onnxruntime;
for Parquet, by joblib's threads, one row group and one file of its own a call; and by `score --cluster` with two
processes on this machine. It compares the results of the two that are ours, and prints rows a second, seconds by the
clock and of the processors, and the peak of memory in megabytes, as JSON. The memory of a cluster is that of all its
processes, its processors' seconds are those of the command alone.
"""

import argparse
import hashlib
import json
import os
import shutil
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


THREADS = """
import os, sys
from pathlib import Path
import numpy as np, onnxruntime, pyarrow as pa
from joblib import Parallel, delayed
from pyarrow import parquet
source, target, model, labels, *names = sys.argv[1:]
labels = labels.split(",")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
Path(target).mkdir()
def score(group):
    table = parquet.ParquetFile(source).read_row_group(group, use_threads=False)
    X = np.stack([table.column(name).to_numpy() for name in names], axis=1).astype(np.float32)
    (found,) = session.run(["probabilities"], {session.get_inputs()[0].name: X})
    table = table.append_column("label", pa.array(np.array(labels, dtype=object)[found.argmax(axis=1)]))
    for place, label in enumerate(labels):
        table = table.append_column(f"probability_{label}", pa.array(found[:, place]))
    parquet.write_table(table, f"{target}/{group}.part")
    os.rename(f"{target}/{group}.part", f"{target}/{group}.parquet")
groups = range(parquet.ParquetFile(source).num_row_groups)
Parallel(n_jobs=len(os.sched_getaffinity(0)), backend="threading")(delayed(score)(group) for group in groups)
"""
"""The same for Parquet in threads, each row group to a file of its own; these are not put together."""

TRAIN = """
import sys
from importlib import import_module
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
package, wanted = sys.argv[1:]
made = {"logistic_regression": LogisticRegression(max_iter=1000), "random_forest": RandomForestClassifier(100)}
import_module(f"{package}.ml").Model.build = lambda _: made[wanted].set_params(random_state=0)
settings = import_module(f"{package}.settings").Settings()
train_now = import_module("mlapi.training.foreground").train_now
train_now(import_module(f"{package}.ml").Model, settings, {}, "always", lambda *_: None)
"""
"""Trains another estimator than the project's, which its scoring does not notice."""

ESTIMATORS = ("logistic_regression", "random_forest")
"""Those beside the project's own."""


def main() -> int:
    """Measure all and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the Parquet file")
    rows = parser.parse_args().rows
    name = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    command = [sys.executable, "-m", next(Path("src").glob("*/about.toml")).parent.name]
    with tempfile.TemporaryDirectory(dir=".") as directory:
        folder = Path(directory)
        models = {"own": described(command, {}), **{which: trained(command, folder, which) for which in ESTIMATORS}}
        found = {form: measured(command, folder, form, count, models) for form, count in kinds(rows)}
    print(json.dumps({"project": name, "cores": len(os.sched_getaffinity(0)), **found}, indent=2))
    return 0


def kinds(rows: int) -> list[tuple[str, int]]:
    """Return the formats and how many rows each file has; a second size of one shows whether memory grows."""
    return [("parquet", rows), ("parquet-tenth", rows // 10), ("csv", rows // 10)]


def trained(command: list[str], folder: Path, which: str) -> dict[str, Any]:
    """Train another estimator; return what the loops must know of it."""
    prefix = command[-1].upper()
    places = {f"{prefix}_{place}_DIR": str(folder / which / place.lower()) for place in ("MODELS", "DATA")}
    subprocess.run([sys.executable, "-c", TRAIN, command[-1], which], check=True, env=os.environ | places)  # noqa: S603 - our own command
    return described(command, places)


def measured(command: list[str], folder: Path, kind: str, rows: int, models: dict[str, Any]) -> dict[str, Any]:
    """Score a file by each model."""
    source = folder / f"{kind}.{kind.partition('-')[0]}"
    bounds = json.dumps(models["own"]["bounds"])
    subprocess.run([sys.executable, "-c", MAKE, str(source), str(rows), bounds], check=True)  # noqa: S603 - our own command
    found = {which: scored(command, source, model) for which, model in models.items()}
    source.unlink()
    for one in [one for ways in found.values() for one in ways.values()]:
        one["rows_per_second"] = round(rows / one["seconds"])
    return {"rows": rows, **found}


def scored(command: list[str], source: Path, model: dict[str, Any]) -> dict[str, Any]:
    """Score a file in each way."""
    result, looped, spread, parts = (
        source.with_name(f"{way}{source.suffix}") for way in ("result", "looped", "spread", "parts")
    )
    told = [model["path"], ",".join(model["labels"]), *model["bounds"]]
    ways = {
        "score": timed([*command, "score", str(source), str(result)], model["places"]),
        "loop": timed([sys.executable, "-c", LOOP, str(source), str(looped), *told]),
    }
    if source.suffix == ".parquet":
        ways["threads"] = timed([sys.executable, "-c", THREADS, str(source), str(parts), *told])
        shutil.rmtree(parts)
    with cluster() as (url, processes):
        ways["cluster"] = timed([*command, "score", "--cluster", url, str(source), str(spread)], model["places"])
        ways["cluster"]["megabytes"] += sum(peak(process.pid) for process in processes)
    if digest(result) != digest(spread):
        raise SystemExit("The cluster gives another result.")
    for file in (result, looped, spread):
        file.unlink()
    return ways


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


def described(command: list[str], places: dict[str, str]) -> dict[str, Any]:
    """Return what the loops must know of the model that serves from these places, settings of the project."""
    program = (
        f"import json; from {command[-1]}.ml import Model; from {command[-1]}.settings import Settings;"
        f"from mlapi.serving.registry import Registry;"
        "registry = Registry(Settings().models_dir, Model.name);"
        "path = str(registry.directory / registry.champion() / 'model.onnx');"
        "bounds = {one.name: (max(one.low, 0.1), min(one.high, 10)) for one in Model.Features.columns()};"
        "print(json.dumps({'path': path, 'labels': Model.labels, 'bounds': bounds}))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, env=os.environ | places)  # noqa: S603 - our own command
    found: dict[str, Any] = json.loads(shown.stdout)
    return found | {"places": places}


def timed(command: list[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a command; return its seconds and the peak of its memory."""
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | (environment or {})
    )
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
