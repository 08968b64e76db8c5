"""A cluster, for the tests: a scheduler and two workers, processes on this machine, which may be killed."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rig.ports import hold_port, port_of

PATIENCE = 60
"""Seconds that a process of the cluster may take to start."""


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self.url = ""
        held = stack.enter_context(hold_port())  # for a scheduler that is started again
        self.scheduler = self.start_scheduler(f"tcp://127.0.0.1:{port_of(held)}")
        self.workers = [self.start_worker(), self.start_worker()]

    def start_scheduler(self, url: str) -> "subprocess.Popen[bytes]":
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        log = self._directory / f"scheduler-{time.monotonic_ns()}"
        process = self._start(log, "scheduler", "--host", host, "--port", port, "--no-dashboard")
        deadline = time.monotonic() + PATIENCE
        while "Scheduler at:" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self.url = log.read_text().partition("Scheduler at:")[2].split()[0]
        return process

    def start_worker(self) -> "subprocess.Popen[bytes]":
        log = self._directory / f"worker-{time.monotonic_ns()}"
        return self._start(log, "worker", self.url, "--nthreads", "1", "--no-dashboard", "--no-nanny")

    def _start(self, log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-W", "ignore", "-m", "dask", *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self._directory)
        self._stack.callback(end, [process])
        return process


def end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        process.kill()
        process.wait()


@contextmanager
def speaking_dask(directory: Path) -> Iterator[Cluster]:
    """Run a cluster until the block ends; its logs go to the directory."""
    from distributed import Client

    with ExitStack() as stack:
        cluster = Cluster(directory, stack)
        with Client(cluster.url, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(len(cluster.workers), PATIENCE)
        yield cluster
