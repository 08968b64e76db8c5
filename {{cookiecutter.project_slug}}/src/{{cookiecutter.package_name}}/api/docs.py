"""Interactive documentation of the API at `/docs`. Its assets come from this package, so a closed network will do."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from ..about import about

STATIC = Path(__file__).parent / "static"
"""Directory of the assets."""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Show the API's documentation; addresses are relative, so that it works under any prefix."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=about().name,
        swagger_js_url="static/swagger-ui-bundle.js",
        swagger_css_url="static/swagger-ui.css",
        swagger_favicon_url="static/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # or it would send this service's address to a host elsewhere
    )


def install(app: FastAPI) -> None:
    """Add the documentation and its assets."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
