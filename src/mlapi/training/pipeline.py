"""The training in stages, and the last of them: the candidate becomes a version."""

from collections.abc import Callable, Mapping
from typing import Any

from ..cluster import learning
from ..ml import pipeline
from ..ml.base import SupervisedModel
from ..serving.registry import Registry
from ..settings import Settings
from .candidate import explained
from .child import Report
from .publication import consider, discard, publish
from .tracking import track

PARITY = {"rows", "label_differences", "largest_difference"}
"""What is told of the gate's findings."""


def prepare(model: type[SupervisedModel], settings: Settings, _report: Report) -> dict[str, Any]:
    """Write the examples as a table; return where they come from. Raises `TrainingFailed`."""
    with explained("stage data"):
        source = pipeline.read_params().data
        if settings.dataset_url not in {None, source.url}:
            raise ValueError(
                f"{settings.prefix}DATASET_URL names other data than {pipeline.PARAMS}; name them there, too"
            )
        return pipeline.prepare(model, source, settings.data_dir / "downloads")


def train(model: type[SupervisedModel], settings: Settings, report: Report) -> dict[str, Any]:
    """Train a candidate on the table; return what is worth knowing about it. Raises `TrainingFailed`."""
    with explained("stage train"), learning(settings.cluster_url):
        hyperparameters = pipeline.read_params().hyperparameters(model)
        trained = pipeline.train(model, hyperparameters, report)
        return trained.model_dump(mode="json", include={"hyperparameters": True, "parity": PARITY, "dataset": True})


def evaluate(model: type[SupervisedModel], _settings: Settings, _report: Report) -> dict[str, float]:
    """Write the candidate's metrics and plots; return the metrics. Raises `TrainingFailed`."""
    with explained("stage evaluate"):
        return pipeline.evaluate_candidate(model)


def release(model: type[SupervisedModel], settings: Settings, _report: Report) -> dict[str, Any]:
    """Publish the candidate, once however often this is repeated, promote it if the policy says so, and record it.

    Returns:
        What `train_now` returns.

    Raises:
        TrainingFailed: there is no candidate, or it was not trained on the table that is there.

    """
    registry = Registry.of(model, settings)
    with explained("stage publish"):
        run = pipeline.assemble(model, registry.candidate(""))
        try:
            version = publish(registry, run)
        finally:
            discard(registry, run)
    metrics = registry.manifest(version).metrics
    decision = consider(registry, settings, version, None)
    return {"version": version, **decision, "metrics": metrics, **track(registry, settings, version)}


STAGES: Mapping[str, Callable[..., dict[str, Any]]] = {
    "data": prepare,
    "train": train,
    "evaluate": evaluate,
    "publish": release,
}
"""The stages by name, in the order that they are run."""
