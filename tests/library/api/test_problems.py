import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sample.settings import Settings

from mlapi.errors import ServiceError

MEDIA_TYPE = "application/problem+json"


def kinds(base: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    """Return the errors of the tree; those of the command line are not for callers of the API."""
    found = [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]
    return [kind for kind in found if kind.__module__ == base.__module__]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_becomes_a_problem_of_its_kind(app: FastAPI, client: TestClient, kind: type[ServiceError]) -> None:
    @app.get("/fault")
    def fault() -> None:
        raise kind("This went wrong.")

    answer = client.get("/fault")
    assert (answer.status_code, answer.headers["Content-Type"]) == (kind.status, MEDIA_TYPE)
    assert answer.json() == {
        "type": f"{Settings().about.documentation}/errors.html#{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": "This went wrong.",
        "request_id": answer.headers["X-Request-ID"],
    }


def test_every_kind_of_error_has_a_type_of_its_own() -> None:
    slugs = [kind.slug for kind in kinds()]
    assert sorted(set(slugs)) == sorted(slugs)


def test_a_fault_nobody_foresaw_is_logged_and_tells_the_caller_nothing(
    app: FastAPI, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/fault")
    def fault() -> None:
        raise RuntimeError("the password is s3cret")

    answer = client.get("/fault")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, MEDIA_TYPE)
    assert "s3cret" not in answer.text
    assert "the password is s3cret" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/predict", 405),
        ("DELETE", "/health/live", 405),
        ("GET", "/jobs?limit=0", 422),
    ],
)
def test_the_frameworks_own_errors_are_problems_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
    assert answer.json()["status"] == status
    if status == 405:
        assert answer.headers["Allow"]


def test_server_faults_are_logged_and_client_faults_are_not(
    app: FastAPI, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/fault")
    def fault() -> None:
        raise ServiceError("It broke.")

    with caplog.at_level(logging.WARNING):
        client.get("/nowhere")
        assert not caplog.records
        client.get("/fault")
    assert "It broke." in caplog.text
