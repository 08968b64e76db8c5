from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from rig.app import create_app


def test_a_service_with_a_model_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.head("/health/live").status_code == client.head("/health/ready").status_code == 200
    assert client.get("/health/ready").json() == {"status": "ready", "model": Model.name, "version": "1"}


def test_a_service_without_a_model_is_alive_but_not_ready(settings: Settings, rows: list[list[float]]) -> None:
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        assert client.get("/health/live").status_code == 200
        for answer in (client.get("/health/ready"), client.post("/predict", json={"data": rows})):
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert answer.json()["type"].endswith("#model-not-ready")
