"""Somebody who is measured: how it is started, asked, understood, watched and ended."""

import json
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import load

PATIENCE = 90.0
"""Seconds to wait for the first answer."""
LOOK_SECONDS = 0.5
"""How long its processes are looked at to tell whether they do something."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

ANYONE = ssl.create_default_context()
ANYONE.check_hostname, ANYONE.verify_mode = False, ssl.CERT_NONE


def as_data(rows: Sequence[Sequence[float]]) -> Any:
    """Return a body as this template's service reads it."""
    return {"data": rows}


def classes(answer: Any) -> list[int]:
    """Read the classes from an answer of this template's service."""
    return [int(one) for one in answer["prediction"]]


@dataclass(frozen=True)
class Contender:
    """Somebody who is measured."""

    name: str
    """What tables call it."""
    command: Callable[[int, int], Sequence[str]]
    """Return the command that serves on a port with so many processes."""
    note: str = ""
    """What has to be known of it, for the table."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for its processes."""
    directory: Path | None = None
    """Where it is started."""
    path: str = "/predict"
    """Where it predicts."""
    scheme: str = "http"
    """Whether it speaks HTTP or HTTPS."""
    body: Callable[[Sequence[Sequence[float]]], Any] = as_data
    """Return what it is to be sent for rows, as JSON."""
    read: Callable[[Any], list[int]] | None = classes
    """Read the classes from its answer; None if it answers without looking."""
    port_variable: str = ""
    """Variable that tells it the port, if its command does not."""
    train: str = ""
    """Path that begins a training, if it trains; the body is an empty object or `training`."""
    training: Any = None
    """What is sent there."""


class Running:
    """A contender that runs."""

    def __init__(self, contender: Contender, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.contender, self.process, self.log = contender, process, log
        self.url = f"{contender.scheme}://127.0.0.1:{port}"
        self.start_seconds = 0.0
        """Time from the start of the process to the first right answer."""

    def ask(self, rows: Sequence[Sequence[float]]) -> list[int] | None:
        """Predict rows; return their classes, or None if it does not look at them."""
        answer = self.post(self.contender.path, self.contender.body(rows))
        return self.contender.read(json.loads(answer)) if self.contender.read else None

    def post(self, path: str, body: Any) -> bytes:
        """Send JSON, and return the answer."""
        request = urllib.request.Request(  # noqa: S310 - http or https, to this machine
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30, context=ANYONE) as answer:  # noqa: S310 - likewise
            content: bytes = answer.read()
            return content

    def load(self, body: Path, connections: int, seconds: float) -> load.Measured:
        """Load it for some seconds."""
        before = self.cpu()
        counted = load.run(self.url + self.contender.path, body, connections, seconds)
        answers = max(1.0, counted["requests"])
        return load.Measured(
            rate=counted["requests"] / counted["seconds"],
            p50=counted["p50"],
            p99=counted["p99"],
            cpu=(self.cpu() - before) / answers * 1e6,
            wrong=int(counted["refused"] + counted["broken"]),
        )

    def cpu(self) -> float:
        """Return the processor time of all its processes so far, in seconds."""
        total = 0.0
        for process in self.processes():
            try:
                fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            total += (int(fields[11]) + int(fields[12])) / TICKS
        return total

    def rest(self) -> None:
        """Wait until it has done what it still does beside answering.

        Raises:
            RuntimeError: it goes on and on.

        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(LOOK_SECONDS)
            if 0 <= self.cpu() - before < LOOK_SECONDS / 10:
                return
        raise RuntimeError(f"{self.contender.name} finds no rest")

    def memory(self) -> float:
        """Return the memory of all its processes in MB; what they share counts once."""
        total = 0
        for process in self.processes():
            try:
                lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024

    def resident(self) -> float:
        """Return the memory of its first process in MB, as `ps` shows it."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1]) * PAGE / 2**20

    def processes(self) -> list[int]:
        """Return the ids of its processes: the first one and all that come from it."""
        found = [self.process.pid]
        for process in found:
            try:
                tasks = [*Path(f"/proc/{process}/task").iterdir()]
                found += [int(one) for task in tasks for one in (task / "children").read_text().split()]
            except OSError:
                continue
        return found

    def end(self) -> None:
        """End it, and what is left of it."""
        left = self.processes()
        for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
            for process in left:
                try:
                    os.kill(process, number)
                except ProcessLookupError:
                    continue
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        left = [process for process in left if Path(f"/proc/{process}").exists()]
        for process in left:
            os.kill(process, signal.SIGKILL)


@contextmanager
def running(contender: Contender, port: int, folder: Path, *, workers: int = 1) -> Iterator[Running]:
    """Run a contender until the block ends.

    Raises:
        RuntimeError: it ended by itself, or did not answer in time.

    """
    log = folder / f"{contender.name.replace(' ', '-').replace('/', '-')}-{port}.log"
    environment = {**os.environ, **contender.environment}
    # Python keeps what it compiled. Where that is forbidden, each start would compile all libraries again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if contender.port_variable:
        environment[contender.port_variable] = str(port)
    with log.open("wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*contender.command(port, workers)],
            env=environment,
            cwd=contender.directory,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    it = Running(contender, process, port, log)
    try:
        _wait(it, started)
        yield it
    finally:
        it.end()


def _wait(it: Running, started: float) -> None:
    """Wait for the first answer."""
    row = load.rows(1)
    while True:
        try:
            it.ask(row)
        except (OSError, urllib.error.URLError, ValueError) as error:
            if it.process.poll() is not None or time.perf_counter() > started + PATIENCE:
                told = it.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{it.contender.name} does not answer ({error}):\n{told}") from error
            time.sleep(0.01)
        else:
            it.start_seconds = time.perf_counter() - started
            return
