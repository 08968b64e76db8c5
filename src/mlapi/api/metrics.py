"""What the service counts and measures, for Prometheus."""

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from ..errors import NotAllowed, NotAuthenticated
from ..monitoring.metrics import MEDIA_TYPE
from .auth import require
from .dependencies import EverythingBehind
from .problems import documented

TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The text format of Prometheus."}
"""What a scrape answers, for OpenAPI."""

router = APIRouter(
    tags=["health"], dependencies=[require("metrics")], responses=documented(NotAuthenticated, NotAllowed)
)


@router.get("/metrics", response_class=Response, responses={200: TEXT})
async def metrics(services: EverythingBehind) -> Response:
    """Return the metrics of all serving processes. The page on monitoring says what they mean."""
    version = services.champion.served.version if services.champion.served else None
    return Response(await run_in_threadpool(services.metrics.text, version), media_type=MEDIA_TYPE)
