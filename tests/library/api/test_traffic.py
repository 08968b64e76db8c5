import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from rig.app import create_app
from rig.service import wait_for


@pytest.fixture
def client(trained: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """A caller of a service with two versions; the first serves."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    shutil.copytree(tmp_path / "models" / Model.name / "1", tmp_path / "models" / Model.name / "2")
    settings = Settings(models_dir=tmp_path / "models", data_dir=tmp_path / "var", refresh_seconds=60)
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def refresh(client: Any) -> None:
    client.app.services.champion.refresh()


def test_a_canary_answers_its_share_and_says_so(client: TestClient, rows: list[list[Any]]) -> None:
    assert client.put("/traffic/canary?version=2&share=0.5").json()["canary"] == "2"
    refresh(client)
    seen = Counter(client.post("/predict", json={"data": rows}).json()["version"] for _ in range(100))
    assert 20 < seen["2"] < 80
    assert client.get("/health/ready").json()["version"] == "1"
    assert client.delete("/traffic/canary").json()["canary"] is None
    refresh(client)
    assert {client.post("/predict", json={"data": rows}).json()["version"] for _ in range(20)} == {"1"}


def test_a_shadow_is_compared_and_answers_nobody(client: TestClient, rows: list[list[Any]]) -> None:
    assert client.put("/traffic/shadow?version=2").json()["shadow"] == "2"
    refresh(client)
    assert {client.post("/predict", json={"data": rows}).json()["version"] for _ in range(20)} == {"1"}
    told = 'shadow_rows_total{version="2"} 20.0'
    wait_for(lambda: told in client.get("/metrics").text, "the comparison of all requests")
    assert 'shadow_disagreements_total{version="2"} 0.0' in client.get("/metrics").text


def test_a_canary_that_is_promoted_is_a_canary_no_more(client: TestClient) -> None:
    client.put("/traffic/canary?version=2&share=0.5")
    client.put("/traffic/shadow?version=2")
    client.post("/models/2/promote")
    traffic = client.get("/traffic").json()
    assert (traffic["version"], traffic["canary"], traffic["share"], traffic["shadow"]) == ("2", None, 0, None)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/traffic/canary?version=9&share=0.5", 404),
        ("PUT", "/traffic/canary?version=2&share=1.5", 422),
        ("PUT", "/traffic/canary?version=2&share=nan", 422),
        ("PUT", "/traffic/canary?version=2", 422),
        ("PUT", "/traffic/shadow?version=../2", 404),
        ("DELETE", "/traffic/champion", 404),
    ],
)
def test_a_mistake_changes_nothing(client: TestClient, method: str, path: str, status: int) -> None:
    before = client.get("/traffic").json()
    assert client.request(method, path).status_code == status
    assert client.get("/traffic").json() == before


def test_a_stranger_may_neither_see_nor_change_the_traffic(client: TestClient) -> None:
    stranger = {"Host": "example.com"}
    assert client.get("/traffic", headers=stranger).status_code == 401
    assert client.put("/traffic/shadow?version=2", headers=stranger).status_code == 401
    assert client.delete("/traffic/shadow", headers=stranger).status_code == 401


def test_an_answer_from_the_cache_is_the_answer(trained: Settings, rows: list[list[Any]]) -> None:
    settings = Settings(models_dir=trained.models_dir, data_dir=trained.data_dir, cache_url="memory://")
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        answers = [client.post("/predict", json={"data": rows}) for _ in range(3)]
        assert len({answer.content for answer in answers}) == 1
        assert {answer.headers["Content-Type"] for answer in answers} == {"application/json"}
        metrics = client.get("/metrics").text
    assert 'cache_requests_total{result="miss"} 1.0' in metrics
    assert 'cache_requests_total{result="hit"} 2.0' in metrics
    assert 'predicted_rows_total{version="1"} 1.0' in metrics
