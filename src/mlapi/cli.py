"""The command line. Standard output is data, standard error is talk; exit code 1 is a fault, 2 a wrong use."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

from . import commands
from .about import About, about_of
from .errors import ServiceError
from .loading import loading

FAULT, MISUSE = 1, 2
"""Exit codes: something failed; the command was used wrongly."""
PROMOTE = ("always", "better", "never")
"""Which new versions may serve, as in the settings."""


def main(model: str, settings: str, arguments: Sequence[str] | None = None) -> int:
    """Run one command of a service and return its exit code.

    Args:
        model: The class of its model, named as `package.module:Class`, and imported by the commands that need it.
        settings: The class of its settings, named likewise.
        arguments: Those of the command line; by default this process's.

    """
    try:
        about = about_of(settings.partition(".")[0])
    except ValueError as error:
        print(error, file=sys.stderr)
        return FAULT
    return _run(about, model, settings, arguments)


def _run(about: About, model: str, settings: str, arguments: Sequence[str] | None) -> int:
    options = vars(parser(about).parse_args(arguments))
    # Loaded after the arguments are read, so that help, versions and mistakes are told at once.
    with loading():
        from pydantic import ValidationError

        from .settings import Settings, describe
        from .values import Unreadable

        kind: type[Settings] = resolve_name(settings)
    command: Callable[..., None] = options.pop("command")
    overrides = {name: options.pop(name) for name in list(options) if name in kind.model_fields}
    # Through the environment, so that every process started from here has the same settings.
    os.environ.update(
        {f"{kind.prefix}{name.upper()}": str(value) for name, value in overrides.items() if value is not None}
    )
    try:
        command(commands.Context(model, kind()), **options)
    except ValidationError as error:
        return _fail(about, describe(error, kind.prefix), MISUSE)
    except (UnicodeDecodeError, Unreadable) as error:
        return _fail(about, str(error) if isinstance(error, Unreadable) else "The file .env is not UTF-8 text.", MISUSE)
    except ServiceError as error:
        return _fail(about, _told(error), FAULT)
    except BrokenPipeError:
        sys.stdout = None  # whoever read our output has left; there is nobody to tell
        return FAULT
    except OSError as error:
        return _fail(about, f"{error.filename or 'A file'}: {error.strerror}. Check the setting that names it.", FAULT)
    return 0


def _told(error: ServiceError) -> str:
    """Say in one sentence what is wrong, and where."""
    if not error.faults:
        return error.detail
    where = "; ".join(f"{place}: {message}" for place, message in error.faults)
    return f"{error.detail.removesuffix('.')}: {where}"


def _fail(about: About, message: str, code: int) -> int:
    print(f"{about.slug}: {message}", file=sys.stderr)
    return code


def parser(about: About) -> argparse.ArgumentParser:
    """Return the parser of a service's command line; `command` of what it parses is the function to run."""
    root = argparse.ArgumentParser(prog=about.slug, description=about.description)
    versions = f"%(prog)s {about.version} (mlapi-engine {version('mlapi-engine')})"
    root.add_argument("--version", action="version", version=versions)
    subcommands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_processes(subcommands)
    _add_work(subcommands)
    _add_models(_add_group(subcommands, "models", "list the model's versions, show one, or make one serve"))
    command = _add(
        subcommands, "drift", commands.drift, "compare what was predicted with the training data, and print it as JSON"
    )
    command.add_argument("--version", help="number of the version; the one that serves if left out")
    command.add_argument("--days", type=int, help="days to look back, today being one; DRIFT_DAYS if left out")
    command.add_argument("--plot", type=Path, help="also draw it, to a PNG, SVG or PDF file; needs the group plot")
    stages = "train in stages that hand each other files, as dvc.yaml does"
    _add_stages(_add_group(subcommands, "pipeline", stages))
    _add_keys(_add_group(subcommands, "keys", "make, list and revoke API keys"))
    _add(subcommands, "openapi", commands.openapi, "print the OpenAPI document of the service")
    return root


def _add_processes(subcommands: Any) -> None:
    command = _add(subcommands, "serve", commands.serve, "serve predictions over HTTPS, with a worker beside")
    command.add_argument("--host", help="address to listen on")
    command.add_argument("--port", help="TCP port to listen on; 0 takes a free one")
    command.add_argument("--workers", help="number of serving processes")
    command.add_argument("--tls-certfile", help="PEM file of the certificate chain")
    command.add_argument("--tls-keyfile", help="PEM file of the private key")
    command.add_argument("--no-worker", action="store_true", help="leave background jobs to `worker` elsewhere")

    command = _add(subcommands, "worker", commands.worker, "run background jobs")
    command.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")


def _add_work(subcommands: Any) -> None:
    summary = "train a new version here and now, and print its record as JSON"
    command = _add(subcommands, "train", commands.train, summary)
    command.add_argument("--promote", choices=PROMOTE, help="which new versions serve")
    command.add_argument("--first", action="store_true", help="only if there is no version yet that fits; it serves")
    command.add_argument("hyperparameters", nargs="*", metavar="NAME=VALUE", help="hyperparameters, such as seed=7")

    summary = "predict the rows of a CSV file, and print the answer as JSON"
    command = _add(subcommands, "predict", commands.predict, summary)
    command.add_argument("file", nargs="?", type=Path, help="UTF-8, with a header; standard input if left out")

    command = _add(subcommands, "example", commands.example, "print a table of rows that the model takes, as CSV")
    command.add_argument("--rows", type=int, default=1, help="how many; all are the same")

    command = _add(subcommands, "score", commands.score, "score a file of any size, and print a summary as JSON")
    command.add_argument("source", metavar="INPUT", help="file or s3:// address; .csv, .jsonl or .parquet")
    command.add_argument("target", metavar="OUTPUT", help="where the result goes; its end tells the format")
    command.add_argument("--cluster", dest="cluster_url", help="scheduler of a Dask cluster, as tcp://host:8786")
    command.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it is there")


def _add_models(actions: Any) -> None:
    _add(actions, "list", commands.list_models, "list the versions, newest first, and which one serves")
    _add_version(actions, "show", commands.show_model, "show how a version was made and how good it is")
    _add_version(actions, "promote", commands.promote_model, "make a version the one that serves")
    command = _add_version(actions, "canary", commands.canary_model, "let a version answer a share of the requests")
    command.add_argument("--share", type=float, required=True, help="share of the requests, 0 to 1")
    summary = "compare a version with the one that answers, without answering"
    _add_version(actions, "shadow", commands.shadow_model, summary)
    command = _add(actions, "drop", commands.drop_model, "stop trying a version")
    command.add_argument("role", choices=["canary", "shadow"], help="what it was tried as")
    summary = "record a version with the MLflow server, or record it again"
    _add_version(actions, "track", commands.track_model, summary)


def _add_stages(actions: Any) -> None:
    stage = {name: partial(commands.run_stage, stage=name) for name in ("data", "train", "evaluate", "publish")}
    _add(actions, "data", stage["data"], "write the examples, checked, as a table")
    _add(actions, "train", stage["train"], "train a candidate on the table")
    _add(actions, "evaluate", stage["evaluate"], "write the candidate's metrics and plots")
    summary = "make the candidate a version; it serves if it is good enough"
    command = _add(actions, "publish", stage["publish"], summary)
    command.add_argument("--promote", choices=PROMOTE, help="which new versions serve")
    summary = "print a params.yaml with the model's hyperparameters and their defaults"
    _add(actions, "params", commands.pipeline_params, summary)


def _add_keys(actions: Any) -> None:
    command = _add(actions, "create", commands.create_key, "make a key, and print it this once")
    command.add_argument("owner", help="who will use it")
    scopes = ["predict", "batch", "train", "metrics", "admin"]
    command.add_argument(
        "--scope", action="append", choices=scopes, required=True, help="what it is good for; repeatable"
    )
    _add(actions, "list", commands.list_keys, "list the keys, oldest first")
    command = _add(actions, "revoke", commands.revoke_key, "make a key worthless, at once")
    command.add_argument("key_id", metavar="ID", help="its short name, which `keys list` shows")


def _add_version(actions: Any, name: str, command: Callable[..., None], summary: str) -> argparse.ArgumentParser:
    """Add an action on one version of the model."""
    added = _add(actions, name, command, summary)
    added.add_argument("version", help="its number")
    return added


def _add(subcommands: Any, name: str, command: Callable[..., None], summary: str) -> argparse.ArgumentParser:
    added = subcommands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    added.set_defaults(command=command)
    return cast("argparse.ArgumentParser", added)


def _add_group(subcommands: Any, name: str, summary: str) -> Any:
    group = subcommands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    return group.add_subparsers(title="actions", required=True, metavar="ACTION")
