"""The site in more than one language: which there are, where a page is in each, and how much is translated."""

import importlib
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rig.sample import PROJECT

EXTENSIONS = PROJECT / "docs" / "_ext"
CATALOGUE = """
msgid "Serve"
msgstr "Bereitstellen"

#, fuzzy
msgid "Train"
msgstr "Zug"

msgid "Predict"
msgstr ""
"""


@pytest.fixture
def languages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The extension, with catalogues of another project: German, of one page."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    module = importlib.import_module("languages")
    (tmp_path / "de" / "LC_MESSAGES").mkdir(parents=True)
    (tmp_path / "de" / "LC_MESSAGES" / "tutorial.po").write_text(CATALOGUE)
    monkeypatch.setattr(module, "CATALOGUES", tmp_path)
    monkeypatch.setattr(module, "own_words", lambda: ["Next"])
    module.translated.cache_clear()
    return module


def build(language: str, **pages: list[str]) -> Any:
    """Return as much of a build as the extension looks at."""
    return SimpleNamespace(
        config=SimpleNamespace(language=language, html_baseurl=""),
        builder=SimpleNamespace(name="html", get_target_uri=lambda page: f"{page}.html"),
        env=SimpleNamespace(
            found_docs=set(pages), metadata={page: {"messages": found} for page, found in pages.items()}
        ),
    )


def test_english_comes_first_and_each_folder_of_catalogues_is_a_language(languages: Any) -> None:
    assert languages.codes() == ["en", "de"]


def test_without_catalogues_there_is_one_language(languages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "CATALOGUES", Path("/nowhere"))
    context: dict[str, Any] = {}
    languages.offer(build("en"), "index", "", context, None)
    assert [edition.code for edition in context["editions"]] == ["en"]


@pytest.mark.parametrize(
    ("here", "page", "paths"),
    [
        ("en", "index", ["index.html", "de/index.html"]),
        ("de", "index", ["../index.html", "index.html"]),
        ("en", "how-to/tls", ["../how-to/tls.html", "../de/how-to/tls.html"]),
        ("de", "how-to/tls", ["../../how-to/tls.html", "../how-to/tls.html"]),
    ],
)
def test_a_page_leads_to_itself_in_the_other_languages(here: str, page: str, paths: list[str], languages: Any) -> None:
    context: dict[str, Any] = {}
    languages.offer(build(here), page, "", context, None)
    others = [edition.path for edition in context["editions"] if edition.code != here]
    assert others == [path for path, code in zip(paths, ("en", "de"), strict=True) if code != here]
    assert [edition.name for edition in context["editions"]] == ["English", "Deutsch"]
    assert context["editions"][1].address.endswith(f"/de/{page}.html")


def test_a_translation_is_edited_in_its_catalogue(languages: Any) -> None:
    context = {"page_source_suffix": ".md", "theme_source_edit_link": "https://example.org/edit/docs/{filename}"}
    languages.offer(build("de"), "tutorial", "", context, None)
    link = context["theme_source_edit_link"].format(filename=f"tutorial{context['page_source_suffix']}")
    assert link == "https://example.org/edit/docs/locale/de/LC_MESSAGES/tutorial.po"


def test_what_is_missing_is_a_figure(languages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(languages.log, "info", lambda text, *values: lines.append(text % values))
    app = build("de", tutorial=["Serve", "Train", "Predict", "New"], index=["Serve"])
    languages.report(app, None)
    assert lines == [
        "German: 1 of 6 messages translated (16.7 %)",
        "  3 missing in docs/locale/de/LC_MESSAGES/tutorial.po",
        "  1 missing in docs/locale/de/LC_MESSAGES/sphinx.po",
        "  1 missing in docs/locale/de/LC_MESSAGES/index.po",
    ]


@pytest.mark.parametrize(("language", "error"), [("en", None), ("de", RuntimeError())])
def test_no_figure_for_the_original_and_for_a_build_that_failed(
    language: str, error: Exception | None, languages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*_: object) -> None:
        pytest.fail("it says something")

    monkeypatch.setattr(languages.log, "info", told)
    languages.report(build(language, tutorial=["Serve"]), error)
    assert logging.getLogger("languages").handlers == []


def test_each_language_is_published_below_the_site(languages: Any) -> None:
    site = languages.ABOUT.documentation
    for code, address in (("en", f"{site}/"), ("de", f"{site}/de/")):
        app = build(code)
        languages.configure(app, app.config)
        assert app.config.html_baseurl == address


def calls(script: str, spelling: dict[str, str]) -> list[list[str]]:
    """Return the words of each call of Sphinx in a script, spelled as in make.bat."""
    for unix, windows in spelling.items():
        script = script.replace(unix, windows)
    found = re.findall(r"%SPHINXBUILD% (?!-M|-q).*?(?=;|\|\||\n)", script)
    return [call.replace("\\", "/").split() for call in found]


def test_make_bat_calls_what_the_makefile_calls() -> None:
    """Nobody runs it here: there is no Windows."""
    makefile, batch = ((EXTENSIONS.parent / name).read_text(encoding="utf-8") for name in ("Makefile", "make.bat"))
    names = {"$(SPHINXBUILD)": "%SPHINXBUILD%", "$(SPHINXOPTS)": "%SPHINXOPTS%", "$$language": "%%~nxl", "$@": "%1"}
    original, others = calls(batch, {})
    assert [original, others] == calls(makefile, names)
    assert "language=%%~nxl" in others
    assert re.findall(r"SPHINXOPTS(?: \?)?=(.*)", makefile) == [" -W --keep-going -n"]
    assert re.findall(r"SPHINXOPTS=(.*)", batch) == ["-W --keep-going -n"]
    assert all(line == line.rstrip() for line in batch.splitlines())
