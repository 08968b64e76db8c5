"""From a candidate to a version: published, promoted if the policy says so, and nothing left behind."""

import shutil
from typing import Any

from ..errors import TrainingFailed
from ..ml import Model
from ..serving.registry import Policy, Registry
from ..settings import Settings


def publish(settings: Settings, run: str) -> str:
    """Publish a run's candidate, once however often this is repeated, and return its version.

    Raises `TrainingFailed` if the disk does not take it.
    """
    registry = Registry(settings.models_dir, Model.name)
    try:
        return registry.publish(registry.candidate(run))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TrainingFailed(f"The new version could not be kept: {reason}.") from error


def consider(settings: Settings, version: str, promote: Policy | None) -> dict[str, Any]:
    """Promote a version if the policy, by default that of the settings, says so."""
    registry = Registry(settings.models_dir, Model.name, allow_pickle=settings.allow_pickle)
    decision = registry.consider(version, promote or settings.promote, settings.promote_tolerance)
    return {"promoted": decision.promoted, "reason": decision.reason}


def discard(settings: Settings, run: str) -> None:
    """Remove what is left of a run's candidate."""
    shutil.rmtree(Registry(settings.models_dir, Model.name).candidate(run), ignore_errors=True)


def left_over(settings: Settings) -> list[str]:
    """Name the runs whose candidates are still there."""
    return [path.name for path in Registry(settings.models_dir, Model.name).candidate("").glob("*")]
