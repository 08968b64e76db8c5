"""The command line. Standard output is data, standard error is talk; exit code 1 is a fault, 2 a wrong use."""

import argparse
import json
import logging.config
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .about import about
from .errors import BadInput, ModelNotReady, ServiceError

if TYPE_CHECKING:
    from .keys import KeyStore, Scope
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
    command.add_argument("hyperparameters", nargs="*", metavar="NAME=VALUE", help="hyperparameters, such as seed=7")

    command = _add(commands, "predict", predict, "predict the rows of a CSV file, and print the answer as JSON")
    command.add_argument("file", nargs="?", type=Path, help="UTF-8, with a header; standard input if left out")

    actions = _add_group(commands, "models", "list the model's versions, show one, or make one serve")
    _add(actions, "list", list_models, "list the versions, newest first, and which one serves")
    _add(actions, "show", show_model, "show how a version was made and how good it is").add_argument(
        "version", help="its number"
    )
    _add(actions, "promote", promote_model, "make a version the one that serves").add_argument(
        "version", help="its number"
    )

    actions = _add_group(commands, "keys", "make, list and revoke API keys")
    command = _add(actions, "create", create_key, "make a key, and print it this once")
    command.add_argument("owner", help="who will use it")
    scopes = ["predict", "train", "admin"]
    command.add_argument(
        "--scope", action="append", choices=scopes, required=True, help="what it is good for; repeatable"
    )
    _add(actions, "list", list_keys, "list the keys, oldest first")
    _add(actions, "revoke", revoke_key, "make a key worthless, at once").add_argument(
        "key_id", metavar="ID", help="its short name, which `keys list` shows"
    )

    _add(commands, "openapi", openapi, "print the OpenAPI document of the service")
    return root


def _add(commands: Any, name: str, command: Callable[..., None], summary: str) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    added.set_defaults(command=command)
    return cast("argparse.ArgumentParser", added)


def _add_group(commands: Any, name: str, summary: str) -> Any:
    group = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    return group.add_subparsers(title="actions", required=True, metavar="ACTION")


def serve(settings: "Settings", *, no_worker: bool) -> None:
    """Serve predictions over HTTPS."""
    from .logs import LOGGING
    from .server import serve as run

    logging.config.dictConfig(LOGGING)
    run(settings, with_worker=not no_worker)


def worker(settings: "Settings", *, exit_with_parent: bool) -> None:
    """Run background jobs."""
    from .jobs.worker import run
    from .logs import LOGGING

    logging.config.dictConfig(LOGGING)
    run(settings, exit_with_parent=exit_with_parent)


def train(settings: "Settings", *, hyperparameters: list[str]) -> None:
    """Train a new version in the foreground."""
    from .jobs.train import train_now

    def report(progress: float, phase: str) -> None:
        print(f"{progress:4.0%} {phase}", file=sys.stderr)

    result = train_now(settings, read_hyperparameters(hyperparameters), None, report)
    _print(result)
    promoted = "serves now" if result["promoted"] else "does not serve"
    print(f"Version {result['version']} {promoted}: {result['reason']}.", file=sys.stderr)


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
    from .serving import prediction
    from .serving.champion import load

    registry = _registry(settings)
    version = registry.champion()
    if version is None:
        raise ModelNotReady(f"There is no model yet. Train one: {about().slug} train")
    content = sys.stdin.buffer.read() if file is None else _read(file)
    rows = prediction.read_csv(content, settings.max_rows)
    _print(prediction.predict(load(registry, version, settings.max_model_bytes), rows))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error


def list_models(settings: "Settings") -> None:
    """List the versions."""
    registry = _registry(settings)
    _print({"champion": registry.champion(), "versions": registry.versions()})


def show_model(settings: "Settings", *, version: str) -> None:
    """Show a version's record."""
    _print(_registry(settings).manifest(version))


def promote_model(settings: "Settings", *, version: str) -> None:
    """Make a version the one that serves."""
    from .serving import champion

    champion.promote(_registry(settings), version, settings.max_model_bytes)
    print(f"Version {version} serves within seconds.", file=sys.stderr)


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

    return Registry(settings.models_dir, Model.name)


def _keys(settings: "Settings") -> "KeyStore":
    from .keys import KeyStore

    return KeyStore(settings.data_dir / "keys.json")


def _print(value: Any) -> None:
    """Print data as JSON."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    print(json.dumps(value, indent=2, ensure_ascii=False))
