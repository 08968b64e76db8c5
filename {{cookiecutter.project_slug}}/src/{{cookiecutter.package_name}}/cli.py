"""The command line. Standard output is data, standard error is talk; exit code 1 is a fault, 2 a wrong use."""

import argparse
import json
import logging.config
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from .about import about
from .errors import BadInput, ModelNotReady, ServiceError

if TYPE_CHECKING:
    from .keys import KeyStore, Scope
    from .monitoring.drift import Drift
    from .serving.registry import Registry
    from .settings import Settings

FAULT, MISUSE = 1, 2
"""Exit codes: something failed; the command was used wrongly; Ctrl-C ended it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = vars(parser().parse_args(arguments))
    # Loaded after the arguments are read, so that help, versions and mistakes are told at once.
    from pydantic import ValidationError

    from .settings import PREFIX, Settings, describe

    command: Callable[..., None] = options.pop("command")
    overrides = {name: options.pop(name) for name in list(options) if name in Settings.model_fields}
    # Through the environment, so that every process started from here has the same settings.
    os.environ.update({f"{PREFIX}{name.upper()}": str(value) for name, value in overrides.items() if value is not None})
    try:
        command(Settings(), **options)
    except ValidationError as error:
        return _fail(describe(error), MISUSE)
    except UnicodeDecodeError:
        return _fail("The file .env is not UTF-8 text.", MISUSE)
    except ServiceError as error:
        return _fail("; ".join([error.detail, *(f"{place}: {message}" for place, message in error.faults)]), FAULT)
    except BrokenPipeError:
        sys.stdout = None  # whoever read our output has left; there is nobody to tell
        return FAULT
    except OSError as error:
        return _fail(f"{error.filename or 'A file'}: {error.strerror}. Check the setting that names it.", FAULT)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"{about().slug}: {message}", file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; `command` of what it parses is the function to run."""
    from . import __version__

    root = argparse.ArgumentParser(prog=about().slug, description=about().description)
    root.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = _add(commands, "serve", serve, "serve predictions over HTTPS, with a worker beside")
    command.add_argument("--host", help="address to listen on")
    command.add_argument("--port", help="TCP port to listen on; 0 takes a free one")
    command.add_argument("--workers", help="number of serving processes")
    command.add_argument("--tls-certfile", help="PEM file of the certificate chain")
    command.add_argument("--tls-keyfile", help="PEM file of the private key")
    command.add_argument("--no-worker", action="store_true", help="leave background jobs to `worker` elsewhere")

    command = _add(commands, "worker", worker, "run background jobs")
    command.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")

    command = _add(commands, "train", train, "train a new version here and now, and print its record as JSON")
    command.add_argument("--promote", choices=["always", "better", "never"], help="which new versions serve")
    command.add_argument("--first", action="store_true", help="only if there is no version yet that fits; it serves")
    command.add_argument("hyperparameters", nargs="*", metavar="NAME=VALUE", help="hyperparameters, such as seed=7")

    command = _add(commands, "predict", predict, "predict the rows of a CSV file, and print the answer as JSON")
    command.add_argument("file", nargs="?", type=Path, help="UTF-8, with a header; standard input if left out")

    command = _add(commands, "score", score, "score a file of any size, and print a summary as JSON")
    command.add_argument("source", metavar="INPUT", help="file or s3:// address; .csv, .jsonl or .parquet")
    command.add_argument("target", metavar="OUTPUT", help="where the result goes; its end tells the format")
    command.add_argument("--cluster", dest="cluster_url", help="scheduler of a Dask cluster, as tcp://host:8786")
    command.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it is there")

    actions = _add_group(commands, "models", "list the model's versions, show one, or make one serve")
    _add(actions, "list", list_models, "list the versions, newest first, and which one serves")
    _add(actions, "show", show_model, "show how a version was made and how good it is").add_argument(
        "version", help="its number"
    )
    _add(actions, "promote", promote_model, "make a version the one that serves").add_argument(
        "version", help="its number"
    )

    command = _add(commands, "drift", drift, "compare what was predicted with the training data, and print it as JSON")
    command.add_argument("--version", help="number of the version; the one that serves if left out")
    command.add_argument("--days", type=int, help="days to look back, today being one; DRIFT_DAYS if left out")
    command.add_argument("--plot", type=Path, help="also draw it, to a PNG, SVG or PDF file; needs the group plot")

    command = _add(actions, "canary", canary_model, "let a version answer a share of the requests")
    command.add_argument("version", help="its number")
    command.add_argument("--share", type=float, required=True, help="share of the requests, 0 to 1")
    _add(
        actions, "shadow", shadow_model, "compare a version with the one that answers, without answering"
    ).add_argument("version", help="its number")
    _add(actions, "drop", drop_model, "stop trying a version").add_argument(
        "role", choices=["canary", "shadow"], help="what it was tried as"
    )

    _add(actions, "track", track_model, "record a version with the MLflow server, or record it again").add_argument(
        "version", help="its number"
    )

    actions = _add_group(commands, "pipeline", "train in stages that hand each other files, as dvc.yaml does")
    _add(actions, "data", partial(run_stage, stage="data"), "write the examples, checked, as a table")
    _add(actions, "train", partial(run_stage, stage="train"), "train a candidate on the table")
    _add(actions, "evaluate", partial(run_stage, stage="evaluate"), "write the candidate's metrics and plots")
    publish = partial(run_stage, stage="publish")
    command = _add(actions, "publish", publish, "make the candidate a version; it serves if it is good enough")
    command.add_argument("--promote", choices=["always", "better", "never"], help="which new versions serve")
    _add(actions, "params", pipeline_params, "print a params.yaml with the model's hyperparameters and their defaults")

    _add_keys(commands)
    _add(commands, "openapi", openapi, "print the OpenAPI document of the service")
    return root


def _add_keys(commands: Any) -> None:
    actions = _add_group(commands, "keys", "make, list and revoke API keys")
    command = _add(actions, "create", create_key, "make a key, and print it this once")
    command.add_argument("owner", help="who will use it")
    scopes = ["predict", "batch", "train", "metrics", "admin"]
    command.add_argument(
        "--scope", action="append", choices=scopes, required=True, help="what it is good for; repeatable"
    )
    _add(actions, "list", list_keys, "list the keys, oldest first")
    _add(actions, "revoke", revoke_key, "make a key worthless, at once").add_argument(
        "key_id", metavar="ID", help="its short name, which `keys list` shows"
    )


def _add(commands: Any, name: str, command: Callable[..., None], summary: str) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    added.set_defaults(command=command)
    return cast("argparse.ArgumentParser", added)


def _add_group(commands: Any, name: str, summary: str) -> Any:
    group = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    return group.add_subparsers(title="actions", required=True, metavar="ACTION")


def serve(settings: "Settings", *, no_worker: bool) -> None:
    """Serve predictions over HTTPS."""
    from .logs import logging_config
    from .server import serve as run

    logging.config.dictConfig(logging_config(settings))
    run(settings, with_worker=not no_worker)


def worker(settings: "Settings", *, exit_with_parent: bool) -> None:
    """Run background jobs."""
    from .logs import logging_config
    from .worker import work

    logging.config.dictConfig(logging_config(settings))
    work(settings, exit_with_parent=exit_with_parent)


def train(settings: "Settings", *, hyperparameters: list[str], first: bool) -> None:
    """Train a new version in the foreground."""
    from .jobs.train import train_now
    from .server import lacks_model

    if first and not lacks_model(settings):
        print("There is a version that serves.", file=sys.stderr)
        return
    result = train_now(settings, read_hyperparameters(hyperparameters), "always" if first else None, _report)
    _print(result)
    promoted = "serves now" if result["promoted"] else "does not serve"
    print(f"Version {result['version']} {promoted}: {result['reason']}.", file=sys.stderr)


def _report(progress: float, phase: str) -> None:
    print(f"{progress:4.0%} {phase}", file=sys.stderr)


def read_hyperparameters(pairs: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs, each value in JSON; `ValidationError` if the model does not take them."""
    from pydantic import ValidationError

    from .ml import Model

    chosen = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        try:
            chosen[name] = json.loads(value)
        except ValueError:
            separator = ""
        if not separator:
            raise BadInput(f"{pair!r} is not NAME=VALUE, such as seed=7 or gradient_boosting=true")
    try:
        return Model.Hyperparameters(**chosen).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise BadInput("; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())) from None


def predict(settings: "Settings", *, file: Path | None) -> None:
    """Predict the rows of a CSV file with the champion."""
    from .ml import Model
    from .serving import prediction
    from .serving.champion import load

    registry = _registry(settings)
    version = registry.champion()
    if version is None:
        raise ModelNotReady(f"There is no model yet. Train one: {about().slug} train")
    content = sys.stdin.buffer.read() if file is None else _read(file)
    rows = prediction.read_csv(content, settings.max_rows)
    served = load(registry, version, settings.max_model_bytes)
    _print(prediction.predict(served, Model.Features.matrix(rows))[0])


def score(settings: "Settings", *, source: str, target: str, overwrite: bool) -> None:
    """Score a file of any size."""
    from .bar import Bar
    from .jobs.score.foreground import place_of, score_now

    there = place_of(target)
    if not overwrite and there.path in there.storage.paths(""):
        raise BadInput(f"{target} is there already. Choose another name, or say --overwrite.")
    with Bar(sys.stderr) as bar:
        _print(score_now(settings, source, target, settings.cluster_url, bar.show))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error


def list_models(settings: "Settings") -> None:
    """List the versions."""
    registry = _registry(settings)
    traffic = registry.traffic()
    tried = {name: getattr(traffic, name) for name in ("canary", "share", "shadow") if getattr(traffic, name, None)}
    _print({"champion": traffic and traffic.version, **tried, "versions": registry.versions()})


def show_model(settings: "Settings", *, version: str) -> None:
    """Show a version's record."""
    _print(_registry(settings).manifest(version))


def promote_model(settings: "Settings", *, version: str) -> None:
    """Make a version the one that serves."""
    from .serving import champion

    champion.promote(_registry(settings), version, settings.max_model_bytes)
    print(f"Version {version} serves within seconds.", file=sys.stderr)


def drift(settings: "Settings", *, version: str | None, days: int | None, plot: Path | None) -> None:
    """Compare what was predicted with the training data."""
    from .monitoring.drift import Tallies

    registry = _registry(settings)
    version = version or registry.champion()
    if version is None:
        raise ModelNotReady(f"There is no model yet. Train one: {about().slug} train")
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


def canary_model(settings: "Settings", *, version: str, share: float) -> None:
    """Let a version answer a share of the requests."""
    from .serving import champion

    if not 0 <= share <= 1:
        raise BadInput("The share must be from 0 to 1, such as 0.05.")
    champion.canary(_registry(settings), version, share, settings.max_model_bytes)
    print(f"Version {version} answers {share:.1%} of the requests within seconds.", file=sys.stderr)


def shadow_model(settings: "Settings", *, version: str) -> None:
    """Compare a version with the one that answers."""
    from .serving import champion

    champion.shadow(_registry(settings), version, settings.max_model_bytes)
    print(f"Version {version} is compared within seconds. The metrics tell how it does.", file=sys.stderr)


def drop_model(settings: "Settings", *, role: Literal["canary", "shadow"]) -> None:
    """Stop trying a version."""
    _registry(settings).drop(role)
    print(f"There is no {role} any more.", file=sys.stderr)


def track_model(settings: "Settings", *, version: str) -> None:
    """Record a version with the MLflow server."""
    from .jobs.tracking import record

    print(record(settings, version))


def run_stage(settings: "Settings", *, stage: str) -> None:
    """Run a stage of the pipeline."""
    from .jobs.pipeline import STAGES

    _print(STAGES[stage](settings, _report))


def pipeline_params(_settings: "Settings") -> None:
    """Print parameters."""
    from .ml.pipeline import write_params

    print(write_params())


def create_key(settings: "Settings", *, owner: str, scope: "list[Scope]") -> None:
    """Make an API key."""
    if not owner.strip():
        raise BadInput("Say who will use the key: it must have an owner.")
    key, secret = _keys(settings).create(owner, scope)
    print(secret)
    print(f"This is the key {key.id} of {owner}. Keep it: it is not stored and cannot be shown again.", file=sys.stderr)


def list_keys(settings: "Settings") -> None:
    """List the API keys."""
    _print([key.model_dump(mode="json", exclude={"digest"}) for key in _keys(settings).list()])


def revoke_key(settings: "Settings", *, key_id: str) -> None:
    """Revoke an API key."""
    if not _keys(settings).revoke(key_id):
        raise BadInput(f"There is no key {key_id!r}. `keys list` names them.")
    print(f"The key {key_id} is revoked.", file=sys.stderr)


def openapi(settings: "Settings") -> None:
    """Print the OpenAPI document."""
    from .api.app import create_app

    _print(create_app(settings).openapi())


def _registry(settings: "Settings") -> "Registry":
    from .ml import Model
    from .serving.registry import Registry

    return Registry(settings.models_dir, Model.name, allow_pickle=settings.allow_pickle)


def _keys(settings: "Settings") -> "KeyStore":
    from .keys import KeyStore

    return KeyStore(settings.keys_path)


def _print(value: Any) -> None:
    """Print data as JSON."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    print(json.dumps(value, indent=2, ensure_ascii=False))
