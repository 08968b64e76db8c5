"""What the README tells people to type works, and what the pages say of the questions is true."""

import json
import re
import shutil
from pathlib import Path

import pytest
from workbench import ROOT, run

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```", README) for line in block.splitlines()]
# These two are what tests/test_make.py runs, and what runs this.
ELSEWHERE = {"make demo", "make test"}
# These ask questions, which nobody is here to answer.
ASKING = {"mlapi new", "uvx cookiecutter . --output-dir ~/services"}
QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))


@pytest.mark.full
def test_every_command_of_the_readme_works(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    assert set(COMMANDS) >= ELSEWHERE | ASKING
    steps = [f"{line} --no-input" if line in ASKING else line for line in COMMANDS if line not in ELSEWHERE]
    home = tmp_path / "home"
    (home / ".local" / "bin").mkdir(parents=True)
    folder = shutil.copytree(clone, tmp_path / "clone")
    shell = environ | {"HOME": str(home), "PATH": f"{home / '.local' / 'bin'}:{environ['PATH']}"}
    run("bash", "-euxc", "\n".join(steps), environ=shell, cwd=folder)
    assert (folder / "iris-api" / "README.md").is_file()
    assert (home / "projects" / "wine-quality" / "README.md").is_file()
    assert (home / "services" / "iris-api" / "README.md").is_file()


@pytest.mark.parametrize("page", ["README.md", "docs/answers.md"])
def test_the_table_of_questions_is_that_of_the_template(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.*?) \|", text))
    assert list(rows) == [name for name in QUESTIONS if not name.startswith("_")]
    for name, default in rows.items():
        value = QUESTIONS[name][0] if isinstance(QUESTIONS[name], list) else QUESTIONS[name]
        shown, _, derived = default.removeprefix("`").partition("`")
        if default.startswith("from "):
            assert re.search(rf"cookiecutter\.{default.split('`')[1]}( \||\])", value)
        else:
            assert value == shown + ("{{ cookiecutter.project_slug }}" if "slug" in derived else "")


def test_every_link_of_the_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 8
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_every_target_of_the_contributors_table_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make (\w+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not re.search(rf"(?m)^{target}:", makefile)] == []
