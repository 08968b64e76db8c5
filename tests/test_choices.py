"""Which files a choice brings, and where a project's documentation is said to be."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from workbench import BIN, ROOT, SLUG, files, run, words

TREES = ROOT / "tests" / "tree"
QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))


def generated(folder: Path, environ: dict[str, str], **answers: str) -> Path:
    run(BIN / "mlapi", "new", "--no-input", "--output-dir", folder, *words(answers), environ=environ)
    (project,) = folder.iterdir()
    return project


def tree(name: str) -> set[str]:
    """Read a list of files, with the package called alike in all of them."""
    lines = (TREES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {re.sub(r"^src/[^/]+/", "src/package_name/", line) for line in lines}


@pytest.mark.parametrize("name", sorted(path.stem for path in TREES.iterdir()))
def test_a_project_has_exactly_the_files_of_its_choice(name: str, tmp_path: Path, environ: dict[str, str]) -> None:
    """Run `make tree` after adding or removing a file of the template, and look at the difference."""
    question, _, choice = name.partition("-")
    answers = {question: choice} if choice else {}
    expected = (TREES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert list(files(generated(tmp_path, environ, **answers))) == expected


def test_there_is_a_list_for_each_choice_that_decides_about_files() -> None:
    others = [f"{name}-{choice}" for name in ("problem", "ci") for choice in QUESTIONS[name][1:]]
    assert sorted(path.stem for path in TREES.iterdir()) == sorted(["default", *others])


def test_pipelines_differ_by_one_file() -> None:
    assert tree("default") - tree("ci-github") == {".gitlab-ci.yml"}
    assert tree("ci-github") - tree("default") == {".github/workflows/ci.yml"}


def test_plain_cookiecutter_leaves_no_other_pipeline_either(
    clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    run(BIN / "cookiecutter", clone, "--no-input", "--output-dir", tmp_path, "ci=github", environ=environ)
    assert list(files(tmp_path / SLUG)) == (TREES / "ci-github.txt").read_text(encoding="utf-8").splitlines()
    assert not (tmp_path / SLUG / ".gitlab-ci.yml").exists()


@pytest.mark.parametrize(
    ("repository", "site"),
    [
        ("https://gitlab.com/your-group/iris-api", "https://your-group.gitlab.io/iris-api"),
        ("https://gitlab.com/Your-Group/Sub/Iris.api", "https://your-group.gitlab.io/Sub/Iris.api"),
        ("https://GitHub.com/Zoe/iris_api", "https://zoe.github.io/iris_api"),
        ("https://gitlab.com/iris-api", "https://gitlab.com/iris-api/docs"),
        ("https://gitlab.example.org/group/iris", "https://gitlab.example.org/group/iris/docs"),
        ("https://gitlab.com:8443/group/iris", "https://gitlab.com:8443/group/iris/docs"),
        ("https://git.sr.ht/~zoe/iris", "https://git.sr.ht/~zoe/iris/docs"),
    ],
)
def test_the_documentation_is_said_to_be_where_pages_puts_it(
    repository: str, site: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    project = generated(tmp_path, environ, repository_url=repository)
    about = tomllib.loads((project / "src" / "iris_api" / "about.toml").read_text(encoding="utf-8"))
    assert about["documentation"] == site
    shutil.rmtree(tmp_path)
