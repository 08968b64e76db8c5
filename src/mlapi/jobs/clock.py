"""A clock for SQLite before 3.42, which many an operating system still has: the library asks it for milliseconds."""

import sqlite3
import time
from functools import cache
from typing import Any

MODERN = (3, 42)
"""First version of SQLite whose own `unixepoch('subsec')` tells more than whole seconds; before, it is NULL."""


@cache
def set_sqlite_clock() -> None:
    """Give each SQLite connection of this process the clock, once; do it before the first is opened."""
    if sqlite3.sqlite_version_info >= MODERN:
        return
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "connect")
    def add_clock(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("unixepoch", 1, lambda _modifier: time.time())
