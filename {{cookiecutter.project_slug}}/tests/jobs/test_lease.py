import subprocess
import sys
from pathlib import Path

import pytest

from package_name.jobs.lease import FileLeases, Leases, PostgresLeases, take_lowest
from package_name.jobs.store import Jobs
from package_name.settings import Settings

HOLDER = """
import sys, pathlib
from package_name.jobs.lease import FileLeases
print(FileLeases(pathlib.Path(sys.argv[1])).take("worker-1"), flush=True)
sys.stdin.read()
"""


def leases(settings: Settings) -> Leases:
    if settings.database_url is None:
        return FileLeases(settings.data_dir / "workers")
    jobs = Jobs(settings)
    jobs.executors()  # makes the database
    jobs.close()
    return PostgresLeases(settings.jobs_url(), "test")


def test_each_worker_takes_the_lowest_free_name(settings: Settings) -> None:
    one, two, three = leases(settings), leases(settings), leases(settings)
    assert [take_lowest(one), take_lowest(two)] == ["worker-1", "worker-2"]
    assert not three.take("worker-1")
    one.release("worker-1")
    assert take_lowest(three) == "worker-1"
    assert three.holds("worker-1")
    assert two.holds("worker-2")


def test_a_killed_worker_frees_its_name(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        mine = FileLeases(tmp_path)
        assert not mine.take("worker-1")
        holder.kill()
        holder.wait()
        assert mine.take("worker-1")


def test_a_name_is_taken_again_after_the_connection_was_lost(settings: Settings) -> None:
    held = leases(settings)
    if not isinstance(held, PostgresLeases):
        pytest.skip("files have no connection")
    name = take_lowest(held)
    held._connection.close()  # noqa: SLF001 - as the server does when it restarts
    assert held.holds(name)
    assert not leases(settings).take(name)
