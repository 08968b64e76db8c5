"""The stages as dvc.yaml runs them, without DVC."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sample.__main__ import main
from sample.ml import Model
from sample.settings import Settings

from mlapi.ml import pipeline

from rig.names import PREFIX
from rig.sample import PROJECT

DVC = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _in_a_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a directory that has the parameters of the project."""
    Path(pipeline.PARAMS).write_bytes((PROJECT / pipeline.PARAMS).read_bytes())
    monkeypatch.setenv(f"{PREFIX}MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv(f"{PREFIX}DATA_DIR", str(tmp_path / "var"))


def run(command: str) -> None:
    name, *arguments = command.split()
    assert name == Settings().about.slug
    assert main(arguments) == 0


def made() -> set[str]:
    return {str(path) for path in Path("pipeline").rglob("*") if path.is_file()}


def below(file: str, outputs: list[str]) -> bool:
    return any(Path(file).is_relative_to(output) for output in outputs)


def test_each_stage_makes_what_dvc_expects_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    seen: set[str] = set()
    for stage in DVC["stages"].values():
        run(stage["cmd"])
        outputs = [*stage.get("outs", []), *stage.get("metrics", [])]
        new = made() - seen
        assert all(below(file, outputs) for file in new), new
        assert all(Path(output).exists() for output in outputs), outputs
        assert set(stage.get("params", [])) <= set(pipeline.Params.model_fields)
        inside = [Path(name) for name in stage["deps"] if name.startswith("pipeline/")]
        assert all(path.exists() for path in inside)
        seen |= new
    assert "evaluating" not in capsys.readouterr().out


def test_what_the_stages_depend_on_is_there() -> None:
    named = [name for stage in DVC["stages"].values() for name in stage["deps"] if not name.startswith("pipeline/")]
    assert named
    assert all((PROJECT / name).exists() for name in named)


def test_the_plots_that_dvc_draws_have_their_columns() -> None:
    for stage in DVC["stages"].values():
        run(stage["cmd"])
    drawn = {name: columns for plot in DVC["plots"] for name, columns in plot.items()}
    assert set(drawn) == {str(path) for path in Path("pipeline/plots").iterdir()}
    for name, columns in drawn.items():
        with Path(name).open(encoding="utf-8", newline="") as file:
            first = next(csv.DictReader(file))
        assert {columns["x"], columns["y"]} <= set(first)


def test_what_the_stages_made_becomes_a_version_once(capsys: pytest.CaptureFixture[str]) -> None:
    for stage in DVC["stages"].values():
        run(stage["cmd"])
    capsys.readouterr()
    metrics = json.loads(Path("pipeline/metrics.json").read_text(encoding="utf-8"))
    results = []
    for _ in range(2):
        run(f"{Settings().about.slug} pipeline publish --promote always")
        results.append(json.loads(capsys.readouterr().out))
    assert results[0] == results[1]
    assert (results[0]["version"], results[0]["promoted"], results[0]["metrics"]) == ("1", True, metrics)
    assert main(["models", "list"]) == 0
    assert json.loads(capsys.readouterr().out) == {"champion": "1", "versions": ["1"]}
    assert sorted(Path("models", Model.name, ".candidates").iterdir()) == []


def test_the_parameters_decide_what_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    Path(pipeline.PARAMS).write_text("train: {seed: 7}\n")
    for stage in ("data", "train", "publish"):
        run(f"{Settings().about.slug} pipeline {stage}")
    capsys.readouterr()
    assert main(["models", "show", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["hyperparameters"]["seed"] == 7


def test_the_parameters_are_printed_as_they_may_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipeline", "params"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["train"] == Model.Hyperparameters().model_dump()


@pytest.mark.parametrize(
    ("stage", "params", "message"),
    [
        ("train", "", "The stage train failed: pipeline/data.json is missing: run the stage data first"),
        ("evaluate", "", "The stage evaluate failed: pipeline/candidate/training.json is missing"),
        ("publish", "", "The stage publish failed: pipeline/candidate/training.json is missing"),
        ("train", "train: {seed: -1}", "params.yaml: train.seed: Input should be greater than or equal to 0"),
        ("data", "data: {url: 7}", "params.yaml: data.url: URL input should be a string or URL"),
    ],
)
def test_a_mistake_gets_one_clear_line(
    capsys: pytest.CaptureFixture[str], stage: str, params: str, message: str
) -> None:
    Path(pipeline.PARAMS).write_text(params)
    assert main(["pipeline", stage]) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1


def test_data_that_only_the_settings_name_are_not_passed_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"dataset_url": "https://example.org/a.zip", "dataset_sha256": "a" * 64}
    assert Settings(**settings).dataset_url is not None
    for name, value in settings.items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    assert main(["pipeline", "data"]) == 1
    assert f"{PREFIX}DATASET_URL names other data than params.yaml" in capsys.readouterr().err
