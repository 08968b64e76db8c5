"""The model's versions: what there is, what serves, and a change of that."""

from typing import Annotated

from fastapi import APIRouter, Path

from ..errors import BadInput, InvalidModelVersion, ModelVersionNotFound, NotAllowed, NotAuthenticated
from ..ml import Model
from ..serving.registry import Registry
from .auth import require
from .dependencies import ModelRegistry
from .problems import documented
from .schemas import ModelVersion, ModelVersionDetails, ModelVersions

router = APIRouter(
    prefix="/models", tags=["models"], responses=documented(NotAuthenticated, NotAllowed, InvalidModelVersion)
)

Version = Annotated[str, Path(description="Number of the version.", examples=["1"])]


@router.get("", dependencies=[require("predict")])
def list_versions(registry: ModelRegistry) -> ModelVersions:
    """List all versions, newest first."""
    return ModelVersions(model=Model.name, versions=[describe(registry, version) for version in registry.versions()])


@router.get("/{version}", dependencies=[require("predict")], responses=documented(ModelVersionNotFound, BadInput))
def get_version(version: Version, registry: ModelRegistry) -> ModelVersionDetails:
    """Show how a version was made and how good it is."""
    return ModelVersionDetails(**describe(registry, version).model_dump(), manifest=registry.manifest(version))


@router.post(
    "/{version}/promote", dependencies=[require("admin")], responses=documented(ModelVersionNotFound, BadInput)
)
def promote(version: Version, registry: ModelRegistry) -> ModelVersion:
    """Make a version the one that serves: roll back, or forward. All serving processes follow within two seconds."""
    registry.promote(version)
    return describe(registry, version)


def describe(registry: Registry, version: str) -> ModelVersion:
    """Return a version in short."""
    manifest = registry.manifest(version)
    return ModelVersion(
        version=version,
        champion=version == registry.champion(),
        created_at=manifest.created_at,
        metrics=manifest.metrics,
    )
