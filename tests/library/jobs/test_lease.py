import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sample.settings import Settings

from mlapi.jobs.lease import FileLeases, Leases, PostgresLeases, take_lowest, turn
from mlapi.jobs.store import Jobs

from rig.bench import wait_for

HOLDER = """
import sys, pathlib
from mlapi.jobs.lease import FileLeases
print(FileLeases(pathlib.Path(sys.argv[1])).take("worker-1"), flush=True)
sys.stdin.read()
"""


Opener = Callable[[], Leases]


@pytest.fixture
def leases(settings: Settings) -> Iterator[Opener]:
    """Opens the leases as another worker would."""
    opened: list[Leases] = []

    def leases() -> Leases:
        if settings.database_url is None:
            opened.append(FileLeases(settings.data_dir / "workers"))
        else:
            opened.append(PostgresLeases(settings.jobs_url(), "test"))
        return opened[-1]

    jobs = Jobs(settings)
    jobs.executors()  # makes the database
    jobs.close()
    yield leases
    for each in opened:
        each.close()


def wait_until_free(leases: Leases, name: str) -> None:
    """Wait for a name that was held by a connection: the server notices its end a moment later."""
    wait_for(lambda: leases.take(name), f"{name} to be free")
    leases.release(name)


def test_each_worker_takes_the_lowest_free_name(leases: Opener) -> None:
    one, two, three = leases(), leases(), leases()
    assert [take_lowest(one), take_lowest(two)] == ["worker-1", "worker-2"]
    assert not three.take("worker-1")
    one.release("worker-1")
    assert take_lowest(three) == "worker-1"
    assert three.holds("worker-1")
    two.close()
    wait_until_free(three, "worker-2")
    assert take_lowest(one) == "worker-2"


def test_a_turn_waits_for_the_one_before(tmp_path: Path) -> None:
    before, after = FileLeases(tmp_path), FileLeases(tmp_path)
    assert before.take("train")
    waits: list[int] = []

    def wait() -> None:
        waits.append(1)
        if len(waits) == 3:
            before.release("train")

    with turn(after, "train", wait):
        assert len(waits) == 3
        assert not before.take("train")
    assert before.take("train")
    before.close()


def test_a_killed_worker_frees_its_name(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        mine = FileLeases(tmp_path)
        assert not mine.take("worker-1")
        holder.kill()
        holder.wait()
        assert mine.take("worker-1")


def test_a_name_is_taken_again_after_the_connection_was_lost(leases: Opener) -> None:
    held = leases()
    if not isinstance(held, PostgresLeases):
        pytest.skip("files have no connection to lose")
    name = take_lowest(held)
    held.close()
    wait_until_free(leases(), name)
    assert held.holds(name)
    assert not leases().take(name)
