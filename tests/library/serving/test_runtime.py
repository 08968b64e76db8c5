"""Versions that serve by joblib: only where the owner allows it, and checked before anything is loaded."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sample.__main__ import main
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import (
    IncompatibleModelVersion,
    InvalidModelVersion,
    PickleNotAllowed,
)
from mlapi.ml.manifest import FileRecord
from mlapi.serving.champion import Champion, load, promote
from mlapi.serving.registry import Registry
from mlapi.training.foreground import train_now

from rig.app import create_app
from rig.names import PREFIX


@pytest.fixture(scope="session")
def both(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which version 1 serves by ONNX; version 2 is the same by joblib. Only to be copied."""
    root = tmp_path_factory.mktemp("both")
    shutil.copytree(trained.models_dir, root / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "runtime", "joblib")
        settings = Settings(models_dir=root / "models", data_dir=root / "var", _env_file=None)
        train_now(Model, settings, {}, "never", print)
    return root / "models"


@pytest.fixture
def registry(both: Path, tmp_path: Path) -> Registry:
    """A registry of one's own with both versions."""
    return Registry(shutil.copytree(both, tmp_path / "models"), Model.name)


@pytest.fixture
def allowed(registry: Registry) -> Registry:
    """The same registry, whose owner allows pickles."""
    return Registry(registry.directory.parent, Model.name, allow_pickle=True)


@pytest.fixture
def run_code(registry: Registry, tmp_path: Path) -> Callable[..., Path]:
    """Put code into version 2's file, the manifest fitting or not; what it would write tells whether it ran."""

    class Payload:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    def put(*, record: bool) -> Path:
        import joblib

        path = registry.directory / "2" / "model.joblib"
        joblib.dump(Payload(), path)
        if record:
            rewrite(registry, files={"model.joblib": FileRecord.of(path.read_bytes()).model_dump()})
        return tmp_path / "ran"

    return put


def rewrite(registry: Registry, **changes: Any) -> None:
    path = registry.directory / "2" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def example() -> Any:
    return Model.Features.matrix([Model.Features.example().values()])


def test_the_record_says_what_serves_and_that_nothing_was_compared(registry: Registry) -> None:
    onnx, joblib = registry.manifest("1"), registry.manifest("2")
    assert (onnx.runtime, joblib.runtime) == ("onnx", "joblib")
    assert onnx.parity is not None
    assert joblib.parity is None
    assert "model.onnx" not in joblib.files


def test_both_runtimes_answer_the_same(allowed: Registry) -> None:
    answers = [load(Model, allowed, version, 10**9).answer(example()).columns() for version in ("1", "2")]
    for ours, theirs in zip(answers[0].values(), answers[1].values(), strict=True):
        (mine,), (other,) = ours.tolist(), theirs.tolist()
        assert mine == (other if isinstance(mine, str) else pytest.approx(other, rel=1e-5, abs=1e-4))


def test_a_pickle_is_not_even_read_unless_allowed(registry: Registry, allowed: Registry, run_code: Any) -> None:
    ran = run_code(record=True)
    with pytest.raises(PickleNotAllowed, match="set ALLOW_PICKLE=true"):
        load(Model, registry, "2", 10**9)
    with pytest.raises(PickleNotAllowed):
        promote(Model, registry, "2", 10**9)
    assert registry.champion() == "1"
    assert not ran.exists()
    with pytest.raises(InvalidModelVersion, match="cannot predict"):  # what opting in means
        load(Model, allowed, "2", 10**9)
    assert ran.exists()


def test_a_tampered_pickle_is_refused_before_its_code_runs(allowed: Registry, run_code: Any) -> None:
    """Checklist 35."""
    ran = run_code(record=False)
    with pytest.raises(InvalidModelVersion, match="not the file that was published"):
        load(Model, allowed, "2", 10**9)
    assert not ran.exists()


def test_a_pickle_over_the_limit_is_refused_before_its_code_runs(allowed: Registry, run_code: Any) -> None:
    ran = run_code(record=True)
    with pytest.raises(InvalidModelVersion, match="over 10 bytes"):
        load(Model, allowed, "2", 10)
    assert not ran.exists()


def test_a_pickle_of_another_scikit_learn_is_refused(registry: Registry, allowed: Registry) -> None:
    rewrite(registry, libraries={**registry.manifest("2").libraries, "scikit-learn": "0.1"})
    with pytest.raises(IncompatibleModelVersion, match=r"made with scikit-learn 0\.1, and here is \d"):
        load(Model, allowed, "2", 10**9)


def test_a_pickle_whose_library_is_missing_is_refused_with_its_name(
    allowed: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in [name for name in sys.modules if name.startswith("sklearn.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InvalidModelVersion, match=r"model\.joblib of version 2 needs sklearn\S*, which is not"):
        load(Model, allowed, "2", 10**9)


def test_a_champion_rolls_back_and_forth_between_runtimes(allowed: Registry) -> None:
    champion = Champion(Model, allowed, 10**9)
    for version in ("1", "2", "1"):
        promote(Model, allowed, version, 10**9)
        champion.refresh()
        assert champion.served is not None
        assert champion.served.version == version
        assert champion.served.answer(example()).finite


def test_a_champion_that_is_no_longer_allowed_does_not_replace_the_one_that_serves(registry: Registry) -> None:
    champion = Champion(Model, registry, 10**9)
    champion.refresh()
    registry.promote("2")
    champion.refresh()
    assert champion.served is not None
    assert champion.served.version == "1"


@pytest.mark.parametrize("allowed", [False, True])
def test_training_promotes_such_a_version_only_if_allowed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *, allowed: bool
) -> None:
    monkeypatch.setattr(Model, "runtime", "joblib")
    result = train_now(Model, settings.model_copy(update={"allow_pickle": allowed}), {}, "always", print)
    assert result["promoted"] is allowed
    assert allowed or f"set {PREFIX}ALLOW_PICKLE=true" in result["reason"]


def test_the_api_refuses_or_serves_it_as_the_setting_says(registry: Registry, tmp_path: Path, rows: Any) -> None:
    settings = Settings(models_dir=registry.directory.parent, data_dir=tmp_path / "var")
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        answer = client.post("/models/2/promote")
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("#pickle-not-allowed")
    settings = settings.model_copy(update={"allow_pickle": True})
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        assert client.post("/models/2/promote").status_code == 200
    with TestClient(create_app(Model, settings), base_url="https://127.0.0.1") as client:
        assert client.post("/predict", json={"data": rows}).json()["version"] == "2"


def test_the_command_line_refuses_or_serves_it_as_the_setting_says(
    registry: Registry, table: Any, rows: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}MODELS_DIR", str(registry.directory.parent))
    assert main(["models", "promote", "2"]) == 1
    assert "loading it runs the code in its file" in capsys.readouterr().err
    monkeypatch.setenv(f"{PREFIX}ALLOW_PICKLE", "true")
    assert main(["models", "promote", "2"]) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(table(rows[0]).encode())))
    assert main(["predict"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "2"


def test_only_a_process_that_serves_a_pickle_loads_scikit_learn(registry: Registry) -> None:
    program = (
        "import sys\n"
        "from sample.ml import Model\n"
        "from mlapi.serving.champion import load\n"
        "from mlapi.serving.registry import Registry\n"
        "from pathlib import Path\n"
        f"registry = Registry(Path({str(registry.directory.parent)!r}), Model.name, allow_pickle=True)\n"
        "for version in ('1', '2'):\n"
        "    load(Model, registry, version, 10**9)\n"
        "    print('sklearn' in sys.modules)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["False", "True"]
