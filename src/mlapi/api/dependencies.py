"""What endpoints need, as annotated types."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, Request
from fastapi.requests import HTTPConnection

from ..errors import ModelNotReady
from ..ml.base import SupervisedModel
from ..monitoring.metrics import Metrics
from ..serving.cache import AnswerCache
from ..serving.champion import Champion, Served
from ..serving.microbatch import MicroBatcher
from ..serving.prediction import Predictor
from ..serving.registry import Registry
from ..serving.shadow import Shadow
from ..settings import Settings

if TYPE_CHECKING:
    from ..jobs.store import Jobs
    from ..keys import KeyStore
    from ..tokens import Issuer
    from .drain import Drain
    from .quota import Quotas

Header = tuple[bytes, bytes]
"""Name in small letters, and value."""


NOT_READY = "No model version serves yet. Train one: POST /train, or `make train`."
"""What a caller is told before the first version is promoted."""


@dataclass(frozen=True)
class Services:
    """What stands behind the endpoints; the application holds it."""

    model: type[SupervisedModel]
    """The class of the model that is served."""
    settings: Settings
    """How the service runs."""
    registry: Registry
    """The model's versions."""
    champion: Champion
    """The version that serves."""
    metrics: Metrics
    """What is counted and measured."""
    cache: AnswerCache | None
    """Answers that are kept, if any are."""
    shadow: Shadow
    """What compares a version that is tried."""
    predictor: Predictor
    """What predicts, and counts what it predicts."""
    batcher: MicroBatcher
    """What has it predict the rows of several callers together."""
    jobs: "Jobs"
    """Background work."""
    keys: "KeyStore"
    """Who may call."""
    drain: "Drain"
    """Whether the process is about to stop."""
    issuer: "Issuer | None"
    """Who else may call: bearers of its tokens. None unless the settings name one."""
    quotas: "Quotas | None"
    """How often each may call. None if there are no limits, or nobody is asked for a credential."""
    large: CapacityLimiter
    """Lets only so many large requests be computed at once: more would hold each other up, and the small ones too."""
    needs_key: bool
    """Whether every caller needs a credential; the settings know, after some thought."""


def services(request: HTTPConnection) -> Services:
    """Return what stands behind the endpoints."""
    found: Services = request.scope["app"].services
    return found


async def everything_behind(request: Request) -> Services:
    """Return what stands behind the endpoints. Not a plain function, because those are called in another thread."""
    return services(request)


EverythingBehind = Annotated[Services, Depends(everything_behind)]


async def served(request: Request) -> Served:
    """Return the version that answers a request, the champion or the canary; the request keeps it to its end.

    Raises:
        ModelNotReady: none has been trained and promoted yet.

    """
    version = services(request).champion.choose()
    if version is None:
        raise ModelNotReady(NOT_READY)
    return version


ServedVersion = Annotated[Served, Depends(served)]


async def serving(request: Request) -> Served:
    """Return the champion.

    Raises:
        ModelNotReady: none has been trained and promoted yet.

    """
    version = services(request).champion.served
    if version is None:
        raise ModelNotReady(NOT_READY)
    return version


ServingVersion = Annotated[Served, Depends(serving)]


async def registry(request: Request) -> Registry:
    """Return the model registry."""
    return services(request).registry


ModelRegistry = Annotated[Registry, Depends(registry)]


async def jobs(request: Request) -> "Jobs":
    """Return the background jobs."""
    return services(request).jobs


BackgroundJobs = Annotated["Jobs", Depends(jobs)]


def note(scope: Any, *headers: Header) -> None:
    """Give the answer to a request more headers, whatever the answer will be."""
    scope["state"].setdefault("headers", []).extend(headers)
