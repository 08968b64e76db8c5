"""The training cut into stages that hand each other files, so that a tool such as DVC runs only what has changed.

The stages, and what each leaves in the folder of the pipeline::

    data ........ data.csv, data.json             the examples, checked, as a table; where they come from
    train ....... candidate/                      the model, and the record of its training
    evaluate .... metrics.json, plots/*.csv       how good it is on the examples held back

They are the steps of `training.train_candidate`, and read their parameters from `params.yaml`.
"""

import csv
import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, HttpUrl, StringConstraints, ValidationError, model_validator

from . import examples, training
from .base import Dataset, Hyperparameters, SupervisedModel
from .download import Archive
from .evaluation import Plot, evaluate
from .manifest import Manifest

FOLDER = Path("pipeline")
"""Where the stages keep their files, in the directory that they run in."""
PARAMS = Path("params.yaml")
"""The parameters."""


class Source(BaseModel):
    """Where the examples come from."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: HttpUrl | None = None
    """Where to download them, as the setting `dataset_url` says; none for the bundled ones."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of that archive, 64 hexadecimal digits."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Source":
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("url and sha256 go together: set both or none")
        return self

    def archive(self, cache: Path) -> Archive | None:
        """Return the archive to download and keep in a directory; None for the bundled examples."""
        return None if self.url is None or self.sha256 is None else Archive(str(self.url), self.sha256, cache)


class Params(BaseModel):
    """What `params.yaml` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    data: Source = Source()
    """Where the examples come from."""
    train: dict[str, Any] = {}
    """Hyperparameters of the model; those left out have their default."""

    def hyperparameters(self, model: type[SupervisedModel]) -> Hyperparameters:
        """Return the hyperparameters of a model, checked.

        Raises:
            ValueError: the model has no such hyperparameter, or does not accept its value.

        """
        try:
            chosen: Hyperparameters = model.Hyperparameters(**self.train)
        except ValidationError as error:
            anew = f"`pipeline params` prints a new {PARAMS} for the model"
            raise ValueError(f"{_mistakes(error, 'train')} ({anew})") from None
        return chosen


def read_params(path: Path = PARAMS) -> Params:
    """Read the parameters.

    Raises:
        ValueError: the file cannot be read, or holds something else; the message says what and where.

    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return Params.model_validate({name: part for name, part in content.items() if part is not None})
    except ValidationError as error:
        raise ValueError(_mistakes(error)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"{PARAMS} is not YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    except (AttributeError, TypeError):
        raise ValueError(f"{PARAMS} must hold the sections data and train") from None
    except FileNotFoundError:
        raise ValueError(f"there is no {PARAMS} here; run this in the project's folder") from None


def _mistakes(error: ValidationError, *section: str) -> str:
    """Say what is wrong with the parameters, without their values."""
    faults = error.errors(include_input=False, include_url=False)
    return f"{PARAMS}: " + "; ".join(f"{'.'.join(map(str, (*section, *one['loc'])))}: {one['msg']}" for one in faults)


def write_params(model: type[SupervisedModel]) -> str:
    """Return a `params.yaml` with every hyperparameter of a model, its meaning and its default."""
    lines = ["# What the stages of dvc.yaml run with."]
    lines += ["data:", "  # An archive to download and its SHA-256 digest; null for the bundled examples."]
    lines += ["  url: null", "  sha256: null", "train:"]
    for name, field in model.Hyperparameters.model_fields.items():
        lines += [f"  # {field.description}", f"  {name}: {json.dumps(field.default)}"]
    return "\n".join(lines)


def prepare(model: type[SupervisedModel], source: Source, cache: Path) -> dict[str, Any]:
    """Write the examples as a table, in a form that depends on nothing but their values; return its record.

    Args:
        model: The class of the model.
        source: Where the examples come from.
        cache: Directory to keep a downloaded archive in.

    Raises:
        ValueError: the examples cannot be had, or are not what the model promises.

    """
    training.refuse_unfinished(model)
    data = examples.read(model, source.archive(cache))
    FOLDER.mkdir(exist_ok=True)
    table, note = FOLDER / "data.csv", FOLDER / "data.json"
    note.unlink(missing_ok=True)  # a table without its record is not complete
    examples.write_table(model, table, data)
    record = {"source": data.source, "fingerprint": data.fingerprint, "rows": len(data.y)}
    _write_json(note, record)
    return record


def train(model: type[SupervisedModel], hyperparameters: Hyperparameters, report: training.Report) -> Manifest:
    """Train a model on the table and write it to the folder `candidate`; return its record, which has no metrics yet.

    Raises:
        TrainingRefused: the exported model differs from the original.
        ValueError: the stage before has not been run.

    """
    data = read_data(model)
    trained = training.train(FOLDER / "candidate", uuid.uuid4().hex, model(hyperparameters), data, report)
    (FOLDER / "candidate" / "training.json").write_text(trained.model_dump_json(indent=2) + "\n", encoding="utf-8")
    report(1.0, "trained")
    return trained


def evaluate_candidate(model: type[SupervisedModel]) -> dict[str, float]:
    """Evaluate the candidate on the examples held back; write its metrics and plots, and return the metrics.

    Raises:
        ValueError: a stage before has not been run.

    """
    trained, data = read_candidate(model)
    _, held_back = examples.split(model, data)
    compute = training.opened(model, FOLDER / "candidate", trained.runtime).compute
    metrics, plots = evaluate(model, compute, trained.interval, held_back)
    _write_json(FOLDER / "metrics.json", metrics)
    shutil.rmtree(FOLDER / "plots", ignore_errors=True)
    (FOLDER / "plots").mkdir()
    for name, plot in plots.items():
        _write_plot(FOLDER / "plots" / f"{name}.csv", plot)
    return metrics


def assemble(model: type[SupervisedModel], directory: Path) -> str:
    """Copy the candidate to `directory`, complete it with its manifest, and return the identifier of its training.

    It is evaluated once more, so that the metrics are those of this model whatever was run or left out before.

    Args:
        model: The class of the model.
        directory: The folder above the one to write, which is called as the training is.

    Raises:
        ValueError: a stage before has not been run.

    """
    trained, data = read_candidate(model)
    target = directory / trained.run
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in trained.files:
        shutil.copyfile(FOLDER / "candidate" / name, target / name)
    training.complete(model, target, trained, data)
    return trained.run


def read_data(model: type[SupervisedModel]) -> Dataset:
    """Return the examples of the table.

    Raises:
        ValueError: the stage `data` has not been run, or the table was changed since.

    """
    record = _read_json(FOLDER / "data.json", "data")
    try:
        data = examples.read_table(model, FOLDER / "data.csv", record["source"])
    except (OSError, ValueError):
        data = None
    if data is None or data.fingerprint != record["fingerprint"]:
        raise ValueError(f"{FOLDER / 'data.csv'} was changed since it was written: run the stage data again")
    return data


def read_candidate(model: type[SupervisedModel]) -> tuple[Manifest, Dataset]:
    """Return the record of the candidate's training, and the examples it was trained on.

    Raises:
        ValueError: the stages `data` and `train` have not been run, or the data were changed since.

    """
    trained = Manifest.model_validate(_read_json(FOLDER / "candidate" / "training.json", "train"))
    data = read_data(model)
    if data.fingerprint != trained.dataset.fingerprint:
        raise ValueError("the candidate was trained on other data: run the stage train again")
    return trained, data


def _read_json(path: Path, stage: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        raise ValueError(f"{path} is missing: run the stage {stage} first") from None


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_plot(path: Path, plot: Plot) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(plot)
        writer.writerows(zip(*(column.tolist() for column in plot.values()), strict=True))
