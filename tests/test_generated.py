"""Generated projects pass their own checks. They are installed and run, which takes minutes."""

import html
import re
import shutil
import sys
from pathlib import Path

import pytest
from workbench import AWKWARD, BIN, SLUG, UV, contents, run

pytestmark = pytest.mark.full

# Sphinx sets quotes as a printer would.
STRAIGHT = str.maketrans("‘’“”", "''\"\"")
# The shortest and the longest package name: lines of code must stay well-formed with both.
SHORT, LONG = "abd", "long_" * 7 + "names"


def test_there_is_nothing_to_reformat(installed: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = shutil.copytree(installed, tmp_path / SLUG, ignore=shutil.ignore_patterns(".venv", ".*_cache", "docs"))
    before = contents(folder)
    run(installed / ".venv" / "bin" / "ruff", "format", environ=environ, cwd=folder)
    after = {name: found for name, found in contents(folder).items() if not name.startswith(".ruff_cache/")}
    assert after == before


@pytest.mark.parametrize("name", [SHORT, LONG])
def test_code_is_well_formed_with_the_shortest_and_the_longest_name(
    name: str, installed: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    assert len(name) in {3, 40}
    slug = name.replace("_", "-")
    run(BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path, f"project_slug={slug}", environ=environ)
    for command in ("check",), ("format", "--check"):
        run(installed / ".venv" / "bin" / "ruff", *command, environ=environ, cwd=tmp_path / slug)


@pytest.mark.parametrize("slug", [SLUG, "abd", "zzz-last-of-all", LONG.replace("_", "-")])
def test_its_lock_is_current(slug: str, tmp_path: Path, environ: dict[str, str]) -> None:
    run(BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path, f"project_slug={slug}", environ=environ)
    run(UV, "lock", "--check", environ=environ, cwd=tmp_path / slug)
    assert "file://" not in (tmp_path / slug / "uv.lock").read_text(encoding="utf-8")


def test_an_awkward_name_changes_nothing(awkward: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = shutil.copytree(awkward, tmp_path / "awkward")
    run("make", "docs", environ=environ, cwd=folder)
    page = (folder / "docs" / "_build" / "html" / "index.html").read_text(encoding="utf-8")
    assert AWKWARD["project_name"] in html.unescape(page).translate(STRAIGHT)
    run(UV, "run", "--locked", "--inexact", "l-ete-2026", "--help", environ=environ, cwd=folder)


def test_its_site_is_not_built_with_gaps_in_it(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """Each is named with its place: a setting and a function without docstring, a link to nowhere, an empty section."""
    folder = shutil.copytree(project, tmp_path / SLUG)
    package = folder / "src" / "iris_api"

    def change(path: Path, old: str, new: str) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    own = (package / "settings.py").read_text(encoding="utf-8")
    (package / "settings.py").write_text(f"{own}\n    colour: str = 'red'\n", encoding="utf-8")
    (package / "more.py").write_text('"""More."""\n\n\ndef undescribed() -> None:\n    pass\n', encoding="utf-8")
    change(folder / "docs" / "how-to" / "tls.md", "\n## ", "\n[Nowhere](nowhere.md)\n\n## ")
    card = folder / "docs" / "markdown" / "model.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(re.sub(r"(?s)(## Limits\n).*?(?=\n## )", r"\1\nTODO\n", text), encoding="utf-8")
    done = run("make", "docs", environ=environ, cwd=folder, expect=2)
    for fault in (
        "The setting colour has no docstring: write one below it in src/iris_api/settings.py",
        "iris_api.more.undescribed has no docstring",
        "how-to/tls.md:",
        "'nowhere.md'",
        "the section 'Limits' of the model card is not filled in",
    ):
        assert fault in done.stdout + done.stderr, fault


def test_a_snippet_that_no_longer_runs_fails_the_tests(tmp_path: Path, environ: dict[str, str]) -> None:
    write = (sys.executable, "tools/sample.py", "--uv", UV, "--into", tmp_path, "classification")
    folder = Path(run(*write, environ=environ).stdout.strip())
    page = folder / "docs" / "how-to" / "index.md"
    text = page.read_text(encoding="utf-8")
    assert "$ sample --version" in text
    page.write_text(text.replace("$ sample --version", "$ sample --edition"), encoding="utf-8")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/library/docs/test_pages.py")
    there = environ | {"TEST_PROJECT": str(folder)}
    done = run(*command, "-k", "how-to/index", environ=there, expect=1)
    assert re.search(r"docs/how-to/index.md:\d+: sample --edition exits with 2", done.stdout)
