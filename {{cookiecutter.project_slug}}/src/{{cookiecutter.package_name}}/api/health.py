"""Whether this process lives, and whether it can answer predictions. Nobody needs a key to ask."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from ..errors import ModelNotReady
from ..ml import Model
from .dependencies import ServedVersion
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


@router.head("/live", include_in_schema=False)
@router.get("/live")
async def live() -> Alive:
    """Tell that this process answers."""
    return Alive()


@router.head("/ready", include_in_schema=False)
@router.get("/ready", responses=documented(ModelNotReady))
async def ready(version: ServedVersion) -> Ready:
    """Tell that this process can predict, and with which version."""
    return Ready(model=Model.name, version=version.version)
