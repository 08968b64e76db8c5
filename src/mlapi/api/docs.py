"""Interactive documentation of the API at `/docs`. Its assets come from this package, so a closed network will do."""

import re
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from .dependencies import EverythingBehind

STATIC = Path(__file__).parent / "static"
"""Directory of the assets."""
POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and do: its own assets, the one script that stands in it, and calls of this service."""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(services: EverythingBehind) -> HTMLResponse:
    """Show the API's documentation; addresses are relative, so that it works under any prefix."""
    page = _page(services.settings.about.name)
    scripts = " ".join(f"'sha256-{digest}'" for digest in _digests(page))
    headers = {"Content-Security-Policy": POLICY.format(scripts=scripts), "Cache-Control": "no-cache"}
    return HTMLResponse(page, headers=headers)


@cache
def _page(title: str) -> str:
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=title,
        swagger_js_url="static/swagger-ui-bundle.js",
        swagger_css_url="static/swagger-ui.css",
        swagger_favicon_url="static/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # or it would send this service's address to a host elsewhere
    )
    return bytes(page.body).decode()


def _digests(page: str) -> Iterator[str]:
    """Return the digests by which a policy names the scripts that stand in a page."""
    for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL):
        yield b64encode(sha256(script.encode()).digest()).decode()


class Assets(StaticFiles):
    """Files that do not change while the service runs, so that browsers may keep them."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return the answer that holds a file."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def install(app: FastAPI) -> None:
    """Add the assets of the documentation."""
    app.mount("/static", Assets(directory=STATIC), name="static")
