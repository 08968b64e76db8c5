"""Training here and now, for the command line."""

import uuid
from typing import TYPE_CHECKING, Any

from ..serving.registry import Policy, Registry
from ..settings import Settings
from .candidate import order, train_here
from .child import Report
from .publication import adopt, attempt, consider, discard, publish
from .tracking import track

if TYPE_CHECKING:
    from ..ml.base import SupervisedModel


def train_now(
    model: "type[SupervisedModel]",
    settings: Settings,
    hyperparameters: dict[str, Any],
    promote: Policy | None,
    report: Report,
) -> dict[str, Any]:
    """Train, publish and promote in this process; return what came of it. Raises `TrainingFailed`."""
    registry, run = Registry.of(model, settings), uuid.uuid4().hex
    directory = attempt(registry, run)
    try:
        metrics = train_here(model, order(model, settings, directory, hyperparameters), report)
        adopt(directory)
        version = publish(registry, run)
    finally:
        discard(registry, run)
    decision = consider(registry, settings, version, promote)
    return {"version": version, **decision, "metrics": metrics, **track(registry, settings, version)}
