from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from mlapi.api.app import Application
from mlapi.api.auth import require
from mlapi.keys import LOCAL, Caller, Key, KeyStore, Scope

from rig.app import create_app

OPEN = {"/health/live", "/health/ready", "/docs", "/openapi.json"}
"""All that strangers may read, beside the files below /static."""


@pytest.fixture
def settings(trained: Settings, tmp_path: Path) -> Settings:
    """Those with a trained version, and keys of our own."""
    return trained.model_copy(update={"data_dir": tmp_path / "var"})


@pytest.fixture
def app(settings: Settings) -> Application:
    """The application with a trained model."""
    return create_app(Model, settings)


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[TestClient]:
    """A caller on another machine, without a key."""
    with TestClient(app, base_url="https://192.0.2.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def keys(settings: Settings) -> KeyStore:
    """The service's keys; none at first."""
    return KeyStore(settings.keys_path)


def requests(app: FastAPI) -> set[tuple[str, str]]:
    """Return every method of every path that the application has, described or not."""
    routes = [(route.path or "", route.methods) for route in iter_route_contexts(app.routes)]
    mounts = {path for path, methods in routes if methods is None}
    assert mounts == {"/static"}
    named = {(method, path) for path, methods in routes for method in methods or ()}
    return {(method, path.replace("{", "").replace("}", "")) for method, path in named}


def test_the_routes_that_are_found_are_all_that_are_described(app: FastAPI) -> None:
    described = {
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, item in app.openapi()["paths"].items()
        for method in item
    }
    rest = requests(app) - described
    assert described <= requests(app)
    assert {path for method, path in rest if method != "OPTIONS"} == {"/docs", "/openapi.json"}


def test_a_stranger_is_turned_away_everywhere_but_on_the_open_routes(app: FastAPI, stranger: TestClient) -> None:
    """Checklist 22. Own routes are among them; test_own_routes.py has more ways to add some."""
    own = APIRouter(prefix="/own")
    for number, add in enumerate([app.get, app.post, own.get, own.delete]):
        add(f"/route{number}/{{name}}", name=f"route{number}")(lambda name: name)
    app.include_router(own)
    app.add_route("/plain", lambda _: PlainTextResponse("plain"))
    guarded = {path for _, path in requests(app)} - OPEN
    assert {"/route1/name", "/own/route2/name", "/plain"} < guarded
    assert len(guarded) > 15
    for path in [*guarded, "/", "/nowhere", "/metrics", "/docs/", "/static", "/redoc", "/.env", "//predict"]:
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
            for spelled in (path, f"{path}/"):
                if spelled == "/static/":
                    continue
                answer = stranger.request(method, spelled, follow_redirects=False)
                assert answer.status_code == 401, (method, spelled)
                assert {"Bearer", "ApiKey"} == set(answer.headers["WWW-Authenticate"].split(", "))
    for path in OPEN:
        assert stranger.get(path).status_code == stranger.head(path).status_code == 200, path
        assert stranger.post(path).status_code == 405, path
    assert stranger.get("/static/swagger-ui.css").status_code == 200
    assert stranger.get("/static/nothing").status_code == 404


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "multipart/form-data; boundary=x", "nonsense"])
def test_what_a_stranger_sends_is_not_judged(app: FastAPI, stranger: TestClient, kind: str) -> None:
    """Checklist 22."""
    for method, path in requests(app):
        if method in {"POST", "PUT"} and path not in OPEN:
            answer = stranger.request(method, path, content=b"{", headers={"Content-Type": kind})
            assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE"])
def test_who_has_a_key_learns_what_there_is(stranger: TestClient, keys: KeyStore, method: str) -> None:
    stranger.headers["X-API-Key"] = keys.create("someone", ["predict"])[1]
    assert stranger.request(method, "/nowhere").status_code == 404
    expected = {"GET": 405, "HEAD": 405, "OPTIONS": 204, "POST": 422, "DELETE": 405}
    answer = stranger.request(method, "/predict")
    assert answer.status_code == expected[method]
    if answer.status_code in {204, 405}:
        assert answer.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"Host": "evil.example"},
        {"Via": "1.1 proxy"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "127.0.0.1"},
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


@pytest.mark.parametrize("change", [{"require_key": True}, {"host": "0.0.0.0"}, {"host": "192.0.2.1"}])
def test_a_key_can_be_asked_for_on_loopback_too(trained: Settings, change: dict[str, Any]) -> None:
    app = create_app(Model, trained.model_copy(update=change))
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


def test_a_key_is_good_as_a_bearer_too(stranger: TestClient, keys: KeyStore) -> None:
    _, secret = keys.create("someone", ["predict"])
    for scheme in ("Bearer", "bearer"):
        assert stranger.get("/models", headers={"Authorization": f"{scheme} {secret}"}).status_code == 200
    for wrong in (f"Basic {secret}", "Bearer", "Bearer ", f"Bearer {secret}x", f"Bearer {secret} x", secret):
        assert stranger.get("/models", headers={"Authorization": wrong}).status_code == 401, wrong
    both = {"Authorization": f"Bearer {secret}", "X-API-Key": "wrong"}
    assert stranger.get("/models", headers=both).status_code == 401


def test_a_forged_header_of_a_proxy_changes_no_decision(stranger: TestClient, keys: KeyStore) -> None:
    """Checklist 23."""
    _, secret = keys.create("someone", ["predict"])
    for name in ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "X-Forwarded-Proto"):
        for value in ("127.0.0.1", "localhost", "for=127.0.0.1", "http", "\x7f"):
            assert stranger.get("/models", headers={name: value}).status_code == 401
            assert stranger.get("/models", headers={name: value, "X-API-Key": secret}).status_code == 200


@pytest.mark.parametrize("secret", ["", "wrong", "x" * 10_000, "\x7f"])
def test_a_wrong_key_is_turned_away(stranger: TestClient, keys: KeyStore, secret: str) -> None:
    keys.create("someone", ["admin"])
    assert stranger.get("/models", headers={"X-API-Key": secret}).status_code == 401


def test_an_endpoint_learns_who_calls_by_one_check(app: Application, keys: KeyStore) -> None:
    asked: list[str] = []

    @app.get("/who", dependencies=[require("train")])
    def who(caller: Annotated[Caller, require("train")]) -> str:
        return caller.name

    def find(secret: str) -> Key | None:
        asked.append(secret)
        return keys.find(secret)

    app.services.keys.find = find  # type: ignore[method-assign]
    _, secret = keys.create("ann", ["train"])
    with TestClient(app, base_url="https://192.0.2.1") as stranger:
        assert stranger.get("/who", headers={"X-API-Key": secret}).json() == "key:ann"
    assert asked == [secret]
    with TestClient(app, base_url="https://127.0.0.1") as local:
        assert local.get("/who").json() == LOCAL.name
