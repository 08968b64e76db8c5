"""Stands in for training in a worker's child: quick, and as good or bad as the hyperparameters say.

It gets on for as long as the file is there that `hold` names.

Python imports a module of this name at its start, if it finds one.
"""

import builtins
import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

MODEL = Path(os.environ.get("FAKE_TRAINING_MODEL", ""))
"""A published version, to copy."""


class TrainingRefused(ValueError):
    pass


def train_candidate(
    _model: type,
    directory: Path,
    hyperparameters: Mapping[str, Any],
    archive: None,
    report: Callable[[float, str], None],
) -> dict[str, float]:
    assert archive is None
    chosen: dict[str, Any] = {"hold": None, "die": False, "refuse": "", "fail": ""} | dict(hyperparameters)
    for step in itertools.count(1):
        report(1 - 1 / step, "pretending")
        if chosen["hold"] is None or not Path(chosen["hold"]).exists():
            break
        time.sleep(0.1)
    if chosen["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if chosen["refuse"]:
        raise TrainingRefused(chosen["refuse"])
    if chosen["fail"]:
        raise getattr(builtins, chosen["fail"])(f"in {directory}/model.onnx: {chosen['fail']}")
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(MODEL, directory)
    manifest = json.loads((MODEL / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps(manifest | {"run": directory.name}))
    metrics: dict[str, float] = manifest["metrics"]
    return metrics


def record_connections(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        with Path(os.environ["FAKE_TRAINING_CONNECTIONS"]).open("a") as file:
            file.write(f"{arguments[1]}\n")


fake = ModuleType("mlapi.ml.training")
fake.__dict__.update(TrainingRefused=TrainingRefused, train_candidate=train_candidate)
sys.modules[fake.__name__] = fake
sys.addaudithook(record_connections)

# A child that stands back gets next to nothing on a busy machine. That it does is shown elsewhere.
os.nice = lambda _increment: 0
os.sched_setscheduler = lambda *_: None
