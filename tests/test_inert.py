"""Awkward answers arrive whole in every generated file, and mean nothing there but themselves."""

import html
import json
import re
import shlex
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from workbench import AWKWARD, files, run, texts


def parsed(folder: Path, *suffixes: str) -> dict[str, str]:
    return {name: text for name, text in texts(folder).items() if name.endswith(suffixes)}


def test_the_metadata_is_what_was_answered(awkward: Path) -> None:
    project: dict[str, Any] = tomllib.loads((awkward / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "l-ete-2026"
    assert project["description"] == AWKWARD["description"]
    assert project["authors"] == [{"name": AWKWARD["author_name"], "email": AWKWARD["author_email"]}]
    assert project["license"] == AWKWARD["license"]
    module, _, function = project["scripts"].pop("l-ete-2026").partition(":")
    assert project["scripts"] == {}
    source = (awkward / "src" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    assert f"def {function}(" in source
    assert project["urls"]["Repository"] == AWKWARD["repository_url"]


def test_what_the_service_says_of_itself_is_what_was_answered(awkward: Path) -> None:
    about = tomllib.loads((awkward / "src" / "l_ete_2026" / "about.toml").read_text(encoding="utf-8"))
    assert about == {
        "name": AWKWARD["project_name"],
        "slug": "l-ete-2026",
        "description": AWKWARD["description"],
        "author": AWKWARD["author_name"],
        "email": AWKWARD["author_email"],
        "repository": AWKWARD["repository_url"],
        "documentation": f"{AWKWARD['repository_url']}/docs",
    }


def test_every_toml_parses(awkward: Path) -> None:
    """Checklist 44."""
    found = [tomllib.loads(text) for text in parsed(awkward, ".toml", "uv.lock").values()]
    assert len(found) >= 3


def test_every_yaml_parses_to_what_the_default_project_has(awkward: Path, project: Path) -> None:
    found = {name: list(yaml.load_all(text, Loader)) for name, text in parsed(awkward, ".yml", ".yaml").items()}
    usual = {name: list(yaml.load_all(text, Loader)) for name, text in parsed(project, ".yml", ".yaml").items()}
    assert found
    assert {name: shape(documents) for name, documents in found.items()} == {
        name: shape(documents) for name, documents in usual.items()
    }


class Loader(yaml.SafeLoader):  # type: ignore[misc] # the library has no types
    """Reads the functions of CloudFormation, such as `!Ref`, as what they are given."""


def as_given(loader: Loader, _tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else loader.construct_mapping(node)


Loader.add_multi_constructor("!", as_given)


def shape(value: object) -> object:
    """Return the structure of a document: its keys and lists, without the texts."""
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


def test_every_json_parses(awkward: Path) -> None:
    for text in parsed(awkward, ".json", ".ipynb").values():
        json.loads(text)


def test_python_compiles_and_is_that_of_the_default_project(awkward: Path, project: Path) -> None:
    """Checklist 44."""
    for name, text in parsed(awkward, ".py").items():
        compile(text, name, "exec")
    ours = {name.replace("l_ete_2026", "iris_api"): text for name, text in parsed(awkward, ".py").items()}
    theirs = parsed(project, ".py")
    assert {name: text.replace("l_ete_2026", "iris_api") for name, text in ours.items()} == theirs


class Headings(HTMLParser):
    """Collects the text of the headings, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def rendered(text: str) -> Headings:
    page = Headings()
    page.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))
    return page


def test_markdown_renders_the_answers_as_they_are(awkward: Path, project: Path) -> None:
    """Checklist 44."""
    for name, text in parsed(awkward, ".md").items():
        ours, theirs = rendered(text), rendered((project / name).read_text(encoding="utf-8"))
        assert ours.tags == theirs.tags, f"an answer became markup in {name}"
    readme = rendered((awkward / "README.md").read_text(encoding="utf-8"))
    assert AWKWARD["project_name"] in "".join(readme.texts)
    assert AWKWARD["description"] in "".join(readme.texts)


@pytest.mark.parametrize(
    "text", [AWKWARD["description"], AWKWARD["author_name"], "A.I. (2nd ed.)", "a__b", "x = 1 - 2 + 3"]
)
def test_an_allowed_text_is_plain_text_to_markdown(text: str) -> None:
    page = rendered(f"{text}\n\n# {text}\n\n- {text}\n")
    assert page.tags == ["p", "h1", "ul", "li"]
    assert [line for line in page.texts if line.strip()] == [html.unescape(text)] * 3


def test_the_dockerfile_holds_whole_words(awkward: Path) -> None:
    for name, text in texts(awkward).items():
        if Path(name).name.startswith("Dockerfile"):
            for line in re.findall(r"(?m)^LABEL (?:[^\n]|\\\n)*", text):
                shlex.split(line)


def test_make_lists_its_commands(awkward: Path, project: Path, environ: dict[str, str]) -> None:
    ours, theirs = (run("make", "help", environ=environ, cwd=folder).stdout for folder in (awkward, project))
    assert ours.replace("l-ete-2026", "iris-api") == theirs
    assert "make serve" in ours


def test_the_example_of_the_environment_can_be_sourced(awkward: Path, environ: dict[str, str]) -> None:
    for name in files(awkward):
        if Path(name).name == ".env.example":
            run("bash", "-euc", f"set -a; . ./{name}", environ=environ, cwd=awkward)
