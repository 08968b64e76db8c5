"""Training here and now, for the command line."""

import uuid
from typing import Any

from ..serving.registry import Policy
from ..settings import Settings
from .candidate import order, train_here
from .child import Report
from .publication import adopt, attempt, consider, discard, publish
from .tracking import track


def train_now(
    settings: Settings, hyperparameters: dict[str, Any], promote: Policy | None, report: Report
) -> dict[str, Any]:
    """Train, publish and promote in this process; return what came of it. Raises `TrainingFailed`."""
    run = uuid.uuid4().hex
    directory = attempt(settings, run)
    try:
        metrics = train_here(order(settings, directory, hyperparameters), report)
        adopt(directory)
        version = publish(settings, run)
    finally:
        discard(settings, run)
    decision = consider(settings, version, promote)
    return {"version": version, **decision, "metrics": metrics, **track(settings, version)}
