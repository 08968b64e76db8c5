"""The training in stages, and the last of them: the candidate becomes a version."""

from collections.abc import Callable, Mapping
from typing import Any

from ..cluster import learning
from ..ml import Model, pipeline
from ..serving.registry import Registry
from ..settings import PREFIX, Settings
from .candidate import explained
from .child import Report
from .publication import consider, discard, publish
from .tracking import track

PARITY = {"rows", "label_differences", "largest_difference"}
"""What is told of the gate's findings."""


def prepare(settings: Settings, _report: Report) -> dict[str, Any]:
    """Write the examples as a table; return where they come from. Raises `TrainingFailed`."""
    with explained("stage data"):
        source = pipeline.read_params().data
        if settings.dataset_url not in {None, source.url}:
            raise ValueError(f"{PREFIX}DATASET_URL names other data than {pipeline.PARAMS}; name them there, too")
        return pipeline.prepare(source, settings.data_dir / "downloads")


def train(settings: Settings, report: Report) -> dict[str, Any]:
    """Train a candidate on the table; return what is worth knowing about it. Raises `TrainingFailed`."""
    with explained("stage train"), learning(settings.cluster_url):
        trained = pipeline.train(pipeline.read_params().hyperparameters, report)
        return trained.model_dump(mode="json", include={"hyperparameters": True, "parity": PARITY, "dataset": True})


def evaluate(_settings: Settings, _report: Report) -> dict[str, float]:
    """Write the candidate's metrics and plots; return the metrics. Raises `TrainingFailed`."""
    with explained("stage evaluate"):
        return pipeline.evaluate_candidate()


def release(settings: Settings, _report: Report) -> dict[str, Any]:
    """Publish the candidate, once however often this is repeated, promote it if the policy says so, and record it.

    Returns:
        What `train_now` returns.

    Raises:
        TrainingFailed: there is no candidate, or it was not trained on the table that is there.

    """
    registry = Registry(settings.models_dir, Model.name)
    with explained("stage publish"):
        run = pipeline.assemble(registry.candidate(""))
        try:
            version = publish(settings, run)
        finally:
            discard(settings, run)
    metrics = registry.manifest(version).metrics
    return {"version": version, **consider(settings, version, None), "metrics": metrics, **track(settings, version)}


STAGES: Mapping[str, Callable[[Settings, Report], dict[str, Any]]] = {
    "data": prepare,
    "train": train,
    "evaluate": evaluate,
    "publish": release,
}
"""The stages by name, in the order that they are run."""
