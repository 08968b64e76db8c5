"""What endpoints need, as annotated types."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from ..errors import ModelNotReady
from ..serving.champion import Champion, Served
from ..serving.registry import Registry
from ..settings import Settings

if TYPE_CHECKING:
    from ..jobs.store import Jobs
    from ..keys import KeyStore


@dataclass(frozen=True)
class Services:
    """What stands behind the endpoints; `create_app` puts it on `app.state`."""

    settings: Settings
    """How the service runs."""
    registry: Registry
    """The model's versions."""
    champion: Champion
    """The version that serves."""
    jobs: "Jobs"
    """Background work."""
    keys: "KeyStore"
    """Who may call."""


def services(request: Request) -> Services:
    """Return what stands behind the endpoints."""
    found: Services = request.app.state.services
    return found


EverythingBehind = Annotated[Services, Depends(services)]


def served(request: Request) -> Served:
    """Return the version that serves now; a request keeps it from beginning to end.

    Raises:
        ModelNotReady: none has been trained and promoted yet.

    """
    version = services(request).champion.served
    if version is None:
        raise ModelNotReady("No model version serves yet. Train one: POST /train, or `make train`.")
    return version


ServedVersion = Annotated[Served, Depends(served)]


def registry(request: Request) -> Registry:
    """Return the model registry."""
    return services(request).registry


ModelRegistry = Annotated[Registry, Depends(registry)]


def jobs(request: Request) -> "Jobs":
    """Return the background jobs."""
    return services(request).jobs


BackgroundJobs = Annotated["Jobs", Depends(jobs)]
