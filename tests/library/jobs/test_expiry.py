"""What is left of uploads when the process that took them is killed."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sample.settings import Settings

from mlapi.jobs.batch import UPLOADS
from mlapi.jobs.expiry import Expiry
from mlapi.jobs.store import Jobs
from mlapi.storage import Storage

KILLED = """
import asyncio, os, sys
from mlapi.storage import Storage

async def pieces():
    for _ in range(3):
        yield bytes(8 * 2**20)
    os._exit(9)

asyncio.run(Storage(sys.argv[1]).receive(sys.argv[2], pieces()))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with files in a directory."""
    return Settings(models_dir=tmp_path / "models", data_dir=tmp_path / "var")


def test_the_rest_of_an_upload_is_removed_when_it_can_no_longer_arrive(settings: Settings) -> None:
    command = [sys.executable, "-c", KILLED, settings.files_url(), f"{UPLOADS}/file.csv"]
    assert subprocess.run(command, check=False).returncode == 9
    storage = Storage(settings.files_url())
    directory = storage.directory
    assert directory is not None
    (rest,) = (directory / UPLOADS).iterdir()
    assert not storage.paths(UPLOADS), "no list shows it"
    other = rest.with_name("a#b")
    other.write_bytes(b"")
    os.utime(other, (0, 0))
    now, jobs = datetime.now(UTC), Jobs(settings)
    brief = Expiry(settings.model_copy(update={"keep_results_seconds": 1}), jobs)
    brief.remove(now + timedelta(hours=23))
    assert rest.exists()
    Expiry(settings, jobs).remove(now + timedelta(days=6))
    assert rest.exists()
    brief.remove(now + timedelta(hours=25))
    assert not rest.exists()
    jobs.close()
