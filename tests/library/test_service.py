"""The groups of routes that an application includes are what it exposes, however it includes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from sample.main import app as main
from sample.ml import Model
from sample.settings import Settings

from mlapi.service import Service

from rig.app import create_app

GROUPS = {
    "predictions": {"/predict", "/predict/csv"},
    "training": {"/train"},
    "jobs": {"/jobs", "/jobs/{job_id}", "/jobs/{job_id}/cancel"},
    "batches": {"/batches", "/jobs/{job_id}/result", "/jobs/{job_id}/rejects"},
    "models": {
        "/models",
        "/models/{version}",
        "/models/{version}/promote",
        "/traffic",
        "/traffic/canary",
        "/traffic/shadow",
    },
}
ALWAYS = {"/health/live", "/health/ready", "/metrics"}


@pytest.fixture
def service(trained: Settings) -> Service:
    return Service(Model, trained)


@contextmanager
def serving(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def paths(app: FastAPI) -> set[str]:
    return set(app.openapi()["paths"])


def predicts(client: TestClient, path: str, rows: Any) -> Any:
    return client.post(path, json={"data": rows})


def test_the_project_exposes_everything_a_service_can(settings: Settings) -> None:
    assert paths(main) == paths(create_app(Model, settings)) == ALWAYS.union(*GROUPS.values())


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_is_not_included_is_not_there(service: Service, group: str, rows: Any) -> None:
    app = service.create_app()
    for other in GROUPS.keys() - {group}:
        app.include_router(getattr(service, other))
    assert paths(app) == ALWAYS.union(*GROUPS.values()) - GROUPS[group]
    schemas = app.openapi()["components"]["schemas"]
    gone = {"predictions": "PredictRequest", "training": Model.Hyperparameters.__name__, "batches": "Source"}
    assert gone.get(group) not in schemas
    with serving(app) as client:
        for path in sorted(GROUPS[group]):
            assert client.post(path.format(job_id="0" * 32, version="1")).status_code == 404, path
        assert predicts(client, "/predict", rows).status_code == (404 if group == "predictions" else 200)


def test_dependencies_of_whoever_includes_predictions_are_called(service: Service, rows: Any) -> None:
    def refuse() -> None:
        raise HTTPException(400)

    router = APIRouter(dependencies=[Depends(refuse)])
    router.include_router(service.predictions)
    apps = [service.create_app() for _ in range(2)]
    apps[0].include_router(service.predictions, dependencies=[Depends(refuse)])
    apps[1].include_router(router)
    for app in apps:
        assert not app.direct
        with serving(app) as client:
            assert predicts(client, "/predict", rows).status_code == 400


def test_predictions_answer_below_a_prefix_and_within_another_router(service: Service, rows: Any) -> None:
    app = service.create_app()
    app.include_router(service.predictions, prefix="/v1")
    router = APIRouter(prefix="/v2")
    router.include_router(service.predictions)
    app.include_router(router)
    assert list(app.direct) == [("POST", "/v1/predict")]
    with serving(app) as client:
        answers = [predicts(client, f"/{version}/predict", rows) for version in ("v1", "v2")]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
        assert predicts(client, "/v2/predict", [[]]).status_code == 422
        assert predicts(client, "/predict", rows).status_code == 404


def test_an_own_router_that_was_there_before_answers(service: Service, rows: Any) -> None:
    app = service.create_app()
    router = APIRouter()

    @router.post("/{path}")
    def predict(path: str) -> str:
        """Answer otherwise."""
        return f"mine at {path}"

    app.include_router(router)
    app.include_router(service.predictions)
    with serving(app) as client:
        assert predicts(client, "/predict", rows).json() == "mine at predict"


def test_an_own_route_that_was_there_before_answers(service: Service, rows: Any) -> None:
    app = service.create_app()

    @app.post("/predict")
    def predict() -> str:
        """Answer otherwise."""
        return "mine"

    app.include_router(service.predictions)
    with serving(app) as client:
        assert predicts(client, "/predict", rows).json() == "mine"
