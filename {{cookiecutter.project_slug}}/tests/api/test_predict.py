import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from package_name.api.dependencies import served
from package_name.ml import Model
from package_name.ml.base import Classes
from package_name.serving.champion import Served

NAMES = Model.Features.names()
EXAMPLE = Model.Features.example()


class Constant:
    """A model that is always sure of the last class."""

    def predict(self, X: Any) -> Classes:
        probability = np.zeros((len(X), len(Model.labels)), dtype=np.float32)
        probability[:, -1] = 1
        return Classes(probability.argmax(axis=1), probability)


@pytest.fixture
def with_constant_model(app: FastAPI) -> Iterator[None]:
    """Replace the model."""
    model: Any = Constant()
    app.dependency_overrides[served] = lambda: Served("42", model)
    yield
    app.dependency_overrides.clear()


def post(client: TestClient, body: str | bytes, media_type: str | None = "application/json") -> Any:
    headers = {"Content-Type": media_type} if media_type else {}
    return client.post("/predict", content=body, headers=headers)


@pytest.mark.usefixtures("with_constant_model")
def test_rows_and_objects_are_answered_alike(client: TestClient) -> None:
    expected = {
        "model": Model.name,
        "version": "42",
        "prediction": [len(Model.labels) - 1],
        "label": [Model.labels[-1]],
        "probability": [[0.0] * (len(Model.labels) - 1) + [1.0]],
    }
    shuffled = dict(reversed(EXAMPLE.model_dump().items()))
    for row in (EXAMPLE.values(), EXAMPLE.model_dump(), shuffled):
        answer = client.post("/predict", json={"data": [row]})
        assert (answer.status_code, answer.json()) == (200, expected)


def test_the_trained_model_answers_each_row_in_order(client: TestClient, rows: list[list[float]]) -> None:
    answer = client.post("/predict", json={"data": rows * 3}).json()
    assert answer["version"] == "1"
    assert len(answer["label"]) == len(answer["prediction"]) == len(answer["probability"]) == 3
    assert all(sum(row) == pytest.approx(1) for row in answer["probability"])


def row(value: str) -> str:
    """Return a body of one row whose first value is spelled like this."""
    return '{"data": [[' + ", ".join([value] + ["1"] * (len(NAMES) - 1)) + "]]}"


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e999", "true", '"3.5"', "null", "[]", "{}", "-1e30", "1e30", "1e-999e1"]
)
def test_what_is_not_an_acceptable_number_is_named_with_row_and_field(client: TestClient, value: str) -> None:
    """Checklist 1, 4 and 10."""
    answer = post(client, row(value))
    assert answer.status_code in {400, 422}
    if answer.status_code == 422:
        assert [error["location"] for error in answer.json()["errors"]] == [f"data[0].{NAMES[0]}"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda values: values[:-1], f"data[1].{NAMES[-1]}"),
        (lambda values: [*values, 1], "data[1]"),
        (lambda _values: EXAMPLE.model_dump(), "data[1]"),
        (lambda _values: "x", "data[1]"),
        (lambda _values: [], f"data[1].{NAMES[0]}"),
    ],
)
def test_a_row_of_another_length_or_form_is_named(
    client: TestClient, change: Callable[[list[float]], Any], place: str
) -> None:
    """Checklist 3."""
    values = list(EXAMPLE.values())
    answer = client.post("/predict", json={"data": [values, change(values)]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == place


def test_an_unknown_or_missing_name_is_refused(client: TestClient) -> None:
    """Checklist 6."""
    values = EXAMPLE.model_dump()
    values["unknown"] = values.pop(NAMES[0])
    answer = client.post("/predict", json={"data": [values]})
    assert answer.status_code == 422
    assert {error["location"] for error in answer.json()["errors"]} == {f"data[0].{NAMES[0]}", "data[0]"}


@pytest.mark.parametrize("body", ['{"data": []}', "{}", '{"data": 1}', '{"data": [1]}', '{"data": [[]], "x": 1}'])
def test_a_body_without_rows_is_refused(client: TestClient, body: str) -> None:
    """Checklist 5."""
    assert post(client, body).status_code == 422


@pytest.mark.parametrize(
    "body",
    ["", "[]x", "{", '{"data": [[1,,1]]}', b'{"data": "\xff"}', '{"\\ud800": 1}', "[" * 100_000, row("9" * 5000)],
)
def test_what_is_not_json_or_not_readable_is_a_client_error(client: TestClient, body: str | bytes) -> None:
    """Checklist 9, 10 and 11."""
    answer = post(client, body)
    assert 400 <= answer.status_code < 500
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("media_type", [None, "", "text/plain", "application/xml", "multipart/form-data"])
def test_a_wrong_or_missing_content_type_is_refused(client: TestClient, media_type: str | None) -> None:
    """Checklist 12."""
    assert post(client, row("1"), media_type).status_code == 415
    if media_type != "multipart/form-data":
        assert client.post("/predict/csv", content="x", headers={"Content-Type": media_type or ""}).status_code == 415


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    """Checklist 14."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert client.post("/predict", content=gzip.compress(b" " * 10**7), headers=headers).status_code == 415


def test_thousands_of_bad_rows_get_a_short_answer_with_their_number(client: TestClient) -> None:
    """Checklist 13."""
    answer = client.post("/predict", json={"data": [[None] * len(NAMES)] * 2000})
    assert answer.status_code == 422
    assert len(answer.content) <= 64 * 1024
    assert str(2000 * len(NAMES)) in answer.json()["detail"]
    assert len(answer.json()["errors"]) == 20


def test_as_many_rows_as_allowed_are_answered_and_one_more_is_too_large(
    client: TestClient, rows: list[list[float]]
) -> None:
    """Checklist 8."""
    assert client.post("/predict", json={"data": rows * 10_000}).status_code == 200
    assert client.post("/predict", json={"data": rows * 10_001}).status_code == 413


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * 2**20


@pytest.mark.parametrize("body", [lambda: b" " * (10 * 2**20 + 1), lambda: chunks(11)])
@pytest.mark.parametrize("path", ["/predict", "/predict/csv"])
def test_a_body_over_the_limit_is_refused_announced_or_not(
    client: TestClient, path: str, body: Callable[[], Any]
) -> None:
    """Checklist 7."""
    media_type = "application/json" if path == "/predict" else "multipart/form-data; boundary=x"
    answer = client.post(path, content=body(), headers={"Content-Type": media_type})
    assert answer.status_code == 413
    assert answer.json()["type"].endswith("#too-large")


def test_a_csv_file_is_answered_like_rows(client: TestClient, rows: list[list[float]]) -> None:
    table = ",".join(NAMES) + "\n" + ",".join(map(str, rows[0])) + "\n"
    uploaded = client.post("/predict/csv", files={"file": ("rows.csv", table)})
    assert uploaded.status_code == 200
    assert uploaded.json() == client.post("/predict", json={"data": rows}).json()


def test_a_bad_csv_file_is_refused_with_the_line(client: TestClient, rows: list[list[float]]) -> None:
    """Checklist 15 and 16."""
    table = ",".join(NAMES) + "\n" + ",".join(map(str, [*rows[0], 1])) + "\n"
    answer = client.post("/predict/csv", files={"file": ("rows.csv", table)})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "line 2"


def test_nothing_that_was_sent_is_repeated_in_an_error(client: TestClient) -> None:
    bodies = ['{"s3cret": "s3cret"', '{"data": "s3cret"}', '{"s3cret": 1}', '{"data": [{"s3cret": 1}]}']
    for body in (row('"s3cret"'), *bodies):
        assert "s3cret" not in post(client, body).text
        assert "s3cret" not in client.post("/train", content=body, headers={"Content-Type": "application/json"}).text
    for path in ("/models/s3cret", "/jobs/s3cret", "/jobs?cursor=s3cret", "/s3cret"):
        assert "s3cret" not in client.get(path).text
    assert json.loads(post(client, row('"s3cret"')).text)["status"] == 422
