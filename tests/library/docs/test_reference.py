"""The reference pages are written from the code, and refuse what has no explanation."""

import argparse
import importlib
import re
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docutils import nodes
from docutils.utils import new_document
from pydantic import BaseModel
from sample.settings import Settings

from mlapi import errors

from rig.names import PREFIX
from rig.sample import PROJECT

EXTENSIONS = PROJECT / "docs" / "_ext"
PAGES = EXTENSIONS.parent

Writer = Callable[[str], Any]


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Import a module of docs/_ext by its name."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return importlib.import_module


def test_every_setting_is_described_with_its_variable_and_default(extension: Writer) -> None:
    page = extension("reference").settings()
    assert re.findall(r"\{confval\} (\w+)", page) == [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    assert ":type: integer, 0 to 65,535\n:default: `8443`" in page


def test_a_setting_without_docstring_is_refused(extension: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Undescribed(BaseModel):
        port: int = 1

    reference = extension("reference")
    monkeypatch.setattr(reference.load("settings"), "Settings", Undescribed)
    with pytest.raises(reference.Undocumented, match="setting port has no docstring"):
        reference.settings()


def test_settings_are_told_by_subject_and_each_subject_begins_with_one(extension: Writer) -> None:
    reference = extension("reference")
    subjects = reference.subjects()
    assert [name for name in Settings.model_fields if name in subjects] == list(subjects)
    assert next(iter(subjects)) == next(iter(Settings.model_fields)), "none stands before the first subject"
    assert re.findall(r"^## (.*)$", reference.settings(), re.MULTILINE) == list(subjects.values())


def test_an_option_without_help_is_refused(extension: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser(prog="it", description="Does it.")
    parser.add_argument("--silent")
    reference = extension("reference")
    monkeypatch.setattr(reference.library("cli"), "parser", lambda _about: parser)
    with pytest.raises(reference.Undocumented, match="it silent has no help"):
        reference.command_line()


def test_every_problem_type_has_a_section_of_the_page_that_its_address_names(extension: Writer) -> None:
    page = (PAGES / "errors.md").read_text(encoding="utf-8")
    sections = re.findall(r"^\((.*)\)=$", page, re.MULTILINE)
    assert sorted(sections) == sorted(extension("reference").errors())
    for slug in sections:
        described = extension("reference").problem(slug)
        assert f"/errors.html#{slug}`" in described
    assert issubclass(extension("reference").errors()["too-large"], errors.ServiceError)


def test_every_operation_is_described(extension: Writer) -> None:
    http_api = extension("http_api")
    api = http_api.document()
    page = http_api.operations(api)
    for path, methods in api["paths"].items():
        for method in methods:
            assert f"### `{method.upper()} {path}`" in page
            label = http_api.label(method, path)
            assert f"| [`{method.upper()} {path}`](<project:#{label}>) | " in page, "the list of all links to it"
            assert page.count(f"\n({label})=\n") == 1


def test_an_own_operation_without_tags_stands_among_the_others(extension: Writer) -> None:
    http_api = extension("http_api")
    api = http_api.document()
    own = {key: value for key, value in api["paths"]["/health/live"]["get"].items() if key != "tags"}
    api["paths"]["/own"] = {"get": own}
    page = http_api.operations(api)
    assert page.index("\n## Others\n") < page.index("### `GET /own`")


def test_an_operation_without_docstring_is_refused(extension: Writer) -> None:
    http_api = extension("http_api")
    api = http_api.document()
    del api["paths"]["/predict"]["post"]["description"]
    with pytest.raises(extension("project").Undocumented, match="POST /predict has no docstring"):
        http_api.operations(api)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 0, "maximum": 65535}, "integer, 0 to 65,535"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 60}, "number, over 0, at most 60"),
        ({"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}, "URL, or null"),
        ({"enum": ["always", "never"]}, "one of `always`, `never`"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number"),
        ({"type": "array", "items": {"type": "string"}}, "array of text"),
    ],
)
def test_a_schema_is_told_in_words(extension: Writer, schema: dict[str, Any], words: str) -> None:
    assert extension("reference").kind(schema) == words


def test_the_model_card_is_filled_in(extension: Writer) -> None:
    page = (PAGES / "markdown" / "model.md").read_text(encoding="utf-8")
    assert list(extension("model_card").unfilled(page)) == []


@pytest.mark.parametrize("words", ["", "TODO", "<!-- who may use it? -->", "```{model} summary\n```"])
def test_an_unfilled_section_of_the_card_is_named_with_its_line(extension: Writer, words: str) -> None:
    page = (PAGES / "markdown" / "model.md").read_text(encoding="utf-8")
    page = re.sub(r"(?s)(## Intended use\n).*?(?=\n## )", rf"\1\n{words}\n", page)
    line = page[: page.index("## Intended use")].count("\n") + 1
    [(place, message)] = extension("model_card").unfilled(page)
    assert place == line
    assert "'Intended use'" in message
    assert f"docs/markdown/model.md, line {line}" in message


def test_a_card_of_another_model_is_refused(extension: Writer) -> None:
    page = (PAGES / "markdown" / "model.md").read_text(encoding="utf-8")
    other = re.sub(r"^model: .*$", "model: roses", page, count=1, flags=re.MULTILINE)
    assert "describes roses" in next(iter(extension("model_card").unfilled(other)))[1]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_page_that_is_posted_elsewhere_is_told_by_its_title_and_its_first_sentence(
    language: str, extension: Writer
) -> None:
    cards = extension("cards")
    document = new_document("page")
    document += nodes.paragraph("", "It answers\nmuch. " + "And more. " * 50)
    app = SimpleNamespace(config=SimpleNamespace(language=language))
    app.builder = SimpleNamespace(get_target_uri="{}.html".format)
    context: dict[str, Any] = {"title": "A page"}
    cards.tell(app, "markdown/model", "page.html", context, document)
    card = context["card"]
    assert card.title == "A page"
    assert card.description.startswith("It answers much. And more.")
    assert len(card.description) <= cards.LONGEST
    folder = "" if language == "en" else f"{language}/"
    assert card.address == f"{cards.ABOUT.documentation}/{folder}markdown/model.html"
    assert card.picture == f"{cards.ABOUT.documentation}/_static/card.png"


def test_the_picture_of_the_card_has_the_size_that_is_asked_for(extension: Writer, tmp_path: Path) -> None:
    cards = extension("cards")
    (tmp_path / "_static").mkdir()
    builder = SimpleNamespace(format="html")
    cards.draw(SimpleNamespace(builder=builder, config=SimpleNamespace(language="en"), outdir=tmp_path), None)
    picture = (tmp_path / "_static" / cards.PICTURE).read_bytes()
    assert struct.unpack(">II", picture[16:24]) == (1200, 630)
