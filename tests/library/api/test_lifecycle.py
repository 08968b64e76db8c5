from datetime import UTC, datetime, timedelta, timezone

from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlapi.api.auth import require
from mlapi.api.lifecycle import deprecated_since

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SUNSET = datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))


def test_a_route_that_ends_says_so_on_every_answer(app: FastAPI, client: TestClient) -> None:
    @app.get("/old", deprecated=True, dependencies=[deprecated_since(SINCE, SUNSET, "/new"), require("predict")])
    def old(number: int) -> int:
        """Do as one did."""
        return number

    for path, status in (("/old?number=1", 200), ("/old?number=x", 422)):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["Deprecation"] == f"@{int(SINCE.timestamp())}"
        assert answer.headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
        assert answer.headers["Link"] == '</new>; rel="successor-version"'
    assert "Deprecation" not in client.get("/models").headers
    stranger = client.get("/old?number=1", headers={"Via": "1.1 proxy"})
    assert (stranger.status_code, "Deprecation" in stranger.headers) == (401, False)
    assert app.openapi()["paths"]["/old"]["get"]["deprecated"] is True


def test_when_it_ends_and_what_comes_instead_may_be_left_out(app: FastAPI, client: TestClient) -> None:
    @app.get("/older", dependencies=[deprecated_since(SINCE)])
    def older() -> int:
        return 1

    answer = client.get("/older")
    assert answer.headers["Deprecation"]
    assert "Sunset" not in answer.headers
    assert "Link" not in answer.headers
