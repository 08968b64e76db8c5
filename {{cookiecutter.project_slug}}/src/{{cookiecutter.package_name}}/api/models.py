"""The model's versions: what there is, what serves, and a change of that."""

import logging
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path

from ..errors import (
    BadInput,
    IncompatibleModelVersion,
    InvalidModelVersion,
    ModelVersionNotFound,
    NotAllowed,
    NotAuthenticated,
)
from ..ml import Model
from ..ml.manifest import Manifest
from ..serving import champion
from ..serving.registry import Registry
from .auth import require
from .dependencies import EverythingBehind, ModelRegistry
from .problems import documented
from .schemas import ModelVersion, ModelVersionDetails, ModelVersions

log = logging.getLogger(__name__)

router = APIRouter(
    prefix="/models", tags=["models"], responses=documented(NotAuthenticated, NotAllowed, InvalidModelVersion)
)

Version = Annotated[str, Path(description="Number of the version.", examples=["1"])]


@router.get("", dependencies=[require("predict")])
def list_versions(registry: ModelRegistry) -> ModelVersions:
    """List all versions, newest first."""
    return ModelVersions(model=Model.name, versions=list(_readable(registry, registry.champion())))


@router.get("/{version}", dependencies=[require("predict")], responses=documented(ModelVersionNotFound, BadInput))
def get_version(version: Version, registry: ModelRegistry) -> ModelVersionDetails:
    """Show how a version was made and how good it is."""
    manifest = registry.manifest(version)
    return ModelVersionDetails(**describe(version, manifest, registry.champion()).model_dump(), manifest=manifest)


@router.post(
    "/{version}/promote",
    dependencies=[require("admin")],
    responses=documented(ModelVersionNotFound, IncompatibleModelVersion, BadInput),
)
def promote(version: Version, services: EverythingBehind) -> ModelVersion:
    """Make a version the one that serves: roll back, or forward. All serving processes follow within two seconds."""
    champion.promote(services.registry, version, services.settings.max_model_bytes)
    return describe(version, services.registry.manifest(version), version)


def _readable(registry: Registry, champion: str | None) -> Iterator[ModelVersion]:
    """Describe the versions that can be; one broken record must not hide the others."""
    for version in registry.versions():
        try:
            yield describe(version, registry.manifest(version), champion)
        except (InvalidModelVersion, ModelVersionNotFound) as error:
            log.warning("version %s is not listed: %s", version, error.detail)


def describe(version: str, manifest: Manifest, champion: str | None) -> ModelVersion:
    """Return a version in short; `champion` is the one that serves."""
    return ModelVersion(
        version=version,
        champion=version == champion,
        created_at=manifest.created_at,
        metrics=manifest.metrics,
    )
