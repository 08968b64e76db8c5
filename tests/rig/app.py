"""The application as `main.py` makes it, for settings of a test's own."""

from collections.abc import Iterable

from sample.settings import Settings

from mlapi.api.app import Application
from mlapi.ml.base import SupervisedModel
from mlapi.service import Service


def create_app(model: type[SupervisedModel], settings: Settings, public: Iterable[str] = ()) -> Application:
    """Return an application with all that a service can expose."""
    service = Service(model, settings)
    app = service.create_app(public)
    for router in (service.predictions, service.training, service.jobs, service.batches, service.models):
        app.include_router(router)
    return app
