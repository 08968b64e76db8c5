from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from mlapi.api.app import Application
from mlapi.api.direct import DirectRoute, Shortcut, direct_routes


async def only_ann(request: Request) -> None:
    if request.headers.get("x-name") != "ann":
        raise HTTPException(403)


async def hello(request: Request) -> Response:
    """Say hello."""
    return Response(await request.body(), media_type="text/plain")


def application(guard: Any = only_ann, path: str = "/hello") -> FastAPI:
    app = FastAPI()
    guards = [Depends(guard)] if guard else []
    app.router.add_api_route(path, hello, methods=["POST"], dependencies=guards, route_class_override=DirectRoute)
    return app


def by_the_shortcut(guard: Any = only_ann) -> ASGIApp:
    app = application(guard)
    app.add_middleware(Shortcut, routes=direct_routes(app.router.routes))
    return app


@pytest.mark.parametrize("way", [application, by_the_shortcut])
def test_the_endpoint_answers_those_whom_the_guard_lets_pass(way: Callable[[], ASGIApp]) -> None:
    client = TestClient(way())
    assert client.post("/hello", content="you").status_code == 403
    answer = client.post("/hello", content="you", headers={"X-Name": "ann"})
    assert (answer.status_code, answer.text) == (200, "you")


def test_other_methods_and_paths_are_left_to_the_router() -> None:
    client = TestClient(application())
    assert (client.get("/hello").status_code, client.post("/elsewhere").status_code) == (405, 404)
    client = TestClient(Shortcut(PlainTextResponse("the long way"), direct_routes(application().router.routes)))
    assert client.post("/hello", content="you", headers={"X-Name": "ann"}).text == "you"
    assert {client.get("/hello").text, client.post("/elsewhere").text} == {"the long way"}


async def falls(request: Request) -> None:
    raise ArithmeticError(request.method)


async def stumbles(_: Request) -> None:
    raise RequestValidationError([])


def test_an_error_is_for_its_handler_and_raised_if_it_has_none() -> None:
    assert TestClient(by_the_shortcut(stumbles)).post("/hello").status_code == 422
    with pytest.raises(ArithmeticError):
        TestClient(by_the_shortcut(falls)).post("/hello")


def test_what_has_raised_an_error_is_not_tried_again() -> None:
    tries = []

    async def turns_away(request: Request) -> None:
        tries.append(request.method)
        raise HTTPException(403)

    assert TestClient(by_the_shortcut(turns_away)).post("/hello").status_code == 403
    assert tries == ["POST"]


@pytest.mark.parametrize("is_direct", [True, False])
def test_the_router_answers_directly_too_where_nothing_stands_before(
    monkeypatch: pytest.MonkeyPatch, *, is_direct: bool
) -> None:
    answered = []
    respond = DirectRoute.respond

    async def noted(route: DirectRoute, request: Request) -> Response:
        answered.append(route.path)
        return await respond(route, request)

    monkeypatch.setattr(DirectRoute, "respond", noted)
    app: Any = application()
    app.direct = direct_routes(app.router.routes) if is_direct else {}
    assert TestClient(app).post("/hello", headers={"X-Name": "ann"}).status_code == 200
    assert answered == (["/hello"] if is_direct else [])


def test_openapi_describes_it_like_any_other() -> None:
    operation = application().openapi()["paths"]["/hello"]["post"]
    assert operation["description"] == "Say hello."


async def asks_for_a_header(x_name: Annotated[str, Header()]) -> str:
    return x_name


def blocks(request: Request) -> str:
    return request.method


def test_the_service_brings_predictions_to_their_route_past_everything_that_other_routes_need(app: Application) -> None:
    innermost: Any = app.user_middleware[-1].cls
    assert innermost is Shortcut
    assert list(app.direct) == [("POST", "/predict")]


def test_a_path_with_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match="no parameters"):
        application(path="/hello/{name}")


@pytest.mark.parametrize("guard", [None, asks_for_a_header, blocks])
def test_a_guard_that_would_not_be_called_as_it_expects_is_refused_and_so_is_none(guard: Any) -> None:
    with pytest.raises(TypeError, match="guard"):
        application(guard)
