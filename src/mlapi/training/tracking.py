"""Recording trainings with MLflow: what each version is, how it was made and how good it is.

The registry stays the place that models are served from. A version is recorded once it is published, from a process of
its own that is ended when it takes too long: no fault of the MLflow server keeps a version from being published.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import BadInput, TrainingFailed, Unavailable
from ..ml.manifest import FILE_NAME, Manifest
from ..serving.registry import Registry
from ..settings import Settings
from .child import ChildKilled, Report, run_in_child

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

QUIET = {
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Environment of the library: it reports to nobody, does without git and does not chat."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""How long it waits for an answer, in seconds, and how often it asks again, unless the environment says otherwise."""


def track(
    registry: Registry, settings: Settings, version: str, check: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """Record a version if there is a server to record it with; a failure is logged and told, and no error.

    Args:
        registry: Where the version is.
        settings: Name the server.
        version: The version's number in the registry.
        check: Called twice a second; whatever it raises ends the recording.

    Returns:
        Under `tracking`, where the version was recorded, or why not; empty if there is no server.

    """
    if settings.mlflow_url is None:
        return {}
    try:
        return {"tracking": record(registry, settings, version, check)}
    except Unavailable as error:
        log.warning("Version %s was not recorded: %s", version, error.detail)
        again = f"{settings.about.slug} models track {version}"
        return {"tracking": f"Not recorded: {error.detail} To record it later: {again}"}


def record(registry: Registry, settings: Settings, version: str, check: Callable[[], None] = lambda: None) -> str:
    """Record a version, once however often this is repeated, and return the address of its run.

    Raises:
        BadInput: there is no server to record it with.
        ModelVersionNotFound: there is no such version.
        Unavailable: the server cannot be reached, does not accept it or takes too long.

    """
    if settings.mlflow_url is None:
        raise BadInput(f"Say where the MLflow server is: set {settings.prefix}MLFLOW_URL.")
    registry.verify(version)
    what = {
        "kind": "track",
        "url": settings.mlflow_url.get_secret_value(),
        "directory": str(registry.directory.resolve() / version),
    }
    try:
        outcome = run_in_child(what, lambda _progress, _phase: None, check, settings.mlflow_timeout_seconds)
    except (ChildKilled, TrainingFailed) as error:
        raise Unavailable(str(error)) from error
    return str(outcome["run"])


def track_here(what: dict[str, Any], _report: Report) -> dict[str, Any]:
    """Record a version in this process; raise `TrainingFailed` if that does not work."""
    directory = Path(what["directory"])
    url = without_credentials(what["url"])
    os.environ.update(QUIET)
    os.environ.update({name: os.environ.get(name, value) for name, value in PATIENCE.items()})
    try:
        import mlflow

        mlflow.set_tracking_uri(url)  # for the upload of files
        return {"run": f"{url}/#/{send(mlflow.MlflowClient(url), directory)}"}
    except ModuleNotFoundError as error:
        raise TrainingFailed(
            f"The tracking needs {error.name}, which is not installed: install the group mlflow."
        ) from error
    except Exception as error:  # the library lets through what the libraries below it raise
        print(f"MLflow: {error}", file=sys.stderr)
        raise TrainingFailed(f"The MLflow server is away or did not take it ({type(error).__name__}).") from error


def without_credentials(url: str) -> str:
    """Hand the user and the password in a URL to the library by its environment; return the URL without them."""
    parts = urlsplit(url.rstrip("/"))
    if parts.username:
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def send(client: "MlflowClient", directory: Path) -> str:
    """Record the version in a directory, named by its number; return the path of its run in the server's pages."""
    from mlflow.entities import Metric, Param, RunTag

    manifest = Manifest.model_validate_json((directory / FILE_NAME).read_bytes())
    at = int(manifest.created_at.timestamp() * 1000)
    experiment, run = find_run(client, manifest, directory.name, at)
    client.log_batch(
        run,
        metrics=[Metric(name, value, at, 0) for name, value in manifest.metrics.items()],
        params=[Param(name, str(value)) for name, value in manifest.hyperparameters.items()],
        tags=[RunTag(name, value) for name, value in tags(manifest, directory.name).items()],
    )
    for path in sorted(directory.iterdir()):
        client.log_artifact(run, str(path), "model")
    for name, figure in figures(directory, manifest.labels):
        client.log_figure(run, figure, f"figures/{name}.png")
    client.set_terminated(run, "FINISHED", at)
    return f"experiments/{experiment}/runs/{run}"


def find_run(client: "MlflowClient", manifest: Manifest, version: str, at: int) -> tuple[str, str]:
    """Return the experiment, called as the model, and the run of a training, which is begun unless there is one."""
    known = client.get_experiment_by_name(manifest.model)
    experiment = known.experiment_id if known else client.create_experiment(manifest.model)
    same = client.search_runs([experiment], f"tags.run = '{manifest.run}'", max_results=1)
    if same:
        return experiment, same[0].info.run_id
    begun = client.create_run(experiment, at, {"run": manifest.run}, f"version {version}")
    return experiment, begun.info.run_id


def tags(manifest: Manifest, version: str) -> dict[str, str]:
    """Return what a run can be found by."""
    return {
        "version": version,
        "run": manifest.run,
        "kind": manifest.kind,
        "git_commit": manifest.git_commit or "unknown",
        "dataset_source": manifest.dataset.source,
        "dataset_fingerprint": manifest.dataset.fingerprint,
        **{f"library.{name}": number for name, number in manifest.libraries.items()},
    }


def figures(directory: Path, labels: Sequence[str]) -> Iterator[tuple[str, "Figure"]]:
    """Yield the name and the figure of each plot that is kept with a version that tells these classes apart."""
    from ..ml.figures import draw
    from ..ml.training import PLOTS

    if (directory / PLOTS).exists():  # versions of earlier releases have none
        for name, plot in json.loads((directory / PLOTS).read_bytes()).items():
            yield name, draw(name, plot, labels)
