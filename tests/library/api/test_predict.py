import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from starlette.types import Message

from mlapi.api.app import Application
from mlapi.serving.champion import Served

Table = Callable[..., str]

NAMES = Model.Features.names()
EXAMPLE = Model.Features.example()


FIRST = Model.Features.columns()[0]
EXPECTED = Model.example_answer().lists()

BAD = {
    "number": ["NaN", "Infinity", "-Infinity", "1e999", "true", '"3.5"', "[]", "{}", "-1e39", "1e39", "1e-999e1"],
    "category": ['"no such word"', '""', "0", "true", "[]", "{}"],
    "text": ["1", "true", "[]", "{}", '"\\u0000"', f'"{"x" * (FIRST.max_length + 1)}"'],
}
"""Values, as JSON spells them, that no feature of a kind accepts."""


@pytest.fixture
def with_constant_model(app: Application, client: TestClient, constant: Callable[..., Served]) -> Iterator[None]:
    """Replace the version that serves."""
    with instead(app, client, constant()):
        yield


@contextmanager
def instead(app: Application, _client: TestClient, version: Served) -> Iterator[None]:
    """Let a version serve; a client must be there, because it starts the application, which loads its own."""
    champion = app.services.champion
    with patch.object(champion, "served", version):
        yield


def post(client: TestClient, body: str | bytes, media_type: str | None = "application/json") -> Any:
    headers = {"Content-Type": media_type} if media_type else {}
    return client.post("/predict", content=body, headers=headers)


@pytest.mark.usefixtures("with_constant_model")
def test_rows_and_objects_are_answered_alike(client: TestClient) -> None:
    expected = {"model": Model.name, "version": "42", **EXPECTED}
    shuffled = dict(reversed(EXAMPLE.model_dump().items()))
    for row in (EXAMPLE.values(), EXAMPLE.model_dump(), shuffled):
        answer = client.post("/predict", json={"data": [row]})
        assert (answer.status_code, answer.json()) == (200, expected)


def test_the_trained_model_answers_each_row_in_order(client: TestClient, rows: list[list[Any]]) -> None:
    answer = client.post("/predict", json={"data": rows * 3}).json()
    assert answer["version"] == "1"
    assert all(len(answer[name]) == 3 for name in EXPECTED)
    assert all(sum(row) == pytest.approx(1) for row in answer.get("probability", []))


def row(value: str) -> str:
    """Return a body of one row whose first value is spelled like this."""
    return '{"data": [[' + ", ".join([value, *map(json.dumps, EXAMPLE.values()[1:])]) + "]]}"


@pytest.mark.parametrize("value", BAD[FIRST.kind])
def test_what_is_not_an_acceptable_value_is_named_with_row_and_field(client: TestClient, value: str) -> None:
    """Checklist 1, 4, 10 and 11."""
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


def test_a_missing_value_is_accepted_where_it_may_be_and_else_refused(client: TestClient) -> None:
    for place, column in enumerate(Model.Features.columns()):
        values = list(EXAMPLE.values())
        values[place] = None
        named = EXAMPLE.model_dump()
        del named[column.name]
        for body in (values, named):
            answer = client.post("/predict", json={"data": [body]})
            assert answer.status_code == (200 if column.optional else 422), column.name


def test_an_unknown_or_missing_name_is_refused(client: TestClient) -> None:
    """Checklist 6."""
    values = EXAMPLE.model_dump()
    values["unknown"] = values.pop(NAMES[0])
    answer = client.post("/predict", json={"data": [values]})
    assert answer.status_code == 422
    missing = set() if FIRST.optional else {f"data[0].{NAMES[0]}"}
    assert {error["location"] for error in answer.json()["errors"]} == {*missing, "data[0]"}


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
    answer = client.post("/predict", json={"data": [[[]] * len(NAMES)] * 2000})
    assert answer.status_code == 422
    assert len(answer.content) <= 64 * 1024
    assert str(2000 * len(NAMES)) in answer.json()["detail"]
    assert len(answer.json()["errors"]) == 20


def test_as_many_rows_as_allowed_are_answered_and_one_more_is_too_large(
    client: TestClient, rows: list[list[Any]]
) -> None:
    """Checklist 8."""
    assert client.post("/predict", json={"data": rows * 10_000}).status_code == 200
    assert client.post("/predict", json={"data": rows * 10_001}).status_code == 413


class Spy:
    """Remembers the threads that a model computes in."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.threads: list[int] = []

    def compute(self, X: Any) -> Any:
        self.threads.append(threading.get_ident())
        return self.model.compute(X)


def test_other_callers_do_not_wait_for_a_big_request(
    app: Application, client: TestClient, constant: Callable[..., Served], rows: list[list[Any]], table: Table
) -> None:
    """Checklist 8: it is computed in another thread than the one that reads requests."""
    version = constant()
    spy: Any = Spy(version.runtime)
    with instead(app, client, replace(version, runtime=spy)):
        for count in (1, 1, 2_000):
            assert client.post("/predict", json={"data": rows * count}).status_code == 200
        assert client.post("/predict/csv", files={"file": ("rows.csv", table(*rows * 2_000))}).status_code == 200
    reading, again, big, big_table = spy.threads
    assert reading == again
    assert reading not in {big, big_table}


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


def test_a_csv_file_is_answered_like_rows(client: TestClient, rows: list[list[Any]], table: Table) -> None:
    uploaded = client.post("/predict/csv", files={"file": ("rows.csv", table(*rows))})
    assert uploaded.status_code == 200
    assert uploaded.json() == client.post("/predict", json={"data": rows}).json()


def test_a_bad_csv_file_is_refused_with_the_line(client: TestClient, rows: list[list[Any]], table: Table) -> None:
    """Checklist 15 and 16."""
    answer = client.post("/predict/csv", files={"file": ("rows.csv", table([*rows[0], 1]))})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "line 2"


def test_nothing_that_was_sent_is_repeated_in_an_error(client: TestClient) -> None:
    bodies = ['{"s3cret": "s3cret"', '{"data": "s3cret"}', '{"s3cret": 1}', '{"data": [{"s3cret": 1}]}']
    for body in (row('["s3cret"]'), *bodies):
        assert "s3cret" not in post(client, body).text
        assert "s3cret" not in client.post("/train", content=body, headers={"Content-Type": "application/json"}).text
    for path in ("/models/s3cret", "/jobs/s3cret", "/jobs?cursor=s3cret", "/s3cret"):
        assert "s3cret" not in client.get(path).text
    assert json.loads(post(client, row('["s3cret"]')).text)["status"] == 422


@pytest.mark.parametrize(
    "accept", ["application/x-ndjson", "text/html, application/x-ndjson;q=0.5", "Application/X-NDJSON"]
)
def test_who_accepts_lines_gets_one_for_each_row(client: TestClient, rows: list[list[Any]], accept: str) -> None:
    whole = client.post("/predict", json={"data": rows * 1234}).json()
    answer = client.post("/predict", json={"data": rows * 1234}, headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 1234
    assert {line["version"] for line in lines} == {whole["version"]}
    for name in Model.Predictions.model_fields:
        assert [line[name] for line in lines] == whole[name]


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/x-ndjson;q=0", "application/x-ndjsonx", ",;"]
)
def test_others_get_the_answer_as_a_whole(client: TestClient, rows: list[list[Any]], accept: str) -> None:
    answer = client.post("/predict", json={"data": rows}, headers={"Accept": accept})
    assert answer.headers["Content-Type"] == "application/json"


def test_nothing_of_an_upload_is_read_before_its_sender_is_known(app: Application) -> None:
    """Checklist 22."""
    asked: list[str] = []

    async def call() -> int:
        async def receive() -> Message:
            asked.append("more")
            return {"type": "http.request", "body": b"x", "more_body": True}

        statuses: list[int] = []

        async def send(message: Message) -> None:
            statuses.append(message.get("status", 0))

        headers = [(b"host", b"192.0.2.1"), (b"content-type", b"multipart/form-data; boundary=x")]
        at = {"path": "/predict/csv", "method": "POST", "query_string": b"", "scheme": "https", "headers": headers}
        await app({"type": "http", "client": ("192.0.2.7", 1), "server": ("192.0.2.1", 443)} | at, receive, send)
        return statuses[0]

    assert asyncio.run(call()) == 401
    assert asked == []
