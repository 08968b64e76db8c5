"""Recording with MLflow. Set TEST_MLFLOW_URL to a server's address to test with it, too; it gets an experiment."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import BadInput, ModelVersionNotFound, Unavailable
from mlapi.serving.registry import Registry
from mlapi.training.foreground import train_now
from mlapi.training.tracking import record, track, without_credentials

from rig.eager import EAGER_TRAINING

MLFLOW_URL = os.environ.get("TEST_MLFLOW_URL", "")
needs_mlflow = pytest.mark.skipif(not MLFLOW_URL, reason="set TEST_MLFLOW_URL to the URL of a server to test with it")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on: it is taken, and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def with_server(settings: Settings, tmp_path: Path, url: str, **more: Any) -> Settings:
    """Return settings with a copy of the trained version and an MLflow server."""
    shutil.copytree(settings.models_dir, tmp_path / "models", dirs_exist_ok=True)
    values = {"models_dir": tmp_path / "models", "data_dir": tmp_path / "var", "mlflow_url": url, **more}
    return Settings(**values)


def test_without_a_server_nothing_is_recorded(trained: Settings) -> None:
    assert track(Registry.of(Model, trained), trained, "1") == {}
    with pytest.raises(BadInput, match="MLFLOW_URL"):
        record(Registry.of(Model, trained), trained, "1")


def test_a_training_succeeds_while_the_server_is_away(
    tmp_path: Path,
    closed_port: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("PYTHONPATH", EAGER_TRAINING)
    url = f"http://ann:s3cret@127.0.0.1:{closed_port}"
    settings = Settings.model_validate({"models_dir": tmp_path / "models", "mlflow_url": url})
    result = train_now(Model, settings, {}, "always", lambda _progress, _phase: None)
    assert (result["version"], result["promoted"]) == ("1", True)
    assert result["tracking"].startswith("Not recorded: ")
    assert result["tracking"].endswith("models track 1")
    assert "Version 1 was not recorded" in caplog.text
    assert "s3cret" not in "".join([caplog.text, *capfd.readouterr(), str(result), repr(settings)])


def test_a_version_that_is_not_there_is_not_recorded(trained: Settings, tmp_path: Path, closed_port: int) -> None:
    settings = with_server(trained, tmp_path, f"http://127.0.0.1:{closed_port}")
    with pytest.raises(ModelVersionNotFound):
        record(Registry.of(Model, settings), settings, "9")


@pytest.mark.parametrize(
    ("url", "clean", "user", "password"),
    [
        ("https://an%20n:s3cret@mlflow.example.com/base/", "https://mlflow.example.com/base", "an n", "s3cret"),
        ("http://ann@127.0.0.1:5000", "http://127.0.0.1:5000", "ann", ""),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", None, None),
    ],
)
def test_credentials_are_taken_out_of_the_address(
    monkeypatch: pytest.MonkeyPatch, url: str, clean: str, user: str | None, password: str | None
) -> None:
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    for name in names:
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    assert without_credentials(url) == clean
    assert [os.environ.get(name) for name in names] == [user, password]


@needs_mlflow
def test_a_deaf_server_is_given_up_in_time(trained: Settings, tmp_path: Path, deaf_port: int) -> None:
    settings = with_server(trained, tmp_path, f"http://127.0.0.1:{deaf_port}", mlflow_timeout_seconds=2)
    with pytest.raises(Unavailable, match="took longer than the 2 seconds"):
        record(Registry.of(Model, settings), settings, "1")


@needs_mlflow
def test_an_absent_server_is_told_from_an_absent_library(trained: Settings, tmp_path: Path, closed_port: int) -> None:
    settings = with_server(trained, tmp_path, f"http://127.0.0.1:{closed_port}")
    with pytest.raises(Unavailable, match="is away or did not take it"):
        record(Registry.of(Model, settings), settings, "1")


@needs_mlflow
def test_a_version_is_recorded_with_all_that_it_is(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    settings = with_server(trained, tmp_path, MLFLOW_URL)
    address = record(Registry.of(Model, settings), settings, "1")
    assert record(Registry.of(Model, settings), settings, "1") == address
    client = MlflowClient(MLFLOW_URL)
    manifest = Registry.of(Model, settings).manifest("1")
    experiment = client.get_experiment_by_name(Model.name)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.run = '{manifest.run}'")
    assert address == f"{MLFLOW_URL}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
    assert (run.info.run_name, run.info.status) == ("version 1", "FINISHED")
    assert run.data.metrics == pytest.approx(manifest.metrics)
    assert run.data.params == {name: str(value) for name, value in manifest.hyperparameters.items()}
    assert run.data.tags["version"] == "1"
    assert run.data.tags["dataset_fingerprint"] == manifest.dataset.fingerprint
    assert run.data.tags["git_commit"] == (manifest.git_commit or "unknown")
    files = {file.path for folder in ("model", "figures") for file in client.list_artifacts(run.info.run_id, folder)}
    assert {"model/model.onnx", "model/manifest.json"} <= files
    assert {name for name in files if name.endswith(".png")}
    content = Path(client.download_artifacts(run.info.run_id, "model/model.onnx", str(tmp_path)))
    assert content.read_bytes() == (settings.models_dir / Model.name / "1" / "model.onnx").read_bytes()
