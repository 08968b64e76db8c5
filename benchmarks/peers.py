"""Who else serves models: each in an environment of its own, with pinned versions, in the form that its pages show.

All serve the estimator that the service was exported from, with the same scikit-learn. Where a peer offers to collect
requests into batches, it is measured with and without. None of them speaks HTTPS, checks features or trains by itself.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import field
from contender import Contender

PINNED: Mapping[str, Sequence[str]] = {
    "BentoML": ["bentoml==1.4.39"],
    # The newest uvloop is too new for it: it does not start.
    "MLServer": ["mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0"],
    "LitServe": ["litserve==0.2.19"],
    "MLflow": ["mlflow==3.17.2"],
    "Ray Serve": ["ray[serve]==2.60.0"],
}
NAMES = tuple(PINNED)
SILENT = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Has them tell nobody that they are used."""
INSTALL_SECONDS = 600

Field = Iterator[tuple[str, str, list[Contender] | None]]


def field_of(project: field.Project, environments: Path, names: Sequence[str]) -> Field:
    """Return each peer's forms, or None and why it cannot be measured here."""
    model = estimator(project)
    for name in names:
        try:
            python = install(environments, name)
            yield name, "", MAKE[name](python, model, project.folder)
        except (subprocess.SubprocessError, OSError) as error:
            told = getattr(error, "stderr", "") or str(error)
            yield name, f"cannot be installed here: {told.strip().splitlines()[-1][:150]}", None


def estimator(project: field.Project) -> Path:
    """Write the estimator alone, as peers load it."""
    import joblib  # noqa: PLC0415 - only with peers

    path = project.folder / "peer/model.joblib"
    path.parent.mkdir(exist_ok=True)
    joblib.dump(joblib.load(project.registry / "model.joblib")["estimator"], path)
    return path


def install(environments: Path, name: str) -> Path:
    """Return the Python of a peer's environment, made if it is not there."""
    folder = environments / name.replace(" ", "-").lower()
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        uv = os.environ.get("UV") or shutil.which("uv") or "uv"
        shutil.rmtree(folder, ignore_errors=True)
        wanted = [*PINNED[name], f"scikit-learn=={version('scikit-learn')}", "joblib"]
        for command in (["venv", "-q", str(folder)], ["pip", "install", "-q", "--python", str(python), *wanted]):
            subprocess.run(  # noqa: S603 - our own command
                [uv, *command], check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS
            )
        (folder / "ready").touch()
    return python


def bentoml(python: Path, model: Path, folder: Path) -> list[Contender]:
    """Return BentoML with and without adaptive batching."""

    def form(name: str, batch: str) -> Contender:
        return Contender(
            name,
            lambda port, _: [
                *(str(python), "-m", "bentoml", "serve", "bentoml_service:Iris", "--host", "127.0.0.1"),
                *("--port", str(port)),
            ],
            environment=SILENT | {"MODEL": str(model), "BATCH": batch, "BENTOML_HOME": str(folder / "bentoml")},
            directory=field.HERE,
            read=plain,
        )

    return [form("BentoML", "0"), form("BentoML, batching", "1")]


def mlserver(python: Path, model: Path, folder: Path) -> list[Contender]:
    """Return MLServer with and without adaptive batching."""

    def form(name: str, **batching: float) -> Contender:
        place = folder / "peer" / name.replace(", ", "-").lower()
        place.mkdir(exist_ok=True)
        served = {"name": "iris", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(model)}}
        (place / "model-settings.json").write_text(json.dumps(served | batching), encoding="utf-8")
        (place / "settings.json").write_text(json.dumps({"debug": False, "host": "127.0.0.1"}), encoding="utf-8")
        return Contender(
            name,
            lambda port, _: [
                "env",
                *(f"MLSERVER_HTTP_PORT={port}", f"MLSERVER_GRPC_PORT={port + 1000}"),
                *(f"MLSERVER_METRICS_PORT={port + 2000}", str(python.with_name("mlserver")), "start", str(place)),
            ],
            environment=SILENT,
            directory=place,
            path="/v2/models/iris/infer",
            body=as_tensor,
            read=lambda answer: [int(one) for one in answer["outputs"][0]["data"]],
        )

    return [form("MLServer"), form("MLServer, batching", max_batch_size=1000, max_batch_time=0.005)]


def litserve(python: Path, model: Path, _folder: Path) -> list[Contender]:
    """Return LitServe."""
    program = str(field.HERE / "litserve_server.py")
    return [
        Contender(
            "LitServe",
            lambda port, _: [str(python), program, str(port)],
            environment=SILENT | {"MODEL": str(model)},
        )
    ]


def mlflow(python: Path, model: Path, folder: Path) -> list[Contender]:
    """Return MLflow's server of models, which needs the model in its own form."""
    place = folder / "peer/mlflow"
    if not place.exists():
        program = (
            "import joblib, mlflow.sklearn, sys\n"
            "mlflow.sklearn.save_model(joblib.load(sys.argv[1]), sys.argv[2], serialization_format='cloudpickle')"
        )
        subprocess.run(  # noqa: S603 - our own command
            [str(python), "-c", program, str(model), str(place)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | SILENT,
            cwd=place.parent,
        )
    return [
        Contender(
            "MLflow",
            lambda port, _: [
                *(str(python), "-m", "mlflow", "models", "serve", "-m", str(place), "-p", str(port)),
                *("-w", "1", "--env-manager", "local", "-h", "127.0.0.1"),
            ],
            environment=SILENT | {"PATH": f"{python.parent}:{os.environ['PATH']}"},
            directory=place.parent,
            path="/invocations",
            body=lambda rows: {"inputs": rows},
            read=lambda answer: [int(one) for one in answer["predictions"]],
        )
    ]


def ray(python: Path, model: Path, _folder: Path) -> list[Contender]:
    """Return Ray Serve."""
    program = str(field.HERE / "ray_server.py")
    return [
        Contender(
            "Ray Serve",
            lambda port, _: [str(python), program, str(port)],
            environment=SILENT | {"MODEL": str(model)},
        )
    ]


def as_tensor(rows: Sequence[Sequence[float]]) -> Any:
    """Return rows in the protocol for inference, version 2."""
    values = [value for row in rows for value in row]
    shape = [len(rows), len(rows[0])]
    return {"inputs": [{"name": "predict", "shape": shape, "datatype": "FP32", "data": values}]}


def plain(answer: Any) -> list[int]:
    """Read an answer that is a list of classes."""
    return [int(one) for one in answer]


MAKE: Mapping[str, Callable[[Path, Path, Path], list[Contender]]] = {
    "BentoML": bentoml,
    "MLServer": mlserver,
    "LitServe": litserve,
    "MLflow": mlflow,
    "Ray Serve": ray,
}
