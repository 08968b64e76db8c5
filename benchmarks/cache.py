"""When a cache pays: `python benchmarks/cache.py PROJECT [--redis URL]`.

PROJECT is a generated project with its environment in .venv and a trained model. It is served without a cache, with
one in memory and with one in Redis, on this machine alone; one caller sends the same request again and again, and then
a new one each time. Prints the median milliseconds of an answer over HTTPS as a table in Markdown.
"""

import argparse
import contextlib
import json
import os
import random
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

ROWS = (1, 10, 100, 1000)
REQUESTS = 300
"""Requests of each kind; as many before them warm everything up."""
PATIENCE_SECONDS = 60.0


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--redis", help="such as redis://127.0.0.1:6379/0; without it Redis is left out")
    options = parser.parse_args()
    caches = {"no cache": "", "memory": "memory://", **({"Redis": options.redis} if options.redis else {})}
    found: dict[tuple[int, str], float] = {}
    for name, url in caches.items():
        with serving(options.project.resolve(), url) as (connection, row):
            for rows in ROWS:
                found[rows, f"{name}, again"] = measured(connection, row, rows, new=False)
                found[rows, f"{name}, new"] = measured(connection, row, rows, new=True)
    columns = ["no cache, new", *(f"{name}, {kind}" for name in list(caches)[1:] for kind in ("again", "new"))]
    print(f"| Rows | {' | '.join(columns)} |\n|{'---:|' * (len(columns) + 1)}")
    for rows in ROWS:
        print(f"| {rows} | {' | '.join(f'{found[rows, column]:.2f}' for column in columns)} |")
    return 0


@contextlib.contextmanager
def serving(project: Path, cache: str) -> Iterator[tuple[HTTPSConnection, list[object]]]:
    """Serve the project's model; yields a connection and a row that is valid."""
    package = next(path.parent.name for path in project.glob("src/*/about.toml"))
    python = str(project / ".venv" / "bin" / "python")
    program = f"import json; from {package}.ml import Model; print(json.dumps(list(Model.Features.example().values())))"
    row = json.loads(subprocess.run([python, "-c", program], capture_output=True, check=True, cwd=project).stdout)  # noqa: S603
    with tempfile.TemporaryDirectory() as folder:
        prefix = package.upper()
        settings = {"MODELS_DIR": str(project / "models"), "DATA_DIR": folder, "PORT": "0", "ACCESS_LOG": "false"}
        settings |= {"CACHE_URL": cache} if cache else {}
        environment = os.environ | {f"{prefix}_{name}": value for name, value in settings.items()}
        command = [python, "-m", package, "serve", "--no-worker"]
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, env=environment, stderr=output)  # noqa: S603
        try:
            yield connected(log, Path(folder) / "tls" / "localhost.pem"), row
        finally:
            process.terminate()
            process.wait(30)


def connected(log: Path, certificate: Path) -> HTTPSConnection:
    """Return a connection to a service that has begun to answer."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        told = log.read_text(encoding="utf-8")
        if "Application startup complete" in told:
            port = int(told.split("https://localhost:")[1].split(" ")[0])
            return HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=certificate))
        time.sleep(0.1)
    sys.exit(log.read_text(encoding="utf-8"))


def measured(connection: HTTPSConnection, row: list[object], rows: int, *, new: bool) -> float:
    """Return the median milliseconds of an answer to so many rows."""
    chance = random.Random(rows)  # noqa: S311 - values to predict
    number = next(place for place, value in enumerate(row) if isinstance(value, float))
    taken = []
    fixed = body_of(row, rows, number, chance)
    for count in range(2 * REQUESTS):
        body = body_of(row, rows, number, chance) if new else fixed
        started = time.perf_counter()
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if count >= REQUESTS:
            taken.append(1000 * (time.perf_counter() - started))
        if answer.status >= 300:  # noqa: PLR2004
            sys.exit(text.decode())
    return statistics.median(taken)


def body_of(row: list[object], rows: int, number: int, chance: random.Random) -> bytes:
    """Return a request whose rows differ in one number, a little."""
    value = float(str(row[number]))
    table = [[*row[:number], value * chance.uniform(0.97, 1.03), *row[number + 1 :]] for _ in range(rows)]
    return json.dumps({"data": table}).encode()


if __name__ == "__main__":
    sys.exit(main())
