"""The HTTP API's reference as Markdown, from the OpenAPI document that the service itself serves."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any

from project import Undocumented, load
from reference import kind, members
from sphinx.locale import _ as tr

Document = Mapping[str, Any]

WIDTH = 90
"""Characters of the longest example that stands on one line."""


def document() -> dict[str, Any]:
    """Return the OpenAPI document, as `/openapi.json` serves it."""
    found: dict[str, Any] = deepcopy(load("main").app.openapi())
    return found


def operations(api: Document) -> str:
    """Describe every operation: who may call it, what it takes, what it answers."""
    parts = [overview(api)]
    tag = ""
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            first = operation.get("tags", ["others"])[0]
            if first != tag:
                tag = first
                parts.append(f"## {tag.capitalize()}\n")
            parts.extend(_operation(method.upper(), path, operation, api))
    return "\n".join(parts)


def overview(api: Document) -> str:
    """List the operations, with a link to each."""
    title, first, second = tr("All operations"), tr("Operation"), tr("What it does")
    rows = [f"## {title}\n", f"| {first} | {second} |", "|---|---|"]
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            said = _plain(operation.get("description", "")).partition(". ")[0].removesuffix(".")
            rows.append(f"| [`{method.upper()} {path}`](<project:#{label(method, path)}>) | {said}. |")
    return "\n".join(rows) + "\n"


def label(method: str, path: str) -> str:
    """Return the name by which a page links to an operation."""
    return "-".join(["operation", method, *re.findall(r"\w+", path)]).lower()


def schemas(api: Document) -> str:
    """Describe every object that requests and answers are made of."""
    parts = []
    for name, schema in sorted(api["components"]["schemas"].items()):
        if name.startswith("Body_"):  # made by FastAPI for a form; its operation describes it
            continue
        parts.append(f"(schema-{name.lower()})=\n### {name}\n\n{_plain(schema.get('description', ''))}\n")
        parts.append(members(name, schema))
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Document, api: Document) -> Iterator[str]:
    if not operation.get("description"):
        raise Undocumented(f"{method} {path} has no docstring: write one that says what it does.")
    yield f"({label(method, path)})=\n### `{method} {path}`\n\n{_plain(operation['description'])}\n"
    if "security" not in operation:
        yield "No API key is needed.\n"
    for parameter in operation.get("parameters", []):
        yield _parameter(parameter, f"{method} {path}")
    if "requestBody" in operation:
        yield from _request(operation["requestBody"], api)
    answers = sorted(operation["responses"].items())
    for status, answer in answers:
        if status.startswith("2"):
            yield from _success(status, answer, api)
        elif status.startswith("3"):
            yield f"Answers `{status} {HTTPStatus(int(status)).phrase}`: {answer['description']}\n"
    yield "| Problem | When |\n|---|---|"
    for status, answer in answers:
        if status >= "400":
            yield f"| {status} {HTTPStatus(int(status)).phrase} | {answer['description']} |"
    yield "\n[What each problem means and what to do](../errors.md).\n"


def _parameter(parameter: Document, operation: str) -> str:
    if not parameter.get("description"):
        raise Undocumented(f"The parameter {parameter['name']} of {operation} has no description.")
    schema = parameter["schema"]
    default = f", default `{schema['default']}`" if "default" in schema else ""
    where = {"path": "in the path", "query": "in the query", "header": "header"}[parameter["in"]]
    return f"`{parameter['name']}` <small>{where}: {kind(schema)}{default}</small>\n: {parameter['description']}\n"


def _request(body: Document, api: Document) -> Iterator[str]:
    for media_type, content in body["content"].items():
        if media_type == "multipart/form-data":
            form = content["schema"]
            if "$ref" in form:
                form = api["components"]["schemas"][form["$ref"].rpartition("/")[2]]
            fields = ", ".join(f"`{field}`" for field in form["properties"])
            yield f"Takes `{media_type}`: a form with the field {fields}.\n"
            continue
        optional = "" if body.get("required") else " It may be left out."
        yield f"Takes `{media_type}`: {kind(content['schema'])}.{optional}\n"
        for example in content.get("examples", {}).values():
            yield _json(example["value"])


def _success(status: str, answer: Document, api: Document) -> Iterator[str]:
    said = "" if answer["description"] == "Successful Response" else f" {answer['description']}"
    phrase = f"`{status} {HTTPStatus(int(status)).phrase}`"
    if not answer.get("content"):
        yield f"Answers {phrase} without a body.{said}\n"
    for media_type, content in answer.get("content", {}).items():
        form = kind(content["schema"]) if media_type == "application/json" else f"`{media_type}`"
        yield f"Answers {phrase} with {form}.{said}\n"
        example = sample(content["schema"], api)
        if example:
            yield _json(example)


def sample(schema: Document, api: Document) -> Any:
    """Build an example of a schema from the examples of its parts; None where there is none."""
    if "$ref" in schema:
        return sample(api["components"]["schemas"][schema["$ref"].rpartition("/")[2]], api)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    values = {name: sample(part, api) for name, part in schema.get("properties", {}).items()}
    return values if values and all(value is not None for value in values.values()) else None


def _json(value: Any) -> str:
    line = json.dumps(value)
    return f"```json\n{line if len(line) <= WIDTH else json.dumps(value, indent=2)}\n```\n"


def _plain(text: str) -> str:
    """Join the lines of a paragraph, as docstrings break them."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
