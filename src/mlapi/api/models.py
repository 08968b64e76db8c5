"""The model's versions: what there is, what serves, and a change of that."""

import logging
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Response

from ..errors import (
    BadInput,
    IncompatibleModelVersion,
    InvalidModelVersion,
    ModelVersionNotFound,
    NotAllowed,
    NotAuthenticated,
    PickleNotAllowed,
)
from ..ml.manifest import Manifest
from ..serving import champion
from ..serving.registry import Registry
from .auth import require
from .conditional import IfNoneMatch, conditional, documented_tag
from .dependencies import EverythingBehind, ModelRegistry
from .problems import documented
from .schemas import ModelVersion, ModelVersionDetails, ModelVersions

log = logging.getLogger(__name__)

router = APIRouter(
    prefix="/models", tags=["models"], responses=documented(NotAuthenticated, NotAllowed, InvalidModelVersion)
)

Version = Annotated[str, Path(description="Number of the version.", examples=["1"])]


@router.get(
    "",
    dependencies=[require("predict")],
    response_model=ModelVersions,
    responses=documented_tag() | documented(BadInput),
)
def list_versions(services: EverythingBehind, if_none_match: IfNoneMatch = None) -> Response:
    """List all versions, newest first."""
    registry = services.registry
    versions = list(_readable(registry, registry.champion()))
    return conditional(ModelVersions(model=services.model.name, versions=versions), if_none_match)


@router.get(
    "/{version}",
    dependencies=[require("predict")],
    response_model=ModelVersionDetails,
    responses=documented_tag() | documented(ModelVersionNotFound, BadInput),
)
def get_version(version: Version, registry: ModelRegistry, if_none_match: IfNoneMatch = None) -> Response:
    """Show how a version was made and how good it is."""
    manifest = registry.manifest(version)
    shown = describe(version, manifest, registry.champion()).model_dump()
    return conditional(ModelVersionDetails(**shown, manifest=manifest), if_none_match)


@router.post(
    "/{version}/promote",
    dependencies=[require("admin")],
    responses=documented(ModelVersionNotFound, IncompatibleModelVersion, PickleNotAllowed, BadInput),
)
def promote(version: Version, services: EverythingBehind) -> ModelVersion:
    """Make a version the one that serves: roll back, or forward. All serving processes follow within two seconds."""
    champion.promote(services.model, services.registry, version, services.settings.max_model_bytes)
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
