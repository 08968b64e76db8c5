"""A service: one model, the settings that it is served with, and what of it an application exposes."""

from collections.abc import Iterable
from functools import cached_property

from .loading import loading

with loading():
    from fastapi import APIRouter

    from .api import app, batches, jobs, models, predict, results, traffic, training
    from .ml.base import SupervisedModel
    from .settings import Settings


class Service:
    """A model and the settings that it is served with. It makes the application, and a router of each group of routes.

    The application exposes the groups that it includes::

        service = Service(Model, Settings())

        app = service.create_app()
        app.include_router(service.predictions)
        app.include_router(service.training)
    """

    def __init__(self, model: type[SupervisedModel], settings: Settings) -> None:
        """Serve a model, given as its class, as the settings say."""
        self.model = model
        """The class of the model."""
        self.settings = settings
        """The settings that it is served with."""

    def create_app(self, public: Iterable[str] = ()) -> app.Application:
        """Return a FastAPI application with keys, limits, problems, `/health`, `/metrics` and `/docs`.

        Every path needs a credential, also those of routes, mounts and websockets that are added to it.

        Args:
            public: Paths that need none: `/status` is that path alone, `/files/*` stands for all below `/files`.

        Raises:
            ValueError: one of `public` is no path.

        """
        return app.create_app(self.model, self.settings, public)

    @cached_property
    def predictions(self) -> APIRouter:
        """Router of `POST /predict` and `POST /predict/csv`."""
        return predict.router(self.model, self.settings.max_rows)

    @cached_property
    def training(self) -> APIRouter:
        """Router of `POST /train`."""
        return training.router(self.model)

    @property
    def jobs(self) -> APIRouter:
        """Router of `GET /jobs`, `GET /jobs/{id}` and `POST /jobs/{id}/cancel`."""
        return jobs.router

    @cached_property
    def batches(self) -> APIRouter:
        """Router of `POST /batches`, and of the files that such jobs make."""
        return _joined(batches.router, results.router)

    @cached_property
    def models(self) -> APIRouter:
        """Router of `/models` and `/traffic`: the versions, and which of them get requests."""
        return _joined(models.router, traffic.router)


def _joined(*parts: APIRouter) -> APIRouter:
    router = APIRouter()
    for part in parts:
        router.include_router(part)
    return router
