"""The reference pages' Markdown, written from the code: settings, errors, the command line, records.

Each writer raises `Undocumented` for what has no explanation, so a page cannot fall behind the code.
"""

import argparse
import inspect
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from project import ABOUT, PACKAGE, Undocumented, library, load
from sphinx.locale import _ as tr


def subjects() -> dict[str, str]:
    """Return what settings are about, each subject by the setting that it begins with."""
    return {
        "host": tr("Address, certificate, processes"),
        "require_key": tr("Who may call"),
        "allowed_hosts": tr("Hosts, proxies, browsers"),
        "log_format": tr("Log and traces"),
        "models_dir": tr("Where things are kept"),
        "cluster_url": tr("Files to score"),
        "dataset_url": tr("Training"),
        "refresh_seconds": tr("Serving"),
        "max_body_bytes": tr("Limits on callers"),
        "drain_seconds": tr("Stopping, and room on the disks"),
    }


def settings() -> str:
    """Describe every setting, by subject: its variable, type, limits, default and meaning."""
    module, titles = load("settings"), subjects()
    schema = module.Settings.model_json_schema()
    entries, missing = [], []
    own = [name for name in schema["properties"] if name not in library("settings").Settings.model_fields]
    titles |= dict.fromkeys(own[:1], tr("This project's own"))
    for name, about in schema["properties"].items():
        if name in titles:
            entries.append(f"## {titles[name]}\n")
        meaning = about.get("description")
        if not meaning:
            missing.append(name)
            continue
        default = about.get("default")
        entries.append(
            f"````{{confval}} {module.Settings.prefix}{name.upper()}\n"
            f":type: {kind(about).removesuffix(', or null')}\n"
            f":default: {'none' if default is None or default == [] else f'`{as_text(default)}`'}\n\n"
            f"{meaning}\n````\n"
        )
    page = "\n".join(entries)
    if missing:
        where = f"write one below it in src/{PACKAGE}/settings.py"
        raise Undocumented(f"The setting {', '.join(missing)} has no docstring: {where}.", page)
    return page


def metrics() -> str:
    """Describe every metric: its name as Prometheus shows it, its type, labels and meaning."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    service, worker = library("monitoring.metrics").Metrics(), library("monitoring.jobs").JobMetrics()
    families = [*service.families(), *worker.families()]
    for family in sorted(families, key=lambda family: family.name):
        if not family.documentation:
            raise Undocumented(f"The metric {family.name} has no help.")
        name = f"{family.name}_total" if family.kind == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{name}` | {family.kind} | {labels} | {family.documentation} |")
    return "\n".join(rows)


def as_text(value: Any) -> str:
    """Write a value the way one sets it in the environment."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def kind(schema: Mapping[str, Any]) -> str:
    """Say in words what values a JSON Schema allows, such as "integer, 0 to 65535"."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](<project:#schema-{name.lower()}>)"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        kinds = [kind(choice) for choice in choices if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds)) + (", or null" if len(kinds) < len(choices) else "")
    return KINDS.get(schema.get("type", ""), _scalar)(schema)


def _scalar(schema: Mapping[str, Any]) -> str:
    formats = {"path": "path", "uri": "URL", "date-time": "date and time", "password": "text, kept secret"}
    types = {"string": "text", "": "anything"}
    name = schema.get("type", "")
    return ", ".join([formats.get(schema.get("format", ""), types.get(name, name)), *_limits(schema)])


def _object(schema: Mapping[str, Any]) -> str:
    inside = schema.get("additionalProperties")
    return f"object of {kind(inside)}" if isinstance(inside, dict) and inside else "object"


def _array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"array of {len(schema['prefixItems'])} values"
    least, most = schema.get("minItems"), schema.get("maxItems")
    number = f"{least} to {most:,} " if least is not None and most is not None else ""
    return f"array of {number}{kind(schema.get('items', {}))}"


KINDS = {"array": _array, "object": _object}


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    """Say what limits a number or text has."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{low:,} to {high:,}"
    elif low is not None:
        yield f"at least {low:,}"
    for key, words in LIMITS.items():
        if key in schema and not (key == "maximum" and low is not None):
            yield words.format(schema[key])


LIMITS = {
    "exclusiveMinimum": "over {:,}",
    "exclusiveMaximum": "below {:,}",
    "maximum": "at most {:,}",
    "maxLength": "at most {:,} characters",
}


def record(name: str) -> str:
    """Describe the members of a pydantic model, named as `module:Class`; the models inside it stand in the HTTP API."""
    module, _, model = name.partition(":")
    return members(model, getattr(library(module), model).model_json_schema(mode="serialization"))


def members(title: str, schema: Mapping[str, Any]) -> str:
    """Describe the members of a JSON object as a list of names, types and meanings."""
    required = schema.get("required", [])
    lines = []
    for name, about in schema.get("properties", {}).items():
        meaning = about.get("description")
        if not meaning:
            raise Undocumented(f"{title}.{name} has no docstring.")
        optional = "" if name in required or "default" not in about else f", default `{json.dumps(about['default'])}`"
        lines.append(f"`{name}` <small>{kind(about)}{optional}</small>\n: {meaning}\n")
    return "\n".join(lines)


def errors() -> dict[str, Any]:
    """Return every kind of error a caller may see, by its slug."""
    module = library("errors")
    waiting, found = [module.ServiceError], {}
    while waiting:
        error = waiting.pop(0)
        waiting.extend(kind for kind in error.__subclasses__() if kind.__module__ == module.__name__)
        found.setdefault(error.slug, error)
    return found


def problem(slug: str) -> str:
    """Describe a problem type: its address, its status and what it means."""
    error = errors().get(slug)
    if error is None:
        raise Undocumented(f"There is no problem type {slug!r}.")
    address = library("api.problems").Problems(ABOUT.documentation).type_of(slug)
    meaning = inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0]
    raised = f"{{py:class}}`~{error.__module__}.{error.__name__}`"
    names = tr("Status"), tr("Type"), tr("Raised as")
    values = f"{error.status} {HTTPStatus(error.status).phrase}", f"`{address}`", raised
    facts = "".join(f":{name}: {value}\n" for name, value in zip(names, values, strict=True))
    return f"{facts}\n{meaning}\n"


def command_line() -> str:
    """Describe every command with its arguments and options, from the parser itself."""
    return "\n".join(_command(library("cli").parser(ABOUT)))


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## `{parser.prog}`\n\n{parser.description}\n"
    yield f"```text\n{parser.format_usage().removeprefix('usage: ').strip()}\n```\n"
    yield f"```{{program}} {parser.prog}\n```\n"
    inner: list[argparse.ArgumentParser] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            inner.extend(action.choices.values())
        elif not action.help:
            raise Undocumented(f"{parser.prog} {action.dest} has no help text.")
        elif action.dest != "help":
            yield _argument(action, parser)
    for command in inner:
        yield from _command(command)


def _argument(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    value = action.metavar or choices or action.dest.upper()
    takes_value = action.nargs != 0
    spellings = [f"{option} {value}" if takes_value else option for option in action.option_strings]
    signature = ", ".join(spellings) or str(value)
    meaning = (action.help or "").replace("%(prog)s", parser.prog)
    note = " (required)" if action.required and action.option_strings else ""
    sentence = f"{meaning[0].upper()}{meaning[1:]}{note}."
    if not action.option_strings:
        return f"`{signature}`\n: {sentence}\n"
    return f"````{{option}} {signature}\n{sentence}\n````\n"
