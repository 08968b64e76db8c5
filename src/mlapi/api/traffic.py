"""Which versions get requests: the champion, and those that are tried beside it."""

from typing import Annotated

from fastapi import APIRouter, Query

from ..errors import (
    BadInput,
    IncompatibleModelVersion,
    InvalidModelVersion,
    ModelVersionNotFound,
    NotAllowed,
    NotAuthenticated,
    PickleNotAllowed,
)
from ..serving import champion
from ..serving.registry import Traffic
from .auth import require
from .dependencies import EverythingBehind, ModelRegistry
from .problems import documented

router = APIRouter(
    prefix="/traffic",
    tags=["models"],
    responses=documented(NotAuthenticated, NotAllowed, BadInput, InvalidModelVersion, ModelVersionNotFound),
)

UNFIT = documented(IncompatibleModelVersion, PickleNotAllowed)
"""Errors of a version that may not answer here."""

Version = Annotated[str, Query(description="Number of the version.", examples=["2"])]
Share = Annotated[float, Query(ge=0, le=1, description="Share of the requests, 0 to 1.", examples=[0.05])]


@router.get("", dependencies=[require("predict")])
def show_traffic(registry: ModelRegistry) -> Traffic:
    """Show which versions get requests."""
    traffic = registry.traffic()
    if traffic is None:
        raise ModelVersionNotFound("No version serves yet.")
    return traffic


@router.put(
    "/canary", dependencies=[require("admin")], responses=documented(IncompatibleModelVersion, PickleNotAllowed)
)
def set_canary(version: Version, share: Share, services: EverythingBehind) -> Traffic:
    """Let a version answer a share of the requests. All serving processes follow within two seconds."""
    return champion.canary(services.model, services.registry, version, share, services.settings.max_model_bytes)


@router.put(
    "/shadow", dependencies=[require("admin")], responses=documented(IncompatibleModelVersion, PickleNotAllowed)
)
def set_shadow(version: Version, services: EverythingBehind) -> Traffic:
    """Compare a version's answers with those that are sent. The metrics tell how often they differ."""
    return champion.shadow(services.model, services.registry, version, services.settings.max_model_bytes)


@router.delete("/canary", dependencies=[require("admin")])
def drop_canary(registry: ModelRegistry) -> Traffic:
    """Let the champion answer all requests again."""
    return registry.drop("canary")


@router.delete("/shadow", dependencies=[require("admin")])
def drop_shadow(registry: ModelRegistry) -> Traffic:
    """Stop comparing answers."""
    return registry.drop("shadow")
