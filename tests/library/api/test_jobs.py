from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from rig.app import create_app


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A caller of a service that has jobs of its own, and no worker."""
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        yield client


def test_a_training_is_accepted_and_can_be_followed(client: TestClient) -> None:
    accepted = client.post("/train", json={"seed": 3})
    assert accepted.status_code == 202
    job = accepted.json()
    assert accepted.headers["Location"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["done"], job["progress"]) == ("train", "queued", False, 0.0)
    assert client.get(accepted.headers["Location"]).json() == job


def test_a_training_needs_no_body(client: TestClient) -> None:
    assert client.post("/train").status_code == 202


@pytest.mark.parametrize(
    "body", ['{"seed": -1}', '{"seed": 1.5}', '{"seed": NaN}', '{"seed": true}', '{"sed": 1}', "[]"]
)
def test_a_wrong_hyperparameter_is_refused_and_nothing_is_queued(client: TestClient, body: str) -> None:
    refused = client.post("/train", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["location"] in {"seed", "body"}
    assert client.get("/jobs").json()["jobs"] == []


def test_a_repeated_request_with_one_idempotency_key_is_one_job(client: TestClient) -> None:
    ids = {client.post("/train", headers={"Idempotency-Key": "a-b-c"}).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    assert client.post("/train", headers={"Idempotency-Key": "another"}).json()["id"] not in ids


@pytest.mark.parametrize("key", ["", "with blank", "x" * 256])
def test_a_hostile_idempotency_key_is_refused(client: TestClient, key: str) -> None:
    assert client.post("/train", headers={"Idempotency-Key": key}).status_code == 422


def test_jobs_are_listed_newest_first_page_by_page(client: TestClient) -> None:
    submitted = {client.post("/train").json()["id"] for _ in range(5)}
    listed: list[dict[str, str]] = []
    cursor = None
    for _ in range(3):
        page = client.get("/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        listed += page["jobs"]
        cursor = page["cursor"]
    assert (len(listed), {job["id"] for job in listed}) == (5, submitted)
    moments = [job["created_at"] for job in listed]  # which may be the same for two that came quickly
    assert moments == sorted(moments, reverse=True)
    assert cursor is None


@pytest.mark.parametrize("cursor", ["x", "e30", "%00", "a" * 900])
def test_a_cursor_that_no_page_gave_is_refused(client: TestClient, cursor: str) -> None:
    assert client.get(f"/jobs?cursor={cursor}").status_code == 422


def test_a_queued_job_can_be_cancelled(client: TestClient) -> None:
    job = client.post("/train").json()
    cancelled = client.post(f"/jobs/{job['id']}/cancel")
    assert cancelled.status_code == 200
    assert (cancelled.json()["state"], cancelled.json()["done"]) == ("cancelled", True)


@pytest.mark.parametrize("job_id", ["0" * 32, "x", "%2e%2e%2fx", "%00", "a" * 300, "%ed%a0%80"])
def test_a_job_that_does_not_exist_is_not_found(client: TestClient, job_id: str) -> None:
    """Checklist 11 and 19."""
    assert client.get(f"/jobs/{job_id}").status_code == 404
    assert client.post(f"/jobs/{job_id}/cancel").status_code == 404


def test_without_the_database_jobs_are_unavailable_and_the_service_lives(settings: Settings) -> None:
    """Checklist 39."""
    settings.data_dir.mkdir()
    (settings.data_dir / "jobs.sqlite").write_bytes(b"this is not a database" * 100)
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        for answer in (client.post("/train"), client.get("/jobs"), client.get(f"/jobs/{'0' * 32}")):
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert answer.json()["type"].endswith("#jobs-unavailable")
        assert client.get("/health/live").status_code == 200
