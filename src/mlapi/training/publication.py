"""From a candidate to a version: published, promoted if the policy says so, and nothing left behind."""

import shutil
import uuid
from pathlib import Path
from typing import Any

from ..errors import TrainingFailed
from ..serving.registry import Policy, Registry
from ..settings import Settings


def attempt(registry: Registry, run: str) -> Path:
    """Return where to write in one attempt at a run.

    Each attempt has a folder of its own: a worker that has lost a job to another may not know it yet.
    """
    return registry.candidate(f"{run}.{uuid.uuid4().hex[:8]}").resolve() / run


def adopt(directory: Path) -> None:
    """Make what an attempt has written the run's candidate; its folder may go then."""
    candidate = directory.parents[1] / directory.name
    shutil.rmtree(candidate, ignore_errors=True)  # of an attempt whose worker died at this point
    directory.rename(candidate)


def publish(registry: Registry, run: str) -> str:
    """Publish a run's candidate, once however often this is repeated, and return its version.

    Raises `TrainingFailed` if the disk does not take it.
    """
    try:
        return registry.publish(registry.candidate(run))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TrainingFailed(f"The new version could not be kept: {reason}.") from error


def consider(registry: Registry, settings: Settings, version: str, promote: Policy | None) -> dict[str, Any]:
    """Promote a version if the policy, by default that of the settings, says so."""
    decision = registry.consider(version, promote or settings.promote, settings.promote_tolerance)
    return {"promoted": decision.promoted, "reason": decision.reason}


def discard(registry: Registry, run: str) -> None:
    """Remove what is left of a run's candidate, and of all attempts at it."""
    for path in _candidates(registry, f"{run}*"):
        shutil.rmtree(path, ignore_errors=True)


def left_over(registry: Registry) -> set[str]:
    """Name the runs of which something is still there."""
    return {path.name.partition(".")[0] for path in _candidates(registry, "*")}


def _candidates(registry: Registry, pattern: str) -> list[Path]:
    return list(registry.candidate("").glob(pattern))
