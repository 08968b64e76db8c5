import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel
from sample import __version__
from sample.__main__ import main
from sample.ml import Model
from sample.settings import Settings

from mlapi.commands import read_hyperparameters
from mlapi.storage import Storage

from rig.names import PREFIX

Table = Callable[..., str]


@pytest.fixture(autouse=True)
def _in_a_service(monkeypatch: pytest.MonkeyPatch, trained: Settings, tmp_path: Path) -> None:
    """Run commands in a service with a trained model, and keys and counts of its own."""
    monkeypatch.setenv(f"{PREFIX}MODELS_DIR", str(trained.models_dir))
    monkeypatch.setenv(f"{PREFIX}DATA_DIR", str(tmp_path / "var"))


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what commands do to the logging of their process, which other tests share."""
    loggers = [logging.getLogger(name) for name in (None, "mlapi", "uvicorn")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def test_the_version_and_the_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for option, expected in (("--version", __version__), ("--help", "train")):
        with pytest.raises(SystemExit) as ended:
            main([option])
        assert ended.value.code == 0
        assert expected in capsys.readouterr().out


def test_predictions_are_printed_as_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, rows: list[list[Any]], table: Table
) -> None:
    (tmp_path / "rows.csv").write_text(table(*rows), encoding="utf-8")
    assert main(["predict", str(tmp_path / "rows.csv")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == "1"
    assert set(answer) == {"model", "version", *Model.example_answer().lists()}
    assert len(answer["prediction"]) == 1


def test_a_first_training_happens_only_where_no_version_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["train", "--first"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "There is a version that serves.\n")
    monkeypatch.setenv(f"{PREFIX}MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv(f"{PREFIX}PROMOTE", "never")
    assert main(["train", "--first"]) == 0
    assert json.loads(capsys.readouterr().out)["promoted"]


def test_a_training_prints_its_record_and_talks_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(f"{PREFIX}MODELS_DIR", str(tmp_path / "models"))
    assert main(["train", "seed=4", "--promote", "never"]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert (record["version"], record["promoted"]) == ("1", False)
    assert set(record["metrics"]) >= {Model.score}
    assert "does not serve" in printed.err
    assert main(["models", "show", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["hyperparameters"]["seed"] == 4
    assert main(["models", "promote", "1"]) == 0
    assert main(["models", "list"]) == 0
    assert json.loads(capsys.readouterr().out) == {"champion": "1", "versions": ["1"]}


def test_drift_is_printed_explained_and_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, rows: list[list[Any]], trained: Settings
) -> None:
    from mlapi.monitoring.drift import Tallies
    from mlapi.serving.registry import Registry

    X = Model.Features.matrix(rows * 1500)
    reference = Registry.of(Model, trained).manifest("1").reference
    watch = Tallies(tmp_path / "var" / "drift", 7).watch(Model.Features, "1", reference)
    watch.see(X, np.zeros(len(X)))
    watch.flush()
    assert main(["drift", "--plot", str(tmp_path / "drift.png")]) == 0
    printed = capsys.readouterr()
    features = json.loads(printed.out)["features"]
    assert set(features) == set(reference)
    assert any(one["drifted"] for one in features.values()), "the same row, 1500 times, is not like the training"
    assert "other than in training" in printed.err
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
    assert main(["drift", "--plot", str(tmp_path / "drift.xyz")]) == 1


def test_keys_are_made_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "ann", "--scope", "predict", "--scope", "train"]) == 0
    secret = capsys.readouterr().out.strip()
    assert main(["keys", "list"]) == 0
    printed = capsys.readouterr().out
    (key,) = json.loads(printed)
    assert (key["owner"], sorted(key["scopes"])) == ("ann", ["predict", "train"])
    assert secret not in printed
    assert main(["keys", "revoke", key["id"]]) == 0
    assert main(["keys", "revoke", key["id"]]) == 1


def test_the_openapi_document_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    assert "/predict" in json.loads(capsys.readouterr().out)["paths"]


def test_a_hyperparameter_may_be_a_text_as_it_is_or_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hyperparameters(BaseModel):
        kernel: str
        degree: int = 1

    monkeypatch.setattr(Model, "Hyperparameters", Hyperparameters)
    assert read_hyperparameters(Model, ["kernel=rbf", "degree=3"]) == {"kernel": "rbf", "degree": 3}
    assert read_hyperparameters(Model, ['kernel="rbf"']) == {"kernel": "rbf"}


@pytest.mark.usefixtures("trained")
def test_the_example_is_a_table_that_can_be_predicted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["example", "--rows", "3"]) == 0
    (tmp_path / "rows.csv").write_text(capsys.readouterr().out)
    assert main(["predict", str(tmp_path / "rows.csv")]) == 0
    assert len(json.loads(capsys.readouterr().out)["prediction"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict", "nowhere.csv"], 1, "nowhere.csv cannot be read"),
        (["train", "seed"], 1, "'seed' is not NAME=VALUE"),
        (["train", "seed=x"], 1, "seed: Input should be a valid integer"),
        (["train", "sed=1"], 1, "sed: Extra inputs are not permitted"),
        (["models", "show", "9"], 1, "There is no such version"),
        (["models", "track", "1"], 1, f"set {PREFIX}MLFLOW_URL"),
        (["serve", "--port", "x"], 2, f"{PREFIX}PORT: "),
        (["serve", "--tls-certfile", "x"], 2, "go together"),
        (["serve", "--host", "0.0.0.0"], 1, "keys create"),
        (["serve", "--host", "nowhere.invalid", "--no-worker"], 1, "keys create"),
        (["serve", "--port", "0", "--tls-certfile", "x", "--tls-keyfile", "y"], 1, "x and y cannot be used"),
        (["keys", "create", " ", "--scope", "admin"], 1, "must have an owner"),
    ],
)
def test_a_mistake_gets_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main(arguments) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1


def test_where_a_table_is_wrong_is_told_in_the_same_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, table: Table
) -> None:
    (tmp_path / "rows.csv").write_text(table(header=["x", "x"]), encoding="utf-8")
    assert main(["predict", str(tmp_path / "rows.csv")]) == 1
    assert "The table is not acceptable: line 1: " in capsys.readouterr().err


def test_files_of_settings_that_are_not_text_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / f"{PREFIX}CACHE_URL").write_bytes(b"\xff")
    monkeypatch.setenv(f"{PREFIX}SECRETS_DIR", str(tmp_path))
    assert main(["keys", "list"]) == 2
    assert f"{tmp_path / PREFIX}CACHE_URL is not UTF-8 text" in capsys.readouterr().err
    Path(".env").write_bytes(b"X=\xff")
    assert main(["keys", "list"]) == 2
    assert "The file .env is not UTF-8 text" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["models"], ["keys", "create", "ann"]])
def test_a_wrong_use_is_explained(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_without_a_model_predicting_says_how_to_get_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(f"{PREFIX}MODELS_DIR", str(tmp_path))
    assert main(["predict"]) == 1
    assert "Train one" in capsys.readouterr().err


def run(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sample", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_module_runs_as_a_command_and_reads_standard_input(rows: list[list[Any]], table: Table) -> None:
    done = run("predict", input=table(*rows))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == Model.name


def test_score_writes_the_result_and_never_over_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[list[Any]], table: Table
) -> None:
    (tmp_path / "in.csv").write_text(table(*rows, *rows), encoding="utf-8")
    command = ["score", str(tmp_path / "in.csv"), str(tmp_path / "out.csv")]
    assert main(command) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == {"version": "1", "rows": 2, "rejected": 0, "rejects": None}
    assert "100% 2 rows" in output.err
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert main(["score", str(tmp_path / "none.csv"), str(tmp_path / "new.csv")]) == 1
    assert "is not there" in capsys.readouterr().err


def test_score_writes_over_a_list_of_rejected_rows_only_when_told_and_leaves_no_old_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[list[Any]], table: Table
) -> None:
    (tmp_path / "in.csv").write_text(table(*rows), encoding="utf-8")
    rejects = tmp_path / "out.csv.rejects.csv"
    rejects.write_text("mine", encoding="utf-8")
    command = ["score", str(tmp_path / "in.csv"), str(tmp_path / "out.csv")]
    assert main(command) == 1
    assert f"{rejects} is there already" in capsys.readouterr().err
    assert rejects.read_text(encoding="utf-8") == "mine"
    assert main([*command, "--overwrite"]) == 0
    assert not rejects.exists()
    assert [path.name for path in sorted(tmp_path.glob("*.csv*"))] == ["in.csv", "out.csv"]


def test_score_does_not_list_what_is_beside_its_target(
    tmp_path: Path, rows: list[list[Any]], table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text(table(*rows), encoding="utf-8")
    listed: list[str] = []
    paths = Storage.paths

    def told(storage: Storage, prefix: str) -> Sequence[str]:
        listed.append(prefix)
        return paths(storage, prefix)

    monkeypatch.setattr(Storage, "paths", told)
    assert main(["score", str(tmp_path / "in.csv"), str(tmp_path / "out.csv")]) == 0
    assert "" not in listed
