import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sample.ml import Model

from mlapi.ml import pipeline
from mlapi.ml.manifest import Manifest
from mlapi.ml.pipeline import (
    FOLDER,
    PARAMS,
    Params,
    Source,
    read_params,
    write_params,
)
from mlapi.ml.training import train_candidate

from rig.sample import PROJECT

SHIPPED = PROJECT / PARAMS
BUNDLED = Source()


def silent(_progress: float, _phase: str) -> None:
    """Report to nobody."""


def run(cache: Path, model: Any = Model, **hyperparameters: Any) -> Manifest:
    """Run the stages in the current directory."""
    pipeline.prepare(model, BUNDLED, cache)
    trained = pipeline.train(model, Params(train=hyperparameters).hyperparameters(model), silent)
    pipeline.evaluate_candidate(model)
    return trained


def digests(*parts: str) -> dict[str, str]:
    """Return the digest of each file that the stages made, those below `parts` or all."""
    files = sorted(path for part in parts or ("",) for path in (FOLDER / part).rglob("*") if path.is_file())
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_stages_make_what_a_training_makes(tmp_path: Path, toy: Any) -> None:
    run(tmp_path, toy, seed=5)
    name = pipeline.assemble(toy, tmp_path / "made")
    metrics = train_candidate(toy, tmp_path / "trained", {"seed": 5}, None, silent)
    made, trained = (
        Manifest.model_validate_json((tmp_path / folder / "manifest.json").read_bytes())
        for folder in (f"made/{name}", "trained")
    )
    own = {"run", "created_at"}
    own_files = {"model.joblib"}  # pickles of equal estimators need not be equal
    assert made.model_dump(exclude={*own, "files"}) == trained.model_dump(exclude={*own, "files"})
    assert {n: f for n, f in made.files.items() if n not in own_files} == {
        n: f for n, f in trained.files.items() if n not in own_files
    }
    assert json.loads((FOLDER / "metrics.json").read_text()) == metrics


def test_a_seeded_run_repeated_gives_the_same_files(tmp_path: Path) -> None:
    first = run(tmp_path, seed=5), digests("data.csv", "data.json", "metrics.json", "plots")
    second = run(tmp_path, seed=5), digests("data.csv", "data.json", "metrics.json", "plots")
    assert first[1] == second[1]
    assert first[0].files["model.onnx"] == second[0].files["model.onnx"]
    assert first[0].run != second[0].run


def test_each_stage_writes_its_files_and_no_others(tmp_path: Path) -> None:
    seen: set[str] = set()
    expected = {
        "data": {"data.csv", "data.json"},
        "train": {f"candidate/{name}" for name in ("model.joblib", "model.onnx", "training.json")},
    }
    pipeline.prepare(Model, BUNDLED, tmp_path)
    for stage, names in expected.items():
        if stage == "train":
            pipeline.train(Model, Params().hyperparameters(Model), silent)
        made = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
        assert made - seen == names
        seen = made
    before = digests()
    pipeline.evaluate_candidate(Model)
    after = digests()
    assert {name: after[name] for name in before} == before
    new = {Path(name).relative_to(FOLDER).parts[0] for name in set(after) - set(before)}
    assert new == {"metrics.json", "plots"}


def test_a_stage_without_the_one_before_says_which_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run the stage data first"):
        pipeline.train(Model, Params().hyperparameters(Model), silent)
    pipeline.prepare(Model, BUNDLED, tmp_path)
    for stage in (lambda: pipeline.evaluate_candidate(Model), lambda: pipeline.assemble(Model, tmp_path)):
        with pytest.raises(ValueError, match="run the stage train first"):
            stage()


def test_a_table_that_was_changed_is_not_trained_on(tmp_path: Path) -> None:
    pipeline.prepare(Model, BUNDLED, tmp_path)
    lines = (FOLDER / "data.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (FOLDER / "data.csv").write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match="was changed since"):
        pipeline.train(Model, Params().hyperparameters(Model), silent)


def test_a_candidate_of_other_data_is_neither_evaluated_nor_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    whole = Model.dataset()
    monkeypatch.setattr(Model, "dataset", lambda *_: whole.rows(whole.y.argsort(kind="stable")[::-1]))
    pipeline.prepare(Model, BUNDLED, tmp_path)
    for stage in (lambda: pipeline.evaluate_candidate(Model), lambda: pipeline.assemble(Model, tmp_path)):
        with pytest.raises(ValueError, match="trained on other data"):
            stage()


def test_the_projects_parameters_are_those_of_the_model() -> None:
    assert read_params(SHIPPED).hyperparameters(Model)


def test_parameters_can_be_written_anew_with_every_default(tmp_path: Path) -> None:
    (tmp_path / PARAMS).write_text(write_params(Model), encoding="utf-8")
    params = read_params(tmp_path / PARAMS)
    assert params.hyperparameters(Model) == Model.Hyperparameters()
    assert set(params.train) == set(Model.Hyperparameters.model_fields)


@pytest.mark.parametrize("text", ["", "data:\ntrain:\n", "train: {seed: 0}"])
def test_what_the_parameters_leave_out_has_its_default(tmp_path: Path, text: str) -> None:
    (tmp_path / PARAMS).write_text(text)
    params = read_params(tmp_path / PARAMS)
    assert params.hyperparameters(Model) == Model.Hyperparameters()
    assert params.data.archive(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {seed: -1}", r"params\.yaml: train\.seed: Input should be greater than or equal to 0"),
        ("train: {sed: 1}", r"train\.sed: Extra inputs are not permitted"),
        ("train: {seed: x}", r"train\.seed: Input should be a valid integer"),
        ("trian: {seed: 1}", r"trian: Extra inputs are not permitted"),
        ("data: {url: 'https://example.org/secret.zip'}", "set both or none"),
        ("data: {sha256: secret}", r"data\.sha256: String should match"),
        ("train: [", r"is not YAML \(line 1\)"),
        ("- 1", "must hold the sections"),
        ("text", "must hold the sections"),
        ("1: 2", "1: "),
    ],
)
def test_a_mistake_in_the_parameters_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / PARAMS).write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        read_params(tmp_path / PARAMS).hyperparameters(Model)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_parameters_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no params\.yaml here"):
        read_params(tmp_path / PARAMS)


def test_the_data_of_the_parameters_are_an_archive(tmp_path: Path) -> None:
    (tmp_path / PARAMS).write_text(f"data:\n  url: https://example.org/a.zip\n  sha256: {'a' * 64}\n")
    archive = read_params(tmp_path / PARAMS).data.archive(tmp_path)
    assert archive is not None
    assert (archive.url, archive.name, archive.cache) == ("https://example.org/a.zip", "a.zip", tmp_path)
