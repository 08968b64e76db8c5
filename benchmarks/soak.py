"""Load a service for some minutes, and see whether memory, file descriptors and threads stay flat.

Run it with the Python of an installed project that this template generated (its group `docs` brings matplotlib)::

    cd build/iris-api
    .venv/bin/python ../../benchmarks/soak.py --minutes 5 --output ../soak

It serves the project on a free port with two processes and a worker, and calls it as friends and strangers would: good
requests on lasting and on fresh connections, files, wrong requests, slow clients, versions promoted to and fro. It
writes `soak.json` and `soak.png`, and ends with 1 if something grew or an answer was wrong.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import ssl
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE_SECONDS = 1.0
WARM_UP = 0.3
"""Part of the time after which nothing may grow any more."""
GROWTH = {"memory_mb": 0.10, "descriptors": 0.25, "threads": 0.25}
"""How much more than in the middle part each may be in the last part, as a part of it."""


class Load:
    """What calls the service until it is told to stop."""

    def __init__(self, port: int, row: list[Any]) -> None:
        self.port = port
        self.body = json.dumps({"data": [row]})
        self.stopping = threading.Event()
        self.latencies: list[tuple[float, float]] = []
        self.answers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting.check_hostname, self._trusting.verify_mode = False, ssl.CERT_NONE

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection that opens with its first request."""
        return http.client.HTTPSConnection("localhost", self.port, context=self._trusting, timeout=30)

    def ask(
        self, connection: http.client.HTTPSConnection, method: str, path: str, body: str = "", **headers: str
    ) -> None:
        """Send one request and count its answer."""
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body or None, given)
        answer = connection.getresponse()
        answer.read()
        with self._lock:
            key = f"{method} {path.partition('?')[0]} {answer.status}"
            self.answers[key] = self.answers.get(key, 0) + 1

    def predict(self, connection: http.client.HTTPSConnection) -> None:
        """Predict one row, and note how long it took."""
        started = time.perf_counter()
        self.ask(connection, "POST", "/predict", self.body, Content_Type="application/json")
        with self._lock:
            self.latencies.append((time.monotonic(), time.perf_counter() - started))

    def friend(self) -> None:
        """Predict on one connection."""
        connection = self.connect()
        while not self.stopping.is_set():
            self.predict(connection)
            time.sleep(0.002)

    def stranger(self) -> None:
        """Come with a fresh connection each time, often with something wrong."""
        for number in itertools.count():
            if self.stopping.is_set():
                return
            connection = self.connect()
            with contextlib.closing(connection):
                self.predict(connection)
                self.ask(connection, "POST", "/predict", '{"data": [[NaN]]}', Content_Type="application/json")
                self.ask(connection, "GET", "/no/such/page")
                self.ask(connection, "GET", "/jobs?limit=5")
                if number % 10 == 0:
                    version = "12"[number // 10 % 2]
                    self.ask(connection, "POST", f"/models/{version}/promote")
            time.sleep(0.02)

    def sloth(self) -> None:
        """Send half a request, and wait to be sent away."""
        while not self.stopping.is_set():
            with contextlib.suppress(OSError), contextlib.closing(self.connect()) as connection:
                connection.putrequest("POST", "/predict")
                connection.putheader("Content-Length", "1000")
                connection.endheaders()
                connection.getresponse().read()

    def start(self) -> list[threading.Thread]:
        """Begin, each caller in a thread of its own."""
        roles: list[Callable[[], None]] = [self.friend] * 4 + [self.stranger] * 2 + [self.sloth] * 20
        threads = [threading.Thread(target=role, daemon=True) for role in roles]
        for thread in threads:
            thread.start()
        return threads


def tree(pid: int) -> list[int]:
    """List a process and all below it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def measure(pid: int) -> dict[str, float]:
    """Return what a process and all below it take now."""
    memory = descriptors = threads = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{one}/status").read_text()
            memory += int(re.search(r"RssAnon:\s+(\d+)", status)[1])  # type: ignore[index]
            threads += int(re.search(r"Threads:\s+(\d+)", status)[1])  # type: ignore[index]
            descriptors += len(list(Path(f"/proc/{one}/fd").iterdir()))
    return {"memory_mb": memory / 1024, "descriptors": descriptors, "threads": threads}


def judge(samples: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Compare the last part with the middle part; medians, so that a single collection does not count."""
    settled = samples[int(len(samples) * WARM_UP) :]
    middle, last = settled[: len(settled) // 2], settled[len(settled) // 2 :]
    verdict = {}
    for name, allowed in GROWTH.items():
        before, after = (statistics.median(sample[name] for sample in part) for part in (middle, last))
        verdict[name] = {"middle": before, "last": after, "growth": after / before - 1, "allowed": allowed}
    return verdict


def quantiles(latencies: list[tuple[float, float]], start: float, seconds: float = 5.0) -> list[dict[str, float]]:
    """Return the median and the 99th percentile in milliseconds for each window of a few seconds."""
    windows: dict[int, list[float]] = {}
    for moment, took in latencies:
        windows.setdefault(int((moment - start) / seconds), []).append(took * 1000)
    return [
        {"at": number * seconds, "p50": statistics.median(took), "p99": statistics.quantiles(took, n=100)[98]}
        for number, took in sorted(windows.items())
        if len(took) > 1
    ]


def draw(samples: list[dict[str, float]], windows: list[dict[str, float]], path: Path) -> None:
    """Draw what was measured."""
    import matplotlib as mpl  # noqa: PLC0415 - it may be missing

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(4, 1, sharex=True, figsize=(9, 10), layout="constrained")
    for axis, (name, unit) in zip(axes, (("memory_mb", "MB"), ("descriptors", ""), ("threads", "")), strict=False):
        axis.plot([sample["at"] for sample in samples], [sample[name] for sample in samples])
        axis.set(ylabel=f"{name.partition('_')[0]} {unit}".strip(), ylim=(0, None))
    for name in ("p50", "p99"):
        axes[3].plot([window["at"] for window in windows], [window[name] for window in windows], label=name)
    axes[3].set(ylabel="latency ms", xlabel="seconds", ylim=(0, None))
    axes[3].legend()
    figure.savefig(path, dpi=100)


def main() -> int:
    """Serve, load, measure, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5, help="how long")
    parser.add_argument("--output", type=Path, default=Path("soak"), help="directory of what is written")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    command = [str(next(Path(sys.executable).parent.glob("*-api"), Path("iris-api"))), "serve"]
    prefix = f"{next(Path('src').iterdir()).name.upper()}_"
    places = {"MODELS_DIR": "models", "DATA_DIR": "var"}
    environment = os.environ | {f"{prefix}{name}": str(options.output / place) for name, place in places.items()}
    environment |= {f"{prefix}HEADER_SECONDS": "2", f"{prefix}BODY_SECONDS": "2"}
    for _ in range(2):
        subprocess.run([command[0], "train", "--promote", "always"], env=environment, check=True, capture_output=True)  # noqa: S603
    log = options.output / "log"
    with log.open("wb") as file:
        arguments = ["--port", "0", "--workers", "2"]
        service = subprocess.Popen([*command, *arguments], env=environment, stdout=file, stderr=file)  # noqa: S603
    try:
        result = soak(service.pid, wait_for_port(log), options.minutes * 60)
    finally:
        service.send_signal(signal.SIGTERM)
    result["exit_code"] = service.wait(60)
    result["tracebacks"] = log.read_text().count("Traceback")
    (options.output / "soak.json").write_text(json.dumps(result, indent=1))
    with contextlib.suppress(ImportError):  # the figures are there without a picture, too
        draw(result["samples"], result["latency"], options.output / "soak.png")
    report = {name: part for name, part in result.items() if name not in {"samples", "latency"}}
    print(json.dumps(report, indent=1))
    grew = any(part["growth"] > part["allowed"] for part in result["growth"].values())
    wrong = any(re.search(r" 5\d\d$", name) for name in result["answers"])
    return int(grew or wrong or bool(result["exit_code"]) or bool(result["tracebacks"]))


def wait_for_port(log: Path) -> int:
    """Return the port once the service says it, and a moment later, when it is ready."""
    for _ in range(600):
        found = re.search(r"serves https://localhost:(\d+)", log.read_text())
        if found and log.read_text().count("startup complete") == 2:  # noqa: PLR2004 - both processes
            return int(found[1])
        time.sleep(0.1)
    raise SystemExit(log.read_text())


def soak(pid: int, port: int, seconds: float) -> dict[str, Any]:
    """Load a service, and return what was seen."""
    row = json.loads(os.environ.get("SOAK_ROW", "[5.1, 3.5, 1.4, 0.2]"))
    load = Load(port, row)
    start = time.monotonic()
    threads = load.start()
    samples = []
    while (now := time.monotonic() - start) < seconds:
        samples.append({"at": now, **measure(pid)})
        time.sleep(SAMPLE_SECONDS)
    load.stopping.set()
    for thread in threads:
        thread.join(10)
    windows = quantiles(load.latencies, start)
    return {
        "seconds": seconds,
        "predictions": len(load.latencies),
        "answers": dict(sorted(load.answers.items())),
        "growth": judge(samples),
        "p99_ms": statistics.median(window["p99"] for window in windows),
        "latency": windows,
        "samples": samples,
    }


if __name__ == "__main__":
    sys.exit(main())
