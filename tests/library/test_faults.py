"""What the machine may do to the service: a full disk, a killed process, a database that is gone."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sample.ml import Model
from sample.settings import Settings
from sqlalchemy import URL, make_url

from mlapi.errors import InvalidModelVersion
from mlapi.serving import champion
from mlapi.serving.registry import Registry

from rig.processes import serving_processes
from rig.service import ROW, serving, wait_for
from rig.wire import Wire

DISK_BYTES = 32 * 2**20
"""Size of the disk that is filled."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    directory = tmp_path / "disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(directory)]
    mounted = shutil.which("mount") and subprocess.run(command, capture_output=True, check=False)
    if not mounted or mounted.returncode:
        pytest.skip("only root may mount a disk, and not in every container")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no byte free on a disk until the block ends."""
    filler = disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))
    yield
    filler.unlink()


def test_a_full_disk_fails_jobs_and_uploads_but_no_prediction_until_there_is_room_again(
    trained: Settings, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 34; what is on the disk: the models, uploads as they arrive, and the log."""
    shutil.copytree(trained.models_dir, disk / "models")
    (disk / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(disk / "tmp"))
    variables = {"MODELS_DIR": str(disk / "models"), "DATA_DIR": str(tmp_path / "var"), "MIN_FREE_BYTES": str(2**20)}
    table = "\n".join([",".join(Model.Features.model_fields), ",".join(map(str, ROW)), "\n" * 2 * 2**20])
    with serving(disk / "service", **variables) as service:

        def upload() -> int:
            return service.client.post("/predict/csv", files={"file": ("rows.csv", table)}).status_code

        def train() -> Any:
            accepted = service.client.post("/train")
            assert accepted.status_code == 202, accepted.text
            return accepted.headers["Location"]

        assert upload() == 200
        job = train()  # taken while there was room
        with full(disk):
            for _ in range(100):
                service.predict()
            assert upload() == 507
            refused = service.client.post("/train")
            assert (refused.status_code, refused.json()["title"]) == (507, "Disk full")
            ended = wait_for(lambda: service.job(job), "the job to end")
            assert ended["state"] == "failed"
            assert "No space left on device" in ended["error"]
        assert upload() == 200
        path = train()
        assert wait_for(lambda: service.job(path), "the job to end")["state"] == "succeeded"
        assert sorted(path.name for path in (disk / "models" / Model.name).glob("[!.]*")) == ["1", "2", "champion.json"]


def test_a_full_disk_below_the_database_of_the_jobs_stops_no_prediction_and_loses_no_job(
    trained: Settings, disk: Path, tmp_path: Path
) -> None:
    """Checklist 34; without the floor that keeps it from coming so far."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    variables = {"MODELS_DIR": str(tmp_path / "models"), "DATA_DIR": str(disk / "var"), "MIN_FREE_BYTES": "0"}
    with serving(tmp_path / "service", **variables) as service:
        accepted = service.client.post("/train").headers["Location"]
        with full(disk):
            for _ in range(100):
                service.predict()
            refused = service.client.post("/train")
            assert (refused.status_code, refused.json()["title"]) == (503, "Jobs unavailable")
            assert int(refused.headers["Retry-After"]) > 0
        second = wait_for(lambda: service.client.post("/train").headers.get("Location"), "the database to be back")
        for path in (accepted, second):
            assert wait_for(partial(service.job, path), "the job to end")["state"] == "succeeded"


def test_a_publisher_killed_at_100_random_moments_leaves_only_whole_versions(trained: Settings, tmp_path: Path) -> None:
    """Checklist 33."""
    template = trained.models_dir / Model.name / "1"
    publisher = Path(__file__).parents[1] / "rig" / "publisher.py"
    command = [sys.executable, "-P", str(publisher), str(tmp_path / "models"), str(template), "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["versions"] > 10  # some were published,
    assert found["interrupted"] > 10  # and some were not


@pytest.mark.parametrize("damage", ["empty", "truncated", "tampered", "longer", "oversized"])
def test_a_damaged_model_is_refused_before_it_is_parsed_and_the_last_one_serves(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """Checklist 35."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    registry = Registry(tmp_path / "models", Model.name)
    shutil.copytree(registry.directory / "1", registry.directory / "2")
    model = registry.directory / "2" / "model.onnx"
    content = model.read_bytes()
    held = champion.Champion(Model, registry, len(content))
    held.refresh()
    registry.promote("2")
    limit = len(content) - (damage == "oversized")
    damaged = {
        "empty": b"",
        "truncated": content[:-1],
        "tampered": content[:-1] + bytes([content[-1] ^ 1]),
        "longer": content + b"\0",
    }
    model.write_bytes(damaged.get(damage, content))

    def parse(*_: object) -> None:
        pytest.fail("it was parsed")

    with monkeypatch.context() as patched:
        patched.setattr(champion, "open_model", parse)
        held.refresh() if damage != "oversized" else None
        with pytest.raises(InvalidModelVersion):
            champion.load(Model, registry, "2", limit)
        with pytest.raises(InvalidModelVersion):
            champion.promote(Model, registry, "2", limit)
    assert held.served is not None
    assert held.served.version == "1"


def test_a_training_goes_on_after_the_service_was_killed_and_the_champion_stays_until_then(
    trained: Settings, tmp_path: Path
) -> None:
    """Checklist 32; the worker ends with the service, as it does when a machine loses power."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    variables = {"MODELS_DIR": str(tmp_path / "models"), "DATA_DIR": str(tmp_path / "var")}
    with serving(tmp_path / "service", **variables) as service:
        path = wait_for(lambda: service.client.post("/train").headers.get("Location"), "the database to be made")
        wait_for(lambda: service.client.get(path).json()["state"] != "queued", "the training to begin")
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    with serving(tmp_path / "service", **variables) as service:
        assert service.predict()["version"] == "1"
        job = wait_for(lambda: service.job(path), "the training to end")
        assert (job["state"], job["result"]["version"]) == ("succeeded", "2")
        wait_for(lambda: service.predict()["version"] == job["result"]["version"], "the new version to serve")
        assert service.client.get("/models").json()["versions"][1:]
        assert sorted(path.name for path in (tmp_path / "models" / Model.name).glob("[0-9]*")) == ["1", "2"]


@pytest.fixture
def server(postgresql: str) -> URL:
    """A PostgreSQL server."""
    return make_url(postgresql)


@pytest.fixture
def wire(server: URL) -> Iterator[Wire]:
    """What leads to that server."""
    with contextlib.closing(Wire(server.host or "127.0.0.1", server.port or 5432)) as wire:
        yield wire


def test_predictions_go_on_without_the_database_and_jobs_return_with_it(
    trained: Settings, tmp_path: Path, server: URL, wire: Wire
) -> None:
    """Checklist 39."""
    url = server.set(host="127.0.0.1", port=wire.port, database=f"test_{uuid.uuid4().hex}")
    shutil.copytree(trained.models_dir, tmp_path / "models")
    variables = {"MODELS_DIR": str(tmp_path / "models"), "DATABASE_URL": url.render_as_string(hide_password=False)}
    with serving(tmp_path / "service", **variables) as service:
        path = wait_for(lambda: service.client.post("/train").headers.get("Location"), "the database to be made")
        wire.cut()
        for _ in range(3):
            answer = service.client.get(path)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert answer.json()["title"] == "Jobs unavailable"
            assert service.client.post("/train").status_code == 503
            service.predict()
            assert service.client.get("/health/live").status_code == 200
            assert service.client.get("/health/ready").status_code == 200
        wire.mend()
        job = wait_for(lambda: service.client.get(path).is_success and service.job(path), "the job to be found and end")
        assert job["state"] == "succeeded"


OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "5"))
"""How long the database is away in the midst of a job; OUTAGE_SECONDS=30 is the long run."""
FILE_BYTES = 24 * 2**20
"""Size of a file that takes seconds to score."""


def file_to_score(size: int) -> tuple[bytes, int]:
    """Return a CSV file of about this size, and how many rows it has."""
    header, row = (",".join(f'"{cell}"' for cell in cells) for cells in (Model.Features.names(), ROW))
    count = size // (len(row) + 1)
    return f"{header}\n{f'{row}{chr(10)}' * count}".encode(), count


def test_a_file_is_scored_although_the_database_goes_away_meanwhile(
    trained: Settings, tmp_path: Path, server: URL, wire: Wire
) -> None:
    """Checklist 39."""
    url = server.set(host="127.0.0.1", port=wire.port, database=f"test_{uuid.uuid4().hex}")
    shutil.copytree(trained.models_dir, tmp_path / "models")
    variables = {"MODELS_DIR": str(tmp_path / "models"), "DATABASE_URL": url.render_as_string(hide_password=False)}
    content, rows = file_to_score(FILE_BYTES)
    headers = {"Content-Type": "text/csv"}
    with serving(tmp_path / "service", **variables) as service:
        wait_for(lambda: service.client.get("/jobs").is_success, "the database to be made")
        path = service.client.post("/batches", content=content, headers=headers).headers["Location"]
        wait_for(lambda: service.client.get(path).json()["progress"] > 0, "the job to get on")
        wire.cut()
        refused = service.client.post("/batches", content=b"a", headers=headers)
        assert (refused.status_code, refused.json()["title"]) == (503, "Jobs unavailable")
        time.sleep(OUTAGE_SECONDS)  # the time is the point
        wire.mend()
        job = wait_for(lambda: service.client.get(path).is_success and service.job(path), "the job to end")
        assert (job["state"], job["rows"], job["rejected"]) == ("succeeded", rows, 0), job


def test_files_that_were_accepted_are_scored_although_the_processes_are_killed(
    trained: Settings, tmp_path: Path
) -> None:
    """Checklist 32; first one of the serving processes, then the service with all that belongs to it."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    variables = {"MODELS_DIR": str(tmp_path / "models"), "DATA_DIR": str(tmp_path / "var")}
    content, rows = file_to_score(FILE_BYTES // 8)
    headers = {"Content-Type": "text/csv"}
    paths = []
    with serving(tmp_path / "service", "--workers", "2", **variables) as service:

        def submit() -> bool:
            with contextlib.suppress(httpx2.TransportError):  # of the connection to the process that was killed
                answer = service.client.post("/batches", content=content, headers=headers)
                paths.extend(answer.headers.get_list("Location"))  # there is none while the database is made
                return answer.is_success
            return False

        wait_for(submit, "the database to be made")
        os.kill(serving_processes(service.process.pid)[0], signal.SIGKILL)
        for number in range(2):
            wait_for(submit, f"answer {number} of another process")
        assert len(paths) == 3
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    with serving(tmp_path / "service", **variables) as service:
        for path in paths:
            job = wait_for(lambda: service.job(path), "the job to end")  # noqa: B023 - asked at once
            assert (job["state"], job["rows"]) == ("succeeded", rows), job
            result = service.client.get(f"{path}/result").content
            assert result.count(b"\n") == rows + 1
