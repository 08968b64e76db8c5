"""Who a worker is: a name held under a lock that its end, however it comes, sets free.

The library resumes a dead worker's jobs only under that worker's name. A name whose lock is free is
that of no living worker.
"""

import fcntl
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, Protocol

from ..errors import JobsUnavailable
from .store import UNREACHABLE

NAME = re.compile(r"worker-[0-9]{1,6}")
"""What the name of a worker looks like."""


class Leases(Protocol):
    """Names that at most one living worker holds."""

    def take(self, name: str) -> bool:
        """Take a name if it is free, without waiting."""

    def release(self, name: str) -> None:
        """Give a name back."""

    def holds(self, name: str) -> bool:
        """Tell whether a name that was taken is still held."""

    def close(self) -> None:
        """Give all names back."""


def take_lowest(leases: Leases) -> str:
    """Take the free name with the lowest number, so that a restarted worker finds its own jobs again."""
    return next(name for name in (f"worker-{number}" for number in itertools.count(1)) if leases.take(name))


@contextmanager
def turn(leases: Leases, name: str, wait: Callable[[], None]) -> Iterator[None]:
    """Hold a name while the block runs; call `wait` as long as another holds it."""
    while not leases.take(name):
        wait()
    try:
        yield
    finally:
        leases.release(name)


class FileLeases:
    """Names locked by files: for workers on one machine, which is where SQLite is safe."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._files: dict[str, int] = {}

    def take(self, name: str) -> bool:
        """Take a name if it is free, without waiting."""
        file = os.open(self._directory / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._files[name] = file
        return True

    def release(self, name: str) -> None:
        """Give a name back."""
        os.close(self._files.pop(name))

    def holds(self, name: str) -> bool:
        """Tell whether a name that was taken is still held; a lock on a file is never lost."""
        return name in self._files

    def close(self) -> None:
        """Give all names back."""
        for name in list(self._files):
            self.release(name)


class PostgresLeases:
    """Names locked in the database: for workers on any number of machines. Raises `JobsUnavailable`."""

    def __init__(self, url: str, application: str) -> None:
        from sqlalchemy import make_url

        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._application = application
        self._connect()

    def take(self, name: str) -> bool:
        """Take a name if it is free, without waiting."""
        return self._lock("pg_try_advisory_lock", name)

    def release(self, name: str) -> None:
        """Give a name back."""
        self._lock("pg_advisory_unlock", name)

    def holds(self, name: str) -> bool:
        """Tell whether a name is still held, or could be taken again after the connection was lost."""
        if self._connection.closed:
            self._connect()
            return self.take(name)
        # Taken once more and given back: it succeeds in the session that holds the name, and tries the connection.
        return self.take(name) and self._lock("pg_advisory_unlock", name)

    def close(self) -> None:
        """Give all names back."""
        self._connection.close()

    def _lock(self, function: str, name: str) -> bool:
        digest = hashlib.sha256(f"{self._application}:{name}".encode()).digest()
        return self._execute(f"SELECT {function}(%s)", int.from_bytes(digest[:8], signed=True))

    def _connect(self) -> None:
        import psycopg

        try:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=2, tcp_user_timeout=2000)
        except psycopg.Error as error:
            raise JobsUnavailable(UNREACHABLE) from error
        # The locks of a machine that is cut off must not outlive it for the two hours that are usual.
        self._execute(
            "SELECT set_config(name, value, false) FROM (VALUES ('tcp_keepalives_idle', '2'), "
            "('tcp_keepalives_interval', '1'), ('tcp_keepalives_count', '3')) AS limits (name, value)"
        )

    def _execute(self, query: LiteralString, *values: Any) -> bool:
        import psycopg

        try:
            row = self._connection.execute(query, values).fetchone()
        except psycopg.Error as error:
            raise JobsUnavailable(UNREACHABLE) from error
        return bool(row and row[0])
