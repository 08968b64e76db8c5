"""What a team adds to the application: guarded like the rest, however it is added, unless it is opened."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import WebSocketDenialResponse
from starlette.types import Message

from mlapi.api.app import Application
from mlapi.api.auth import require
from mlapi.api.quota import Charge
from mlapi.errors import NotAuthenticated
from mlapi.keys import Caller, KeyStore

from rig.app import create_app

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW")
PATHS = [
    "/own",
    "/own/7",
    "/own/7/parts/a/b",
    "/team/ann",
    "/team/deep/ann",
    "/plain",
    "/team/plain",
    "/files/a.txt",
    "/sub/plain",
    "/api/thing",
    "/api/docs",
    "/api/openapi.json",
    "/pages/a.txt",
]
"""A path for each way in which something may be added; GET is answered on all."""
OPENED = {"/own", "/own/*", "/team/*", "/plain", "/files/*", "/sub/*", "/api/*", "/pages/*", "/talk"}
"""What opens all of them."""


def extend(app: FastAPI, folder: Path) -> list[str]:
    """Add one of everything; return the list in which each notes that it was called."""
    called: list[str] = []

    async def plain(request: Request) -> Response:
        called.append(request.url.path)
        return PlainTextResponse("plain")

    @app.get("/own")
    @app.get("/own/{number}")
    @app.get("/own/{number}/parts/{part:path}")
    def own(number: int = 0, part: str = "") -> str:
        called.append(part)
        return str(number)

    deep = APIRouter(prefix="/deep")
    router = APIRouter(prefix="/team")
    for one in (deep, router):

        @one.get("/{name}")
        def greet(name: str) -> str:
            called.append(name)
            return name

    router.add_route("/plain", plain)
    router.include_router(deep)
    app.include_router(router)
    app.add_route("/plain", plain)
    (folder / "a.txt").write_text("a")
    app.mount("/files", StaticFiles(directory=folder))
    app.mount("/sub", Starlette(routes=[Route("/plain", plain)]))
    api = FastAPI()
    api.get("/thing")(own)
    app.mount("/api", api)
    app.frontend("/pages", directory=folder)

    @app.websocket("/talk")
    async def talk(websocket: WebSocket) -> None:
        called.append("talk")
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    return called


Own = Callable[..., Application]


@pytest.fixture
def settings(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Those with a trained version, and keys of our own."""
    return trained.model_copy(update={"data_dir": tmp_path_factory.mktemp("own")})


@pytest.fixture(params=[None, "http://127.0.0.1:1"], ids=["shortcut", "traces"])
def own(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Own]:
    """Make a service with one of everything, with and without traces: predictions take another way with them."""
    made: list[Application] = []
    changes = {"otlp_url": request.param, "trace_share": 0.0, "require_key": True}

    def make(**options: Any) -> Application:
        app = create_app(Model, settings.model_copy(update=changes), **options)
        app.state.called = extend(app, tmp_path)
        made.append(app)
        return app

    yield make
    for app in made:
        if app.traces is not None:
            app.traces.shutdown()


@pytest.fixture
def secret(settings: Settings) -> str:
    """The key of a caller who may predict."""
    return KeyStore(settings.keys_path).create("ann", ["predict"])[1]


def visitor(app: Starlette, secret: str | None = None) -> TestClient:
    headers = {"X-API-Key": secret} if secret else {}
    return TestClient(app, "https://127.0.0.1", raise_server_exceptions=False, headers=headers, follow_redirects=False)


def test_a_stranger_reaches_nothing_that_a_team_adds(own: Own) -> None:
    """Checklist 22."""
    app = own()
    stranger = visitor(app)
    for path in [*PATHS, "/files", "/files/../own", "/sub", "/api", "/pages", "/pages/", "/talk"]:
        for spelled in (path, f"{path}/", f"/{path}"):
            for method in METHODS:
                address = f"https://127.0.0.1{spelled}"  # in full, or two slashes would begin a host
                answer = stranger.request(method, address, content=b"{" if method == "POST" else None)
                assert answer.status_code == 401, (method, spelled)
                assert answer.headers["Content-Type"] == "application/problem+json"
    assert app.state.called == []


def test_a_caller_with_a_key_reaches_it_all(own: Own, secret: str) -> None:
    caller = visitor(own(), secret)
    for path in PATHS:
        assert caller.get(path).status_code == 200, path
        assert caller.get(path).headers["RateLimit"]
        head = caller.head(path)
        assert (head.status_code, head.content) == (200, b""), path
    for path in PATHS[:6]:
        for method in ("OPTIONS", "POST"):
            answer = caller.request(method, path)
            assert answer.status_code == (204 if method == "OPTIONS" else 405), path
            assert answer.headers["Allow"] == "GET, HEAD, OPTIONS", path
    assert caller.get("/own/").status_code == caller.get("/files/b.txt").status_code == 404


def test_what_is_opened_answers_strangers_and_the_rest_does_not(own: Own) -> None:
    stranger = visitor(own(public=OPENED))
    for path in PATHS:
        answer = stranger.get(path)
        assert answer.status_code == stranger.head(path).status_code == 200, path
        assert "RateLimit" not in answer.headers
    assert stranger.options("/own").headers["Allow"] == "GET, HEAD, OPTIONS"
    assert stranger.post("/own").status_code == 405
    for path in ("/own/", "/ownother", "/plain/", "/files", "/models", "/nowhere", "/talk/"):
        expected = 404 if path == "/own/" else 401  # it is below /own
        assert stranger.get(path).status_code == expected, path


def test_opening_a_path_opens_no_scope(settings: Settings, secret: str) -> None:
    app = create_app(Model, settings.model_copy(update={"require_key": True}), public={"/models", "/who"})

    @app.get("/who")
    def who(caller: Annotated[Caller, require("train")]) -> str:
        return caller.name

    stranger, caller = visitor(app), visitor(app, secret)
    assert (stranger.get("/models").status_code, caller.get("/models").status_code) == (401, 200)
    assert (stranger.get("/who").status_code, caller.get("/who").status_code) == (401, 403)
    for path in ("/models", "/who"):
        assert app.openapi()["paths"][path]["get"]["security"]


def test_a_websocket_is_refused_to_strangers(own: Own, secret: str) -> None:
    app = own()
    with pytest.raises(WebSocketDenialResponse) as refused, visitor(app).websocket_connect("/talk"):
        pass
    assert (refused.value.status_code, refused.value.json()["title"]) == (401, "Not authenticated")
    assert app.state.called == []
    with visitor(app, secret).websocket_connect("/talk") as websocket:
        assert websocket.receive_text() == "hello"
    with visitor(own(public={"/talk"})).websocket_connect("/talk") as websocket:
        assert websocket.receive_text() == "hello"


def test_a_server_that_cannot_say_why_closes_the_websocket(own: Own) -> None:
    class Older:
        """A server without the extension that refuses a websocket by an answer."""

        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def only_websocket(message: Message) -> None:
                assert message["type"].startswith("websocket."), message
                sent.append(message)
                await send(message)

            scope.pop("extensions", None)
            await self.app(scope, receive, only_websocket)

    sent: list[Message] = []
    app = own()
    with pytest.raises(Exception), TestClient(Older(app)).websocket_connect("/talk"):  # noqa: B017, PT011 - it is closed
        pass
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]


def test_a_websocket_may_ask_for_a_scope(settings: Settings, secret: str) -> None:
    app = create_app(Model, settings.model_copy(update={"require_key": True}))

    @app.websocket("/predictions")
    async def predictions(websocket: WebSocket, caller: Annotated[Caller, require("predict")]) -> None:
        await websocket.accept()
        await websocket.send_text(caller.name)
        await websocket.close()

    @app.websocket("/trainings", dependencies=[require("train")])
    async def trainings(websocket: WebSocket) -> None:
        await websocket.accept()

    with visitor(app, secret).websocket_connect("/predictions") as websocket:
        assert websocket.receive_text() == "key:ann"
    with pytest.raises(WebSocketDenialResponse) as refused, visitor(app, secret).websocket_connect("/trainings"):
        pass
    assert refused.value.status_code == 403


def test_a_web_page_elsewhere_opens_no_websocket_on_this_machine(settings: Settings) -> None:
    """Checklist 23."""
    app = create_app(Model, settings)

    @app.websocket("/talk")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    address = "wss://127.0.0.1/talk"
    here, elsewhere = {"Origin": "https://localhost:8443"}, {"Origin": "https://evil.example"}
    with visitor(app).websocket_connect(address, headers=here):
        pass
    with pytest.raises(WebSocketDenialResponse), visitor(app).websocket_connect(address, headers=elsewhere):
        pass


def test_each_request_is_charged_once(own: Own, secret: str, rows: list[list[Any]]) -> None:
    app = own()
    charged: list[str] = []

    async def charge(credential: str) -> Charge:
        charged.append(credential)
        return Charge([], 0)

    app.services.quotas.charge = charge  # type: ignore[method-assign, union-attr]
    caller = visitor(app, secret)
    app.services.champion.refresh()
    requests = {
        ("POST", "/predict"): 200,
        ("GET", "/predict"): 405,
        ("OPTIONS", "/predict"): 204,
        ("GET", "/models"): 200,
        ("GET", "/jobs"): 403,
        ("GET", "/models/9"): 404,
        ("GET", "/nowhere"): 404,
        ("POST", "/predict/csv"): 415,
        ("GET", "/own"): 200,
        ("GET", "/own/x"): 422,
        ("GET", "/plain"): 200,
        ("GET", "/files/a.txt"): 200,
        ("GET", "/files/b.txt"): 404,
        ("POST", "/files/a.txt"): 405,
        ("GET", "/api/nowhere"): 404,
    }
    for (method, path), status in requests.items():
        charged.clear()
        body = {"data": rows} if path == "/predict" and method == "POST" else None
        assert caller.request(method, path, json=body).status_code == status, (method, path)
        assert len(charged) == 1, (method, path)
    with caller.websocket_connect("/talk"):
        assert len(charged) == 2
    assert caller.get("/docs").status_code == 200
    assert len(charged) == 2


def test_a_caller_over_the_limit_is_charged_once_and_goes_no_further(own: Own, secret: str) -> None:
    app = own()
    charged: list[str] = []

    async def charge(credential: str) -> Charge:
        charged.append(credential)
        return Charge([], 7)

    app.services.quotas.charge = charge  # type: ignore[method-assign, union-attr]
    for method, path in (("POST", "/predict"), ("GET", "/plain"), ("GET", "/files/a.txt"), ("GET", "/nowhere")):
        charged.clear()
        answer = visitor(app, secret).request(method, path)
        assert (answer.status_code, answer.headers["Retry-After"], len(charged)) == (429, "7", 1), path
    assert app.state.called == []


def test_what_the_direct_route_refuses_reaches_no_other_route(settings: Settings) -> None:
    app = create_app(Model, settings.model_copy(update={"require_key": True}))
    app.router.routes.insert(0, Route("/predict", lambda _: PlainTextResponse("open"), methods=["POST"]))
    assert visitor(app).post("/predict").status_code == 401


def test_the_document_tells_what_needs_a_key(settings: Settings) -> None:
    app = create_app(Model, settings, public={"/status", "/shared/*"})
    before = app.openapi()

    @app.get("/own/{name}", operation_id="own")
    @app.get("/shared/{name}", operation_id="shared")
    def named(name: str) -> str:
        return name

    @app.get("/status")
    def status() -> str:
        """Tell how it is. Strangers may ask."""
        return "well"

    document = app.openapi()
    assert "/status" not in before["paths"]
    assert app.openapi() is document
    operations = {path: document["paths"][path]["get"] for path in ("/own/{name}", "/shared/{name}", "/status")}
    for path, operation in operations.items():
        is_guarded = path.startswith("/own")
        assert ("security" in operation) is is_guarded, path
        assert ({"401", "403", "429"} <= set(operation["responses"])) is is_guarded, path
        assert is_guarded or not {"401", "403", "429"} & set(operation["responses"]), path
    assert operations["/status"]["summary"] == "Tell how it is"
    assert operations["/own/{name}"]["summary"]


def test_below_a_prefix_the_same_is_open(settings: Settings, secret: str) -> None:
    inner = create_app(Model, settings.model_copy(update={"require_key": True}), public={"/status"})
    inner.get("/status")(lambda: "well")
    outer = Starlette()
    outer.mount("/below", inner)
    behind_a_proxy = TestClient(inner, "https://127.0.0.1", root_path="/below")
    for stranger in (visitor(outer), behind_a_proxy):
        statuses = {path: stranger.get(f"/below{path}").status_code for path in ("/status", "/docs", "/models", "/")}
        assert statuses == {"/status": 200, "/docs": 200, "/models": 401, "/": 401}
        assert stranger.get("/below/below/status").status_code == 401
    assert visitor(outer, secret).get("/below/models").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/pages"])
@pytest.mark.parametrize("kind", ["mount", "frontend"])
@pytest.mark.parametrize("up", ["..", "%2e%2e", ".%2E", "./..", "%2e/%2e%2e"])
def test_what_is_open_does_not_open_what_lies_beside_it(
    settings: Settings, tmp_path: Path, prefix: str, kind: str, up: str
) -> None:
    """Files are found by a path whose dots are resolved."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "open.txt").write_text("open")
    (tmp_path / "secret.txt").write_text("secret")
    app = create_app(Model, settings.model_copy(update={"require_key": True}), public={f"{prefix}/files/*"})
    if kind == "mount":
        app.mount(prefix or "/", StaticFiles(directory=tmp_path))
    else:
        app.frontend(prefix or "/", directory=tmp_path)
    stranger = visitor(app)
    assert stranger.get(f"{prefix}/files/open.txt").text == "open"
    assert stranger.get(f"{prefix}/files/{up}/secret.txt").status_code == 401
    assert unquote(f"{prefix}/files/{up}/secret.txt") not in app.public, "a client may send it as it is"


def test_refusals_are_counted_by_the_pattern_of_their_path(own: Own) -> None:
    app = own()
    stranger = visitor(app)
    app.mount("/", StaticFiles(directory=Path(__file__).parent))
    paths = {"/own/1": "/own/{number}", "/team/deep/x": "/team/deep/{name}", "/predict": "/predict", "/x": "other"}
    for path, pattern in paths.items():
        assert stranger.post(path).status_code == 401
        found = {
            sample.labels["route"]
            for family in app.services.metrics.requests.collect()
            for sample in family.samples
            if sample.labels.get("status") == "401"
        }
        assert pattern in found, found


def test_a_project_words_refusals_itself(settings: Settings) -> None:
    app = create_app(Model, settings.model_copy(update={"require_key": True}))

    @app.exception_handler(NotAuthenticated)
    async def ours(_request: Request, _error: Exception) -> Response:
        return Response(status_code=401, headers={"X-Ours": "yes"})

    for method, path in (("POST", "/predict"), ("GET", "/models"), ("GET", "/nowhere")):
        assert visitor(app).request(method, path).headers["X-Ours"] == "yes"


@pytest.mark.parametrize("path", ["", "status", "/*", "*", "/a*", "/*/a", "/items/{id}", "/files/**", "https://x/"])
def test_what_is_no_path_to_open_is_refused(settings: Settings, path: str) -> None:
    with pytest.raises(ValueError, match="cannot be opened"):
        create_app(Model, settings, public=[path])


def test_a_path_alone_is_no_list_of_paths(settings: Settings) -> None:
    with pytest.raises(ValueError, match="cannot be opened"):
        create_app(Model, settings, public="/status")


def test_own_dependencies_of_a_router_run_for_callers_alone(settings: Settings, secret: str) -> None:
    asked: list[str] = []
    router = APIRouter(dependencies=[Depends(lambda: asked.append("asked"))])
    router.get("/own")(lambda: "own")
    app = create_app(Model, settings.model_copy(update={"require_key": True}))
    app.include_router(router)
    assert (visitor(app).get("/own").status_code, asked) == (401, [])
    assert (visitor(app, secret).get("/own").status_code, asked) == (200, ["asked"])
