"""What each process may load, and who may import whom."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sample.settings import Settings

import mlapi

from rig.names import PREFIX

PACKAGE = Path(mlapi.__file__).parent
HEAVY = {
    "dask",
    "dbos",
    "distributed",
    "joblib",
    "matplotlib",
    "mlflow",
    "pandas",
    "pooch",
    "pyarrow",
    "scipy",
    "skl2onnx",
    "sklearn",
    "sqlalchemy",
    "torch",
}
ARROWS: dict[str, set[str]] = {
    "ml": set(),
    "monitoring": {"ml", "durable"},
    "serving": {"ml", "monitoring", "durable", "errors", "settings"},
    "scoring": {"ml", "serving", "cluster", "errors", "settings", "storage"},
    "training": {"ml", "serving", "about", "cluster", "errors", "settings"},
    "jobs": {"ml", "monitoring", "scoring", "serving", "training", "durable", "errors", "logs", "settings", "storage"},
    "api": {"jobs", "ml", "monitoring", "scoring", "serving", "about", "errors", "keys", "logs", "settings", "storage"}
    | {"__version__", "tokens", "values"},
}
"""The rooms, and what each may import: other rooms, then what stands beside them."""
BESIDE = ("about", "cluster", "durable", "errors", "keys", "logs", "settings", "storage", "values")
"""Modules that several rooms use, and which so use none."""


def loaded_by(code: str, **settings: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after running `code`."""
    program = f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    environment = os.environ | {f"{PREFIX}{name}": value for name, value in settings.items()}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_serving_process_loads_neither_training_nor_job_libraries() -> None:
    assert loaded_by("import sample.main") & HEAVY == set()


def test_the_serving_process_loads_no_sdk_of_telemetry_that_is_off() -> None:
    check = "import sys\nassert not any(name.startswith('opentelemetry.sdk') for name in sys.modules)"
    assert loaded_by(f"import sample.main\n{check}")


def test_the_application_is_loaded_without_looking_for_garbage_and_what_it_made_stays() -> None:
    check = "import gc\nassert gc.get_freeze_count() > 10_000 and gc.isenabled()"
    assert loaded_by(f"import sample.main\n{check}")


def test_the_serving_process_predicts_without_them(trained: Settings) -> None:
    program = (
        "from fastapi.testclient import TestClient\n"
        "from sample.main import app\n"
        "from sample.ml import Model\n"
        "with TestClient(app, base_url='https://127.0.0.1') as client:\n"
        "    answer = client.post('/predict', json={'data': [Model.Features.example().model_dump()]})\n"
        "    assert answer.status_code == 200, answer.text\n"
    )
    assert loaded_by(program, MODELS_DIR=str(trained.models_dir)) & HEAVY == set()


def test_predicting_leaves_nothing_in_the_home_directory(trained: Settings, tmp_path: Path) -> None:
    """onnxruntime, left alone, keeps an identity of the device there as soon as it is imported."""
    program = (
        "from sample.ml import Model\n"
        "from mlapi.serving.champion import load\n"
        "from mlapi.serving.registry import Registry\n"
        "from sample.settings import Settings\n"
        "load(Model, Registry.of(Model, Settings()), '1', 10**9)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {f"{PREFIX}MODELS_DIR": str(trained.models_dir), "HOME": str(home)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--version"], ["keys", "list"], ["serve", "--help"]])
def test_small_commands_load_neither_the_model_nor_numpy(arguments: list[str]) -> None:
    program = f"from sample.__main__ import main\ntry:\n    main({arguments})\nexcept SystemExit:\n    pass\n"
    assert loaded_by(program) & {"numpy", "onnxruntime", "fastapi", *HEAVY} == set()


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms that a module imports, wherever the import stands in it."""
    own = path.relative_to(PACKAGE).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = own[: len(own) - node.level + 1]
            target = (*base, *(node.module or "").split("."))
            names = [target] if target[0] else [(alias.name,) for alias in node.names]
            found |= {name[0] for name in names if name[0] != (own or ("",))[0]}
    return found


@pytest.mark.parametrize(("room", "allowed"), ARROWS.items())
def test_imports_go_one_way(room: str, allowed: set[str]) -> None:
    modules = list((PACKAGE / room).rglob("*.py"))
    assert modules
    for path in modules:
        assert imported_rooms(path) <= allowed, path


def test_each_room_has_its_arrows() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ARROWS)


@pytest.mark.parametrize("module", BESIDE)
def test_what_rooms_share_uses_none_of_them(module: str) -> None:
    assert imported_rooms(PACKAGE / f"{module}.py") & set(ARROWS) == set()


def test_the_model_is_passed_to_whatever_works_with_it() -> None:
    """The library names none, so that one process can hold several."""
    named = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level and "Model" in {alias.name for alias in node.names}:
                named.add(path.relative_to(PACKAGE).as_posix())
    assert named == set()


def test_the_services_know_nothing_of_http() -> None:
    for room in set(ARROWS) - {"api"}:
        for path in (PACKAGE / room).rglob("*.py"):
            assert "fastapi" not in path.read_text(encoding="utf-8"), path
