"""Generated projects pass their own checks. They are installed and run, which takes minutes."""

import html
import re
import shutil
from pathlib import Path

import pytest
from workbench import AWKWARD, BIN, ROOT, SLUG, UV, contents, run

pytestmark = pytest.mark.full

# Sphinx sets quotes as a printer would.
STRAIGHT = str.maketrans("‘’“”", "''\"\"")
# The shortest and the longest package name: lines of code must stay well-formed with both.
SHORT, LONG = "abd", "long_" * 7 + "names"


@pytest.mark.parametrize("target", ["lint", "test", "docs"])
def test_its_own_checks_pass(target: str, installed: Path, environ: dict[str, str]) -> None:
    done = run("make", target, environ=environ, cwd=installed)
    if target == "test":
        assert re.search(r"\b\d+ passed", done.stdout)
        assert not re.search(r"\b\d+ (failed|error)", done.stdout)


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


def test_checks_leave_nothing_that_git_would_track(installed: Path, environ: dict[str, str]) -> None:
    names = sorted(contents(installed))
    run("git", "init", "-q", environ=environ, cwd=installed)
    try:
        status = run("git", "ls-files", "-o", "--exclude-standard", environ=environ, cwd=installed).stdout.splitlines()
    finally:
        shutil.rmtree(installed / ".git")
    assert sorted(status) == (ROOT / "tests" / "tree" / "gitlab.txt").read_text(encoding="utf-8").splitlines()
    assert set(status) < set(names)
