import itertools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from mlapi.api import envelope

Serve = Callable[..., AbstractContextManager[TestClient]]


def test_each_request_is_one_line_without_query_or_payload(
    serve: Serve, capsys: pytest.CaptureFixture[str], rows: list[list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 26 and 43."""
    monkeypatch.setattr(envelope, "perf_counter", itertools.count(0, 0.25).__next__)
    with serve(log_format="json") as client:
        answer = client.post("/predict?s3cret=s3cret", json={"data": rows}, headers={"X-API-Key": "s3cret"})
        client.get("/nowhere?s3cret")
    text = capsys.readouterr().err
    first, second = (json.loads(line) for line in text.splitlines() if '"access"' in line)
    assert "s3cret" not in text
    assert first["request_id"] == answer.headers["X-Request-ID"]
    assert (first["method"], first["path"], first["status"]) == ("POST", "/predict", 200)
    assert (first["caller"], first["bytes"]) == ("local", len(answer.content))
    assert first["milliseconds"] == 250
    assert (second["path"], second["status"]) == ("/nowhere", 404)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("evil", ["%0A2026-01-01%20ERROR%20forged", "%1b[31m", '"}', "%E2%80%A8x", "%00", "a" * 5000])
def test_no_request_can_forge_a_line(
    serve: Serve, capsys: pytest.CaptureFixture[str], log_format: str, evil: str
) -> None:
    """Checklist 41."""
    with serve(log_format=log_format) as client:
        client.get(f"/models/{evil}")
    written = [line for line in capsys.readouterr().err.split("\n") if "access" in line]
    assert len(written) == 1
    assert len(written[0]) < 600
    assert all(" " <= character <= "~" for character in written[0])


@pytest.mark.parametrize("changes", [{"access_log": False}, {"log_level": "warning"}])
def test_the_lines_of_requests_can_be_switched_off(
    serve: Serve, capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    with serve(**changes) as client:
        client.get("/health/live")
    assert "access" not in capsys.readouterr().err
