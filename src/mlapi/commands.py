"""What each command does. What they need is loaded when they run, so that help and mistakes are told at once."""

import itertools
import json
import logging.config
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from .errors import BadInput, ModelNotReady
from .loading import loading

if TYPE_CHECKING:
    from .keys import KeyStore, Scope
    from .ml.base import SupervisedModel
    from .monitoring.drift import Drift
    from .serving.registry import Registry
    from .settings import Settings


class Context:
    """The model and the settings of a command. The model's module is imported when the model is first asked for."""

    def __init__(self, model: str, settings: "Settings") -> None:
        """Work with a model, named as `package.module:Class`."""
        self._model = model
        self.settings = settings
        """Settings of the service."""

    @property
    def model(self) -> "type[SupervisedModel]":
        """The class of the model."""
        found: type[SupervisedModel] = resolve_name(self._model)
        return found

    def registry(self) -> "Registry":
        """Return the model's versions."""
        from .serving.registry import Registry

        return Registry.of(self.model, self.settings)


def serve(context: Context, *, no_worker: bool) -> None:
    """Serve predictions over HTTPS."""
    with loading():
        from .logs import logging_config
        from .server import serve as run

    logging.config.dictConfig(logging_config(context.settings))
    run(context.model, context.settings, with_worker=not no_worker)


def worker(context: Context, *, exit_with_parent: bool) -> None:
    """Run background jobs."""
    from .logs import logging_config
    from .worker import work

    logging.config.dictConfig(logging_config(context.settings))
    work(context.model, context.settings, exit_with_parent=exit_with_parent)


def train(context: Context, *, hyperparameters: list[str], first: bool) -> None:
    """Train a new version in the foreground."""
    from .server import lacks_version
    from .training.foreground import train_now

    model, settings = context.model, context.settings
    if first and not lacks_version(model, settings):
        print("There is a version that serves.", file=sys.stderr)
        return
    chosen = read_hyperparameters(model, hyperparameters)
    result = train_now(model, settings, chosen, "always" if first else None, _report)
    _print(result)
    promoted = "serves now" if result["promoted"] else "does not serve"
    print(f"Version {result['version']} {promoted}: {result['reason']}.", file=sys.stderr)


def _report(progress: float, phase: str) -> None:
    print(f"{progress:4.0%} {phase}", file=sys.stderr)


def read_hyperparameters(model: "type[SupervisedModel]", pairs: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs, each value in JSON or a text as it is; `BadInput` if the model does not take them."""
    from pydantic import ValidationError

    chosen = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise BadInput(f"{pair!r} is not NAME=VALUE, such as seed=7")
        try:
            chosen[name] = json.loads(value)
        except ValueError:
            chosen[name] = value
    try:
        return model.Hyperparameters(**chosen).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise BadInput("; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())) from None


def predict(context: Context, *, file: Path | None) -> None:
    """Predict the rows of a CSV file with the champion."""
    from .serving import prediction
    from .serving.champion import load

    model, settings = context.model, context.settings
    registry = context.registry()
    version = registry.champion()
    if version is None:
        raise ModelNotReady(f"There is no model yet. Train one: {context.settings.about.slug} train")
    content = sys.stdin.buffer.read() if file is None else _read(file)
    rows = prediction.read_csv(model.Features, content, settings.max_rows)
    served = load(model, registry, version, settings.max_model_bytes)
    answer = prediction.predict(served, model.Features.matrix(rows))
    _print(prediction.members(served, answer.lists()))


def example(context: Context, *, rows: int) -> None:
    """Print the row that is given as an example, as often as is asked, as `predict` and `score` read it."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(context.model.Features.names())
    writer.writerows(itertools.repeat(context.model.Features.example().values(), rows))


def score(context: Context, *, source: str, target: str, overwrite: bool) -> None:
    """Score a file of any size."""
    from .bar import Bar
    from .scoring.foreground import place_of, rejects_of, score_now

    for name in () if overwrite else (target, rejects_of(target)):
        if place_of(name).is_taken():
            raise BadInput(f"{name} is there already. Choose another name, or say --overwrite.")
    with Bar(sys.stderr) as bar:
        _print(score_now(context.model, context.settings, source, target, bar.show))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error


def list_models(context: Context) -> None:
    """List the versions."""
    registry = context.registry()
    traffic = registry.traffic()
    tried = {name: getattr(traffic, name) for name in ("canary", "share", "shadow") if getattr(traffic, name, None)}
    _print({"champion": traffic and traffic.version, **tried, "versions": registry.versions()})


def show_model(context: Context, *, version: str) -> None:
    """Show a version's record."""
    _print(context.registry().manifest(version))


def promote_model(context: Context, *, version: str) -> None:
    """Make a version the one that serves."""
    from .serving import champion

    champion.promote(context.model, context.registry(), version, context.settings.max_model_bytes)
    print(f"Version {version} serves within seconds.", file=sys.stderr)


def drift(context: Context, *, version: str | None, days: int | None, plot: Path | None) -> None:
    """Compare what was predicted with the training data."""
    from .monitoring.drift import Tallies

    registry, settings = context.registry(), context.settings
    version = version or registry.champion()
    if version is None:
        raise ModelNotReady(f"There is no model yet. Train one: {context.settings.about.slug} train")
    tallies = Tallies(settings.data_dir / "drift", settings.drift_days)
    found = tallies.drift(version, registry.manifest(version).reference, days)
    if plot is not None:
        _plot(found, plot)
    _print(
        {
            "version": version,
            "days": days or settings.drift_days,
            "features": {one.name: one.summary() for one in found},
        }
    )
    _tell_drift(version, found)


def _plot(found: "Sequence[Drift]", path: Path) -> None:
    try:
        from .monitoring.figure import draw
    except ModuleNotFoundError as error:
        raise BadInput(f"Drawing needs {error.name}, which is not installed here: install the group plot.") from None
    try:
        draw(found, path)
    except ValueError as error:
        raise BadInput(f"{path} cannot be drawn: {error}.") from None


def _tell_drift(version: str, found: "Sequence[Drift]") -> None:
    """Say in a sentence what the numbers mean."""
    from .monitoring.drift import ENOUGH_ROWS

    rows = max((one.counted for one in found), default=0)
    drifted = [one.name for one in found if one.drifted]
    if rows < ENOUGH_ROWS:
        words = f"{rows} rows were counted, too few to tell: {ENOUGH_ROWS} are needed"
    elif drifted:
        words = f"other than in training: {', '.join(drifted)} ({rows} rows)"
    else:
        words = f"no drift beyond chance in {rows} rows"
    print(f"Version {version}: {words}.", file=sys.stderr)


def canary_model(context: Context, *, version: str, share: float) -> None:
    """Let a version answer a share of the requests."""
    from .serving import champion

    if not 0 <= share <= 1:
        raise BadInput("The share must be from 0 to 1, such as 0.05.")
    champion.canary(context.model, context.registry(), version, share, context.settings.max_model_bytes)
    print(f"Version {version} answers {share:.1%} of the requests within seconds.", file=sys.stderr)


def shadow_model(context: Context, *, version: str) -> None:
    """Compare a version with the one that answers."""
    from .serving import champion

    champion.shadow(context.model, context.registry(), version, context.settings.max_model_bytes)
    print(f"Version {version} is compared within seconds. The metrics tell how it does.", file=sys.stderr)


def drop_model(context: Context, *, role: Literal["canary", "shadow"]) -> None:
    """Stop trying a version."""
    context.registry().drop(role)
    print(f"There is no {role} any more.", file=sys.stderr)


def track_model(context: Context, *, version: str) -> None:
    """Record a version with the MLflow server."""
    from .training.tracking import record

    print(record(context.registry(), context.settings, version))


def run_stage(context: Context, *, stage: str) -> None:
    """Run a stage of the pipeline."""
    from .training.pipeline import STAGES

    _print(STAGES[stage](context.model, context.settings, _report))


def pipeline_params(context: Context) -> None:
    """Print parameters."""
    from .ml.pipeline import write_params

    print(write_params(context.model))


def create_key(context: Context, *, owner: str, scope: "list[Scope]") -> None:
    """Make an API key."""
    if not owner.strip():
        raise BadInput("Say who will use the key: it must have an owner.")
    key, secret = _keys(context.settings).create(owner, scope)
    print(secret)
    print(f"This is the key {key.id} of {owner}. Keep it: it is not stored and cannot be shown again.", file=sys.stderr)


def list_keys(context: Context) -> None:
    """List the API keys."""
    _print([key.model_dump(mode="json", exclude={"digest"}) for key in _keys(context.settings).list()])


def revoke_key(context: Context, *, key_id: str) -> None:
    """Revoke an API key."""
    if not _keys(context.settings).revoke(key_id):
        raise BadInput(f"There is no key {key_id!r}. `keys list` names them.")
    print(f"The key {key_id} is revoked.", file=sys.stderr)


def openapi(context: Context) -> None:
    """Print the OpenAPI document."""
    _print(resolve_name(f"{context.settings.package}.main:app").openapi())


def _keys(settings: "Settings") -> "KeyStore":
    from .keys import KeyStore

    return KeyStore(settings.keys_path)


def _print(value: Any) -> None:
    """Print data as JSON."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    print(json.dumps(value, indent=2, ensure_ascii=False))
