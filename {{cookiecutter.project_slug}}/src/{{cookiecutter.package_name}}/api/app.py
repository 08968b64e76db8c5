"""The application factory: settings in, ASGI application out."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from .. import __version__
from ..about import about
from ..errors import ServiceError
from ..jobs.store import Jobs
from ..keys import KeyStore
from ..ml import Model
from ..serving.champion import Champion
from ..serving.registry import Registry
from ..settings import Settings
from . import docs, health, jobs, models, problems
from .dependencies import Services
from .limits import BodyLimit
from .predict import predict_router
from .schemas import predict_request

log = logging.getLogger(__name__)


class Service(FastAPI):
    """An application whose OpenAPI document also holds the models that are read and written beside FastAPI."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = super().openapi()
            self.openapi_schema["components"]["schemas"] |= self.state.components
            for item in self.openapi_schema["paths"].values():
                for operation in item.values():  # the name of a function says less than what it does
                    operation["summary"] = operation["description"].partition(".")[0]
        return self.openapi_schema


def create_app(settings: Settings) -> FastAPI:
    """Return the service as these settings describe it."""
    registry = Registry(settings.models_dir, Model.name)
    services = Services(
        settings=settings,
        registry=registry,
        champion=Champion(registry, settings.max_model_bytes),
        jobs=Jobs(settings),
        keys=KeyStore(settings.data_dir / "keys.json"),
    )
    app = Service(
        title=about().name,
        summary=about().description,
        version=__version__,
        contact={"name": about().author, "url": about().repository},
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the redirect would name whatever host the caller names
        generate_unique_id_function=lambda route: route.name,
        responses=problems.documented(ServiceError),
    )
    app.state.components = _components(settings)
    app.state.services = services
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    problems.install(app)
    app.include_router(predict_router(settings.max_rows))
    app.include_router(jobs.router)
    app.include_router(models.router)
    app.include_router(health.router)
    docs.install(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the champion, then follow it for as long as the application runs."""
    services: Services = app.state.services
    services.champion.refresh()
    follower = asyncio.create_task(services.champion.follow(services.settings.refresh_seconds))
    try:
        yield
    finally:
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower
        services.jobs.close()


def _components(settings: Settings) -> dict[str, Any]:
    """Return the JSON Schemas of what the endpoints read themselves and of the problems that a handler writes."""
    models: list[Any] = [
        (predict_request(settings.max_rows), "validation"),
        (Model.Hyperparameters, "validation"),
        (problems.Problem, "serialization"),
    ]
    schemas: dict[str, Any] = models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]
    return schemas
