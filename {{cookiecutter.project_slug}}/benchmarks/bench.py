"""How fast this service is on this machine, as it runs: HTTPS, checks, metrics and logs.

`make bench` runs it with the package's name. wrk loads the service if it is installed; otherwise threads of Python do,
which take so much of the processor themselves that the figures are a lower limit. Both stop after a few seconds.
"""

import json
import os
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPSConnection
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROWS = (1, 32, 1000)
CONNECTIONS = 16
SECONDS = 3
PATIENCE = 120
"""Seconds for the service to start, and to train its first model if it has none."""
SCRIPT = """
wrk.method = "POST"
wrk.body = io.open(os.getenv("BODY")):read("*a")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-API-Key"] = os.getenv("KEY")
done = function(all, latency)
  local lost = all.errors.status + all.errors.connect + all.errors.read + all.errors.write + all.errors.timeout
  io.write(string.format('[%d, %f, %f, %f, %d]\\n', all.requests, all.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, lost))
end
"""


class Found(NamedTuple):
    """What a load of some seconds told."""

    answers: int
    seconds: float
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds."""
    wrong: int


@contextmanager
def service(package: str, folder: Path) -> Iterator[int]:
    """Run the service until the block ends; return its port."""
    log = folder / "service.log"
    command = [sys.executable, "-m", package, "serve", "--host", "127.0.0.1", "--port", "0"]
    with log.open("wb") as out, subprocess.Popen(command, stderr=out) as process:  # noqa: S603 - our own command
        try:
            yield _port(process, log)
        finally:
            process.send_signal(signal.SIGTERM)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """Wait until the service is ready."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        if found := re.search(r"serves https://localhost:(\d+)", log.read_text(encoding="utf-8")):
            try:
                if ask(int(found[1]), "GET", "/health/ready")[0] == 200:  # noqa: PLR2004 - HTTP's OK
                    return int(found[1])
            except OSError:
                pass
        time.sleep(0.05)
    raise SystemExit(f"The service does not start:\n{log.read_text(encoding='utf-8')}")


def connect(port: int) -> HTTPSConnection:
    """Return a connection to the service, whatever certificate it shows."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection("127.0.0.1", port, context=trusting, timeout=30)


def ask(port: int, method: str, path: str, body: bytes | None = None, connection: Any = None) -> tuple[int, bytes]:
    """Send a request; return status and body of the answer."""
    to = connection or connect(port)
    key = {"X-API-Key": os.environ["KEY"]} if os.environ.get("KEY") else {}
    to.request(method, path, body, {"Content-Type": "application/json", **key})
    answer = to.getresponse()
    return answer.status, answer.read()


def with_wrk(port: int, body: Path, script: Path) -> Found:
    """Load the service with wrk."""
    script.write_text(SCRIPT, encoding="utf-8")
    load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), f"https://127.0.0.1:{port}/predict"]
    environment = {**os.environ, "BODY": str(body)}
    done = subprocess.run(load, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - likewise
    return Found(*json.loads(done.stdout.strip().splitlines()[-1]))


def with_threads(port: int, body: Path) -> Found:
    """Load the service with threads of this process."""
    until = time.perf_counter() + SECONDS
    took: list[float] = []
    wrong: list[int] = []

    def call() -> None:
        connection, content = connect(port), body.read_bytes()
        while (started := time.perf_counter()) < until:
            try:
                status, _ = ask(port, "POST", "/predict", content, connection)
            except (OSError, HTTPException):
                status = 0
            took.append((time.perf_counter() - started) * 1000)
            wrong.extend([status] * (status != 200))  # noqa: PLR2004 - HTTP's OK

    threads = [threading.Thread(target=call) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    percentiles = statistics.quantiles(took, n=100) if len(took) > 1 else took * 100
    return Found(len(took), SECONDS, percentiles[49], percentiles[98], len(wrong))


def measure(port: int, row: Sequence[Any], rows: int, folder: Path) -> Found:
    """Ask for so many rows, again and again; the answer is looked at before."""
    body = folder / "body.json"
    body.write_text(json.dumps({"data": [row] * rows}), encoding="utf-8")
    status, answer = ask(port, "POST", "/predict", body.read_bytes())
    if status != 200 or len(json.loads(answer)["prediction"]) != rows:  # noqa: PLR2004 - HTTP's OK
        raise SystemExit(f"The service answers {status}: {answer[:500].decode(errors='replace')}")
    return with_wrk(port, body, folder / "post.lua") if shutil.which("wrk") else with_threads(port, body)


def main(package: str) -> int:
    """Measure and print a table."""
    row = import_module(f"{package}.ml").Model.Features.example().values()
    with TemporaryDirectory() as kept, service(package, Path(kept)) as port:
        by = "wrk" if shutil.which("wrk") else "threads of Python, as wrk is not installed: a lower limit"
        print(f"HTTPS, {CONNECTIONS} connections, {SECONDS} s each, {os.cpu_count()} cores; load by {by}")
        print(f"{'rows':>6} {'answers/s':>10} {'rows/s':>10} {'p50, ms':>9} {'p99, ms':>9} {'wrong':>6}")
        wrong = 0
        for rows in ROWS:
            found = measure(port, row, rows, Path(kept))
            rate = found.answers / found.seconds
            print(f"{rows:6} {rate:10.0f} {rate * rows:10.0f} {found.p50:9.2f} {found.p99:9.2f} {found.wrong:6}")
            wrong += found.wrong
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
