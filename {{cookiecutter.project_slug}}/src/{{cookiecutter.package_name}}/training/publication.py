"""From a candidate to a version: published, promoted if the policy says so, and nothing left behind."""

import shutil
import uuid
from pathlib import Path
from typing import Any

from ..errors import TrainingFailed
from ..ml import Model
from ..serving.registry import Policy, Registry
from ..settings import Settings


def attempt(settings: Settings, run: str) -> Path:
    """Return where to write in one attempt at a run.

    Each attempt has a folder of its own: a worker that has lost a job to another may not know it yet.
    """
    return Registry(settings.models_dir.resolve(), Model.name).candidate(f"{run}.{uuid.uuid4().hex[:8]}") / run


def adopt(directory: Path) -> None:
    """Make what an attempt has written the run's candidate; its folder may go then."""
    candidate = directory.parents[1] / directory.name
    shutil.rmtree(candidate, ignore_errors=True)  # of an attempt whose worker died at this point
    directory.rename(candidate)


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
    """Remove what is left of a run's candidate, and of all attempts at it."""
    for path in _candidates(settings, f"{run}*"):
        shutil.rmtree(path, ignore_errors=True)


def left_over(settings: Settings) -> set[str]:
    """Name the runs of which something is still there."""
    return {path.name.partition(".")[0] for path in _candidates(settings, "*")}


def _candidates(settings: Settings, pattern: str) -> list[Path]:
    return list(Registry(settings.models_dir, Model.name).candidate("").glob(pattern))
