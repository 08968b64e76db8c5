from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from package_name.api.app import create_app
from package_name.keys import KeyStore, Scope
from package_name.settings import Settings

OPEN = {"/health/live", "/health/ready", "/docs", "/openapi.json", "/static/{path:path}"}
"""All that strangers may read."""


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[TestClient]:
    """A caller on another machine, without a key."""
    with TestClient(app, base_url="https://192.0.2.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def keys(trained: Settings) -> Iterator[KeyStore]:
    """The service's keys; none at first and none at last."""
    store = KeyStore(trained.data_dir / "keys.json")
    yield store
    for key in store.list():
        store.revoke(key.id)


def requests(app: FastAPI) -> list[tuple[str, str]]:
    return [
        (method, path.replace("{", "").replace("}", ""))
        for path, item in app.openapi()["paths"].items()
        for method in item
        if path not in OPEN
    ]


def test_every_route_is_either_described_or_open(app: FastAPI) -> None:
    described = set(app.openapi()["paths"])
    served = {getattr(route, "path", "") for route in app.routes} - {"/static"}
    assert {route for route in served if route} - described <= OPEN
    assert all(isinstance(route, APIRoute) for route in app.routes if getattr(route, "path", "") in described)


def test_a_stranger_is_turned_away_everywhere_but_on_the_open_routes(app: FastAPI, stranger: TestClient) -> None:
    """Checklist 22."""
    asked = requests(app)
    assert len(asked) > 5
    for method, path in asked:
        assert stranger.request(method, path).status_code == 401, (method, path)
        assert stranger.request(method, f"{path}/", follow_redirects=False).status_code == 404, (method, path)
    assert stranger.post("/predict").headers["WWW-Authenticate"]
    for path in OPEN - {"/static/{path:path}"}:
        assert stranger.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"Host": "evil.example"},
        {"Host": "[::1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_proxies_and_foreign_web_pages_on_this_machine_need_a_key(client: TestClient, headers: dict[str, str]) -> None:
    """Checklist 23."""
    assert client.get("/models").status_code == 200
    assert client.get("/models", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.get("/models", headers={"Origin": "https://localhost:8443"}).status_code == 200
    assert client.get("/models", headers=headers).status_code == 401
    assert client.post("/models/1/promote", headers=headers).status_code == 401


@pytest.mark.parametrize("change", [{"require_key": True}, {"host": "0.0.0.0"}, {"host": "192.0.2.1"}])  # noqa: S104
def test_a_key_can_be_asked_for_on_loopback_too(trained: Settings, change: dict[str, Any]) -> None:
    app = create_app(trained.model_copy(update=change))
    with TestClient(app, base_url="https://127.0.0.1") as client:
        assert client.get("/models").status_code == 401


@pytest.mark.parametrize(
    ("scope", "method", "path", "allowed"),
    [
        ("predict", "POST", "/predict", True),
        ("predict", "GET", "/models", True),
        ("predict", "POST", "/train", False),
        ("predict", "POST", "/models/1/promote", False),
        ("train", "GET", "/jobs/x", True),
        ("train", "POST", "/predict", False),
        ("train", "POST", "/models/1/promote", False),
        ("admin", "POST", "/predict", True),
        ("admin", "GET", "/jobs/x", True),
        ("admin", "POST", "/models/1/promote", True),
    ],
)
def test_a_key_is_good_for_its_scope_alone(
    stranger: TestClient, keys: KeyStore, scope: Scope, method: str, path: str, *, allowed: bool
) -> None:
    """Checklist 24."""
    _, secret = keys.create("someone", [scope])
    status = stranger.request(method, path, headers={"X-API-Key": secret}).status_code
    assert (status not in {401, 403}) if allowed else (status == 403)


def test_a_revoked_key_is_worthless_at_once(stranger: TestClient, keys: KeyStore) -> None:
    """Checklist 26."""
    key, secret = keys.create("someone", ["predict"])
    assert stranger.get("/models", headers={"X-API-Key": secret}).status_code == 200
    keys.revoke(key.id)
    assert stranger.get("/models", headers={"X-API-Key": secret}).status_code == 401


@pytest.mark.parametrize("secret", ["", "wrong", "x" * 10_000, "\x7f"])
def test_a_wrong_key_is_turned_away(stranger: TestClient, keys: KeyStore, secret: str) -> None:
    keys.create("someone", ["admin"])
    assert stranger.get("/models", headers={"X-API-Key": secret}).status_code == 401
