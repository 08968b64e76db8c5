"""The translations that the template ships: they fit the pages, and translators left code, links and names as they are.

A page that has changed since does not fail: what is not translated is shown in English, and each build counts it.
"""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Catalog
from workbench import ANSWERS, BIN, ROOT, TEMPLATE, Shared, contents, files, run

TOOL = runpy.run_path(str(ROOT / "tools" / "catalogues.py"), run_name="catalogues")
read: Callable[[Path], Catalog] = TOOL["read"]
updated: Callable[[Path, list[str], str], Catalog] = TOOL["updated"]
written: Callable[[Catalog, str], str] = TOOL["written"]
CATALOGUES = sorted(TEMPLATE.rglob("docs/locale/*/**/*.po"))
LOCALE = "docs/locale/"
# What a translation keeps: code, roles, targets of links, formulas, Jinja, and the fields of Python's format.
KEPT = re.compile(
    r"`[^`]*`|\]\([^)]*\)|<https?:[^>]*>|\$[^$]*\$|\{\{.*?\}\}|(?<!\{)\{\w+\}(?![`}])|%\(\w+\)s|https?://\S+?(?=[)\s])"
)
GUESSED = 0.9
"""Part of the pages' messages that the catalogues have at least; below that nobody has looked after them."""


@pytest.fixture(scope="session")
def wanted(shared: Shared) -> dict[str, list[str]]:
    """The messages of the pages as they are now."""
    text = shared("messages.json", lambda path: path.write_text(json.dumps(TOOL["messages"]()), encoding="utf-8"))
    found: dict[str, list[str]] = json.loads(text.read_text(encoding="utf-8"))
    return found


def place(name: str) -> Path:
    found: Path = TOOL["place"](name, "fr")
    return found


def test_every_page_has_a_catalogue_and_every_catalogue_a_page(wanted: dict[str, list[str]]) -> None:
    assert [name for name in wanted if not place(name).is_file()] == [], "run make catalogues"
    assert [path for path in CATALOGUES if path not in map(place, wanted)] == [], "run make catalogues"


def test_the_catalogues_know_nearly_all_that_the_pages_say(wanted: dict[str, list[str]]) -> None:
    known = {name: {str(message.id) for message in read(place(name))} for name in wanted if place(name).is_file()}
    missing = {name: [text for text in texts if text not in known.get(name, ())] for name, texts in wanted.items()}
    total = sum(map(len, wanted.values()))
    assert total > 500
    assert sum(map(len, missing.values())) < (1 - GUESSED) * total, f"run make catalogues: {missing}"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.relative_to(TEMPLATE).as_posix())
def test_a_catalogue_holds_no_leftovers_and_keeps_what_is_not_language(path: Path) -> None:
    catalogue = read(path)
    assert list(catalogue.obsolete) == []
    assert [message.id for message in catalogue if message.id and message.fuzzy] == [], "correct it and remove the mark"
    assert written(catalogue, "fr") == path.read_text(encoding="utf-8"), "it is not in the form that the tool writes"
    for message in catalogue:
        if message.id and message.string and "cookiecutter.description" not in str(message.string):
            assert sorted(KEPT.findall(str(message.string))) == sorted(KEPT.findall(str(message.id))), message.id


def test_french_is_set_as_french(wanted: dict[str, list[str]]) -> None:
    """No-break spaces before high punctuation and inside quotation marks, and typographic apostrophes."""
    for name in wanted:
        for message in read(place(name)) if place(name).is_file() else ():
            text = re.sub(KEPT, "", str(message.string))
            assert not re.search(r"(?<=\w) [;:!?»]|« |[a-zé]'", text), message.string


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "page.po"
    text = 'msgid "Serve {{ cookiecutter.package_name }}"\nmsgstr "Servir {{ cookiecutter.package_name }}"\n\n'
    text += 'msgid "Train it on a schedule."\nmsgstr "Entraînez-le à heures fixes."\n'
    path.write_text(TOOL["HEADER"].format(language="fr") + text, encoding="utf-8")
    return path


def test_an_update_keeps_translations_and_marks_what_has_changed(catalogue: Path) -> None:
    pages = ["Serve {{ cookiecutter.package_name }}", "Train it on any schedule.", "New."]
    after = updated(catalogue, pages, "fr")
    assert [str(message.id) for message in after if message.id] == pages
    kept, changed, new = (message for message in after if message.id)
    assert (kept.string, kept.fuzzy) == ("Servir {{ cookiecutter.package_name }}", False)
    assert (changed.string, changed.fuzzy) == ("Entraînez-le à heures fixes.", True)
    assert not new.string
    text = written(after, "fr")
    assert '#, fuzzy\nmsgid "Train it on any schedule."' in text
    catalogue.write_text(text, encoding="utf-8")
    assert written(updated(catalogue, pages, "fr"), "fr") == text, "doing it again changes nothing"


def test_what_is_gone_from_a_page_goes_from_its_catalogue(catalogue: Path) -> None:
    text = written(updated(catalogue, ["Train it on a schedule."], "fr"), "fr")
    assert "Servir" not in text
    assert "#~" not in text


def test_answers_become_jinja_again() -> None:
    found = TOOL["as_jinja"]("`zqslug serve` reads ZQPACKAGE_PORT; Zqname, by Zqauthor")
    assert found == (
        "`{{ cookiecutter.project_slug }} serve` reads {{ cookiecutter.package_name | upper }}_PORT; "
        "{{ cookiecutter.__project_name }}, by {{ cookiecutter.__author_name }}"
    )


def generated(folder: Path, environ: dict[str, str], *answers: str) -> Path:
    done = run(BIN / "mlapi", "new", "--no-input", "--output-dir", folder, *answers, environ=environ)
    return Path(done.stdout.strip())


def test_the_choices_of_languages_differ_by_the_catalogues_alone(
    project: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    both = contents(generated(tmp_path, environ, "docs_languages=en+fr"))
    english = contents(project)
    assert both.pop(ANSWERS) != english.pop(ANSWERS)
    assert {name: data for name, data in both.items() if not name.startswith(LOCALE)} == english
    assert {name for name in both if name.startswith(f"{LOCALE}fr/LC_MESSAGES/")} == set(both) - set(english)
    assert f"{LOCALE}fr/LC_MESSAGES/markdown/model.po" in both
    french = re.compile(r"french|français|francais", re.IGNORECASE)
    assert [name for name, (data, _) in english.items() if french.search(data.decode(errors="ignore"))] == []


def test_plain_cookiecutter_leaves_no_catalogues_in_an_english_project(
    clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    run(BIN / "cookiecutter", clone, "--no-input", "--output-dir", tmp_path, environ=environ)
    assert [name for name in files(tmp_path) if name.endswith(".po")] == []


def test_catalogues_of_a_project_with_an_awkward_name_are_read(tmp_path: Path, environ: dict[str, str]) -> None:
    """The owner's own sentence is shown as it is, and is the only one that is not translated."""
    answers = 'project_name=L\'été "2026"', 'description=C# & Python: 100% "sûr" d\'être là', f"project_slug={'x' * 40}"
    folder = generated(tmp_path, environ, *answers, "docs_languages=en+fr")
    untranslated = []
    for path in folder.rglob("*.po"):
        catalogue = read(path)
        untranslated += [message.id for message in catalogue if message.id and not message.string]
    index = read(folder / f"{LOCALE}fr/LC_MESSAGES/index.po")
    assert index.get('L\'été "2026"') is not None
    assert untranslated == ['C# & Python: 100% "sûr" d\'être là']


def figure(output: str) -> tuple[Any, ...]:
    found = re.search(r"(\w+): (\d+) of (\d+) messages translated \((.*) %\)", output)
    assert found is not None, output
    return found.groups()


@pytest.mark.slow
@pytest.mark.full
def test_a_project_in_two_languages_builds_both_and_can_take_a_third(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = generated(tmp_path, environ, "docs_languages=en+fr")
    done = run("make", "docs", environ=environ, cwd=folder)
    language, translated, total, percent = figure(done.stdout)
    assert (language, translated, percent) == ("French", total, "100.0"), done.stdout
    html = folder / "docs" / "_build" / "html"
    pages = {path.relative_to(html / "fr") for path in (html / "fr").rglob("*.html")}
    assert pages == {path.relative_to(html) for path in html.rglob("*.html") if path.relative_to(html).parts[0] != "fr"}
    for page in pages:
        up = "../" * len(page.parent.parts)
        english, french = ((root / page).read_text(encoding="utf-8") for root in (html, html / "fr"))
        assert '<html class="no-js" lang="en"' in english
        assert '<html class="no-js" lang="fr"' in french
        assert f'<a href="{up}fr/{page}" hreflang="fr" lang="fr">Français</a>' in english
        assert f'<a href="{up}../{page}" hreflang="en" lang="en">English</a>' in french
        address = "https://your-group.gitlab.io/iris-api"
        for text in (english, french):
            assert f'<link rel="alternate" hreflang="fr" href="{address}/fr/{page}">' in text
            assert f'<link rel="alternate" hreflang="x-default" href="{address}/{page}">' in text
        assert f'<link rel="canonical" href="{address}/fr/{page}">' in french
    errors = (html / "fr" / "errors.html").read_text(encoding="utf-8")
    assert 'id="invalid-input"' in errors, "problem types lead to the same section in each language"
    assert "Ce que cette page cite du code est en anglais." in errors
    assert '<p lang="en">' in errors

    page = folder / "docs" / "how-to" / "tls.md"
    page.write_text(f"{page.read_text(encoding='utf-8')}\nA new sentence.\n", encoding="utf-8")
    run("make", "catalogues", "NEW=de", environ=environ, cwd=folder)
    german = folder / "docs" / "locale" / "de" / "LC_MESSAGES"
    shipped = folder / "docs/locale/fr/LC_MESSAGES"
    assert {path.relative_to(german) for path in german.rglob("*.po")} == {
        path.relative_to(shipped) for path in shipped.rglob("*.po")
    }
    done = run("make", "docs", environ=environ, cwd=folder)
    assert f"German: 0 of {int(total) + 1} messages translated (0.0 %)" in done.stdout
    assert f"French: {total} of {int(total) + 1} messages translated (99.9 %)" in done.stdout
    assert "  1 missing in docs/locale/fr/LC_MESSAGES/how-to/tls.po" in done.stdout
    text = (html / "fr" / "how-to" / "tls.html").read_text(encoding="utf-8")
    assert '<p lang="en">A new sentence.</p>' in text
    assert 'lang="de">Deutsch</a>' in text
