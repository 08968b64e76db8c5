"""Files sent over HTTP, and what came of them; the worker's part is done here by hand or by a real one."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from mlapi import storage as storage_module
from mlapi.api import batches
from mlapi.jobs.store import Jobs
from mlapi.keys import KeyStore, Scope
from mlapi.storage import Storage

from rig.app import create_app
from rig.service import serving, wait_for

Table = Callable[..., str]

CSV = {"Content-Type": "text/csv"}
EMPTY_FORM = "multipart/form-data; boundary=x"


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A caller of a service that has jobs of its own, and no worker."""
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        yield client


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings.files_url())


def order_of(settings: Settings, job_id: str) -> Any:
    """Return what a job was submitted with."""
    jobs = Jobs(settings)
    note = jobs.note_of(job_id, "source")
    jobs.close()
    return note


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/csv", b"a,b\n"),
        ("text/csv; charset=utf-8", b"a,b\n"),
        ("application/x-ndjson", b"{}\n"),
        ("application/vnd.apache.parquet", b"PAR1"),
    ],
)
def test_a_body_is_kept_and_its_job_can_be_followed(
    client: TestClient, settings: Settings, storage: Storage, kind: str, content: bytes
) -> None:
    accepted = client.post("/batches", content=content, headers={"Content-Type": kind})
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()
    assert accepted.headers["Location"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["rows"], job["owner"]) == ("score", "queued", None, "local")
    assert client.get(accepted.headers["Location"]).json() == job
    assert storage.read(order_of(settings, job["id"])) == content
    early = client.get(f"/jobs/{job['id']}/result")
    assert (early.status_code, early.json()["title"]) == (409, "Result not ready")


def test_a_form_is_kept_too(client: TestClient, settings: Settings, storage: Storage) -> None:
    for name, kind in (("rows.csv", "application/octet-stream"), ("rows", "text/csv")):
        accepted = client.post("/batches", files={"file": (name, b"a\n1\n", kind)})
        assert accepted.status_code == 202, accepted.text
        assert storage.read(order_of(settings, accepted.json()["id"])) == b"a\n1\n"
    assert client.post("/batches", files={"file": ("rows.xlsx", b"a")}).status_code == 415
    assert client.post("/batches", files={"other": ("rows.csv", b"a")}).status_code == 422


def test_a_source_in_the_storage_is_taken_by_its_name(client: TestClient, storage: Storage) -> None:
    storage.write("sources/2026/rows.csv", b"a\n")
    assert client.post("/batches", json={"source": "2026/rows.csv"}).status_code == 202


@pytest.mark.parametrize(
    "source",
    [
        *("none.csv", "rows", "../uploads/x.csv", "a/../x.csv", "/etc/x.csv", "..\\x.csv", "%2e%2e/x.csv", "\0.csv"),
        *("s3://b/x.csv", "http://127.0.0.1/x.csv", "a" * 600, "", ".hidden.csv", "#1.csv"),
    ],
)
def test_a_source_that_is_not_there_or_leads_out_is_refused(client: TestClient, source: str) -> None:
    """Checklist 19 and 20."""
    assert client.post("/batches", json={"source": source}).status_code == 422


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, CSV | {"Content-Encoding": "gzip"}])
def test_another_media_type_is_refused_and_nothing_is_kept(
    client: TestClient, storage: Storage, headers: dict[str, str]
) -> None:
    """Checklist 12 and 14."""
    assert client.post("/batches", content=b"x", headers=headers).status_code == 415
    assert list(storage.paths("uploads")) == []
    assert client.get("/jobs").json()["jobs"] == []


def test_too_many_formats_are_named_as_what_is_wrong(client: TestClient) -> None:
    headers = CSV | {"Idempotency-Key": "with blank"}
    refused = client.post("/batches?result=csv&result=csv&result=csv&result=csv", content=b"a\n", headers=headers)
    assert refused.status_code == 422
    places = {fault["location"]: fault["message"] for fault in refused.json()["errors"]}
    assert set(places) == {"result", "idempotency-key"}
    assert "at most 3" in places["result"]


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(2**20)


def test_a_file_over_the_limit_is_refused_announced_or_not_and_nothing_is_kept(settings: Settings) -> None:
    """Checklist 7."""
    small = settings.model_copy(update={"max_upload_bytes": 5 * 2**20})
    with TestClient(create_app(Model, small), base_url="https://127.0.0.1") as client:
        assert client.post("/batches", content=bytes(6 * 2**20), headers=CSV).status_code == 413
        assert client.post("/batches", content=pieces(30), headers=CSV).status_code == 413
        assert client.post("/batches", content=pieces(5), headers=CSV).status_code == 202
    assert len(Storage(settings.files_url()).paths("uploads")) == 1


def test_too_little_room_is_told_and_nothing_is_kept(settings: Settings) -> None:
    """Checklist 34."""
    full = settings.model_copy(update={"min_free_bytes": 2**60})
    with TestClient(create_app(Model, full), base_url="https://127.0.0.1") as client:
        refused = client.post("/batches", content=b"a", headers=CSV)
    assert (refused.status_code, refused.json()["title"]) == (507, "Disk full")


def test_a_form_is_read_only_while_there_is_room_where_it_is_spooled_and_kept(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Checklist 34."""
    monkeypatch.setattr(batches, "ROOM_EVERY", 1)
    looked: list[Path] = []
    free: dict[Path, int] = {}

    def look(directory: Path) -> int:
        looked.append(directory)
        return free.get(directory, 2**60)

    monkeypatch.setattr(storage_module, "free_bytes", look)
    kept, spool = Storage(settings.files_url()).directory, Path(tempfile.gettempdir())
    assert kept is not None
    for full, seen in ((kept, [kept]), (spool, [kept, spool])):
        looked.clear()
        free = {full: 0}
        refused = client.post("/batches", content=b"not a form", headers={"Content-Type": EMPTY_FORM})
        assert (refused.status_code, refused.json()["title"]) == (507, "Disk full")
        assert looked == seen


def test_repeated_requests_with_one_key_are_one_job_and_one_upload(client: TestClient, storage: Storage) -> None:
    """Checklist 36."""
    headers = CSV | {"Idempotency-Key": "a-b-c"}
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: client.post("/batches", content=b"a\n", headers=headers).json()["id"], range(8)))
    assert len(ids) == 1
    assert client.post("/batches", content=b"a\n", headers=headers).json()["id"] in ids
    assert len(storage.paths("uploads")) == 1


@pytest.mark.parametrize(("kind", "status"), [("application/json", 422), ("text/plain", 415), (EMPTY_FORM, 422)])
def test_a_wrong_request_is_refused_although_its_key_has_a_job(client: TestClient, kind: str, status: int) -> None:
    once = {"Idempotency-Key": "once"}
    assert client.post("/batches", content="a,b\n", headers=CSV | once).status_code == 202
    content = "--x--\r\n" if kind == EMPTY_FORM else "[null]"
    assert client.post("/batches", content=content, headers={"Content-Type": kind} | once).status_code == status


def test_a_job_is_its_owners_alone(settings: Settings) -> None:
    """Checklist 24."""
    guarded = settings.model_copy(update={"require_key": True})
    keys = KeyStore(settings.data_dir / "keys.json")
    settings.data_dir.mkdir()

    def key(owner: str, *scopes: Scope) -> dict[str, str]:
        return {"X-API-Key": keys.create(owner, scopes)[1]}

    ada, bob, root = key("ada", "batch"), key("bob", "batch"), key("root", "admin")
    with TestClient(create_app(Model, guarded), base_url="https://127.0.0.1") as client:
        refused = client.post("/batches", content=b"a\n", headers=CSV | key("eve", "predict"))
        assert refused.status_code == 403
        assert client.post("/train", headers=ada).status_code == 403
        path = client.post("/batches", content=b"a\n", headers=CSV | ada).headers["Location"]
        assert client.get(path, headers=key("ada", "batch")).json()["owner"] == "key:ada"
        for way in (client.get, lambda url, headers: client.post(f"{url}/cancel", headers=headers)):
            assert way(path, headers=bob).status_code == 404
        for part in ("result", "rejects"):
            assert client.get(f"{path}/{part}", headers=bob).status_code == 404
            assert client.get(f"{path}/{part}", headers=ada).status_code == 409
        assert client.get("/jobs", headers=bob).json()["jobs"] == []
        assert len(client.get("/jobs", headers=ada).json()["jobs"]) == 1
        assert len(client.get("/jobs", headers=root).json()["jobs"]) == 1
        same = CSV | {"Idempotency-Key": "1"}
        ids = {client.post("/batches", content=b"a\n", headers=same | who).json()["id"] for who in (ada, bob)}
        assert len(ids) == 2
        assert client.post(f"{path}/cancel", headers=ada).json()["state"] == "cancelled"


def test_without_the_database_nothing_is_kept(settings: Settings) -> None:
    """Checklist 39."""
    settings.data_dir.mkdir()
    (settings.data_dir / "jobs.sqlite").write_bytes(b"this is not a database" * 100)
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        refused = client.post("/batches", content=b"a\n", headers=CSV)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert list(Storage(settings.files_url()).paths("uploads")) == []


def test_a_file_goes_in_and_its_result_comes_out(
    trained: Settings, tmp_path: Path, rows: list[list[Any]], table: Table
) -> None:
    """The whole way, with nothing faked."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    variables = {"MODELS_DIR": str(tmp_path / "models"), "SCORE_JOBS": "1"}
    content = table(*rows * 1000).encode() + b"," * len(Model.Features.names()) + b"\n"  # a cell too many
    with serving(tmp_path / "service", **variables) as service:
        get = service.client.get
        sent = service.client.post("/batches?result=csv&result=parquet", content=content, headers=CSV)
        path = sent.headers["Location"]
        job = wait_for(lambda: service.job(path), "the job to end")
        assert (job["state"], job["rows"], job["rejected"]) == ("succeeded", 1000, 1), job
        whole = get(f"{path}/result", headers={"Accept": "text/csv"})
        assert whole.status_code == 200
        assert whole.headers["Content-Type"].startswith("text/csv")
        header, first = whole.text.splitlines()[:2]
        assert header.split(",") == [*Model.Features.names(), *Model.example_answer().columns()]
        assert len(whole.text.splitlines()) == 1001
        assert first.count(",") >= header.count(",")
        assert "Content-Encoding" not in whole.headers
        part = get(f"{path}/result", headers={"Accept": "text/csv", "Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole.content)}"
        tags = [{"If-Range": whole.headers["ETag"]}, {"If-Range": '"other"'}]
        asked = [get(f"{path}/result", headers={"Accept": "text/csv", "Range": "bytes=-5"} | tag) for tag in tags]
        assert [one.status_code for one in asked] == [206, 200]
        beyond = get(f"{path}/result", headers={"Accept": "text/csv", "Range": "bytes=99999999-"})
        assert (beyond.status_code, beyond.json()["status"]) == (416, 416)
        assert get(f"{path}/result", headers={"Accept": "application/vnd.apache.parquet"}).content[:4] == b"PAR1"
        assert get(f"{path}/result", headers={"Accept": "application/x-ndjson"}).status_code == 406
        assert get(f"{path}/rejects").text.startswith("line,reason\n1002,")
        shutil.rmtree(tmp_path / "service" / "var" / "files")
        assert get(f"{path}/result").status_code == 410


def test_a_training_makes_no_file(client: TestClient) -> None:
    path: Sequence[str] = client.post("/train").headers["Location"]
    assert client.get(f"{path}/result").status_code == 404
