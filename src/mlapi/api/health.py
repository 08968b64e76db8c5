"""Whether this process lives, and whether it can answer predictions. Nobody needs a key to ask."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from ..errors import ModelNotReady, Stopping
from .dependencies import EverythingBehind, ServingVersion
from .problems import documented

router = APIRouter(prefix="/health", tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["alive"] = "alive"
    """Always the same: an answer is all there is to know."""


class Ready(BaseModel):
    """The process can predict."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["ready"] = "ready"
    """Always the same; a process that is not ready answers a problem."""
    model: str
    """Name of the model."""
    version: str
    """Version that predicts."""


@router.get("/live")
async def live() -> Alive:
    """Tell that this process answers."""
    return Alive()


@router.get("/ready", responses=documented(ModelNotReady, Stopping))
async def ready(version: ServingVersion, services: EverythingBehind) -> Ready:
    """Tell that this process can predict, and with which version."""
    if services.drain.begun:
        raise Stopping("This process is about to stop. Send requests to another.")
    return Ready(model=version.model.name, version=version.version)
