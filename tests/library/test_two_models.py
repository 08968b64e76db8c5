"""Two different models in one process: each answers, and has its jobs done, as if it were alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from mlapi.ml.base import SupervisedModel
from mlapi.training.foreground import train_now

from rig.app import create_app
from rig.eager import EAGER_TRAINING
from rig.names import PREFIX
from rig.service import wait_for
from rig.toys import Rent

TESTS = Path(__file__).parents[1]
WORKER = """
import sys
from mlapi.cli import main

settings = "sample.settings:Settings"
raise SystemExit(main(sys.argv[1], settings, ["worker", "--exit-with-parent"]))
"""
"""A program that is the worker for a model, named by its argument."""


def settings_in(folder: Path) -> Settings:
    """Return settings of a service that keeps all it has in a folder."""
    return Settings(models_dir=folder / "models", data_dir=folder / "var")


@contextmanager
def worker_of(model: type[SupervisedModel], settings: Settings) -> Iterator[None]:
    """Run a worker for a model in a process of its own."""
    environment = os.environ | {
        f"{PREFIX}MODELS_DIR": str(settings.models_dir),
        f"{PREFIX}DATA_DIR": str(settings.data_dir),
        "PYTHONPATH": os.pathsep.join([str(TESTS), EAGER_TRAINING]),
    }
    command = [sys.executable, "-c", WORKER, f"{model.__module__}:{model.__qualname__}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as worker:
        try:
            yield
        finally:
            worker.terminate()


@contextmanager
def serving(model: type[SupervisedModel], settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(model, settings), base_url="https://127.0.0.1") as client:
        yield client


def table_of(model: type[SupervisedModel]) -> str:
    """Write the example of a model as CSV."""
    cells = dict(model.Features.example()).values()
    return "\n".join([",".join(model.Features.names()), ",".join(f'"{cell}"' for cell in cells), ""])


def test_each_predicts_trains_and_scores_with_its_own(tmp_path: Path) -> None:
    models: dict[type[SupervisedModel], Settings] = {
        model: settings_in(tmp_path / model.name) for model in (Model, Rent)
    }
    for model, settings in models.items():
        train_now(model, settings, {}, "always", lambda _progress, _phase: None)
    with serving(Model, models[Model]) as ours, serving(Rent, models[Rent]) as theirs:
        clients: dict[type[SupervisedModel], TestClient] = {Model: ours, Rent: theirs}
        for _ in range(3):
            for model, client in clients.items():
                answer = client.post("/predict", json={"data": [dict(model.Features.example())]}).json()
                assert set(answer) == {"model", "version", *model.Predictions.model_fields}
                assert answer["model"] == client.get("/health/ready").json()["model"] == model.name
        for model, client in clients.items():
            schemas = client.get("/openapi.json").json()["components"]["schemas"]
            assert list(schemas[model.Features.__name__]["properties"]) == list(model.Features.names())
            assert set(schemas["Prediction"]["properties"]) == {"model", "version", *model.Predictions.model_fields}
        jobs = {model: asked_of(client, table_of(model)) for model, client in clients.items()}
        with worker_of(Model, models[Model]), worker_of(Rent, models[Rent]):
            for model, client in clients.items():
                trained, scored = (wait_for(partial(done, client, path), path) for path in jobs[model])
                assert (trained["state"], trained["result"]["version"]) == ("succeeded", "2"), trained
                assert set(trained["result"]["metrics"]) >= {model.score}
                assert (scored["state"], scored["rows"]) == ("succeeded", 1), scored
                header = client.get(f"{jobs[model][1]}/result").text.partition("\n")[0].split(",")
                assert header == [*model.Features.names(), *model.example_answer().columns()]


def asked_of(client: TestClient, table: str) -> tuple[str, str]:
    """Ask a service to train and to score a table; return the paths of the jobs."""
    trained = client.post("/train", json={})
    scored = client.post("/batches", content=table, headers={"Content-Type": "text/csv"})
    assert (trained.status_code, scored.status_code) == (202, 202), (trained.text, scored.text)
    return trained.headers["Location"], scored.headers["Location"]


def done(client: TestClient, path: str) -> Any:
    """Return a job that has ended."""
    job = client.get(path).json()
    return job if job.get("done") else None
