"""A PostgreSQL server, for the tests: the one that TEST_DATABASE_URL names, or one of our own on this machine."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from rig.ports import hold_port, port_of

PATIENCE = 60
"""Seconds that the server may take to start."""


@contextmanager
def speaking_postgresql() -> Iterator[str | None]:
    """Yield the URL of a server, which runs until the block ends; None if there is none and it is not installed."""
    found = _binaries()
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
    elif found is None:
        yield None
    else:
        with tempfile.TemporaryDirectory() as directory, _running(found, Path(directory)) as url:
            yield url


def _binaries() -> Path | None:
    """Find the server; Debian keeps it off the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("postgres")
    return installed[-1] if installed else Path(on_path).parent if on_path else None


@contextmanager
def _running(binaries: Path, directory: Path) -> Iterator[str]:
    # The server refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(directory, user)
    data = str(directory / "data")
    options = ["-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]
    make = [str(binaries / "initdb"), "-D", data, *options]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, user=user, cwd=directory)
    with hold_port() as held, (directory / "log").open("wb") as log:
        port = port_of(held)
        options = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off"]
        run = [str(binaries / "postgres"), "-D", data, *(f"--{option}" for option in options)]
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with subprocess.Popen(run, stderr=log, user=user, cwd=directory) as server:
            try:
                _wait(url)
                yield url
            finally:
                server.send_signal(signal.SIGQUIT)


def _wait(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(url, connect_timeout=PATIENCE).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
