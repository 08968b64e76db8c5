"""Processes that others have started, for the tests; any of them may end while it is looked at."""

from contextlib import suppress
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """List the processes that the threads of a process have started."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has just ended
            found += map(int, thread.read_text().split())
    return found


def serving_processes(pid: int) -> list[int]:
    """List the serving processes of a service that has several."""
    return [child for child in children_of(pid) if b"spawn_main" in command_of(child)]


def command_of(pid: int) -> bytes:
    """Return the command line of a process, or nothing if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
