from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.testclient import TestClient

from package_name.api.direct import DirectRoute


async def only_ann(request: Request) -> None:
    if request.headers.get("x-name") != "ann":
        raise HTTPException(403)


async def hello(request: Request) -> Response:
    """Say hello."""
    return Response(await request.body(), media_type="text/plain")


def application(guard: Any = only_ann) -> FastAPI:
    app = FastAPI()
    guards = [Depends(guard)] if guard else []
    app.router.add_api_route("/hello", hello, methods=["POST"], dependencies=guards, route_class_override=DirectRoute)
    return app


def test_the_endpoint_answers_those_whom_the_guard_lets_pass() -> None:
    with TestClient(application()) as client:
        assert client.post("/hello", content="you").status_code == 403
        answer = client.post("/hello", content="you", headers={"X-Name": "ann"})
        assert (answer.status_code, answer.text) == (200, "you")
        assert client.get("/hello").status_code == 405


def test_openapi_describes_it_like_any_other() -> None:
    operation = application().openapi()["paths"]["/hello"]["post"]
    assert operation["description"] == "Say hello."


async def asks_for_a_header(x_name: Annotated[str, Header()]) -> str:
    return x_name


def blocks(request: Request) -> str:
    return request.method


@pytest.mark.parametrize("guard", [None, asks_for_a_header, blocks])
def test_a_guard_that_would_not_be_called_as_it_expects_is_refused_and_so_is_none(guard: Any) -> None:
    with pytest.raises(TypeError, match="guard"):
        application(guard)
