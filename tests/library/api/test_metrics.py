from typing import Any

from fastapi.testclient import TestClient


def test_the_metrics_need_their_scope(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert client.get("/metrics", headers={"Host": "example.com"}).status_code == 401


def test_predicted_rows_are_counted_for_the_version(client: TestClient, rows: list[list[Any]]) -> None:
    client.post("/predict", json={"data": rows * 3})
    assert 'predicted_rows_total{version="1"} 3.0' in client.get("/metrics").text


def test_every_feature_is_watched_for_drift(client: TestClient) -> None:
    text = client.get("/metrics").text
    assert text.count("\ndrift_psi{feature=") == text.count("\ndrift_rows{feature=") > 1
