"""The template: where it is, what it asks, what it accepts, and how a project is made of it."""

import json
import os
import runpy
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlapi_template.errors import Fault, UsageError

PARTS = ("cookiecutter.json", "hooks", "templates", "{{cookiecutter.project_slug}}")
# Installers compile the .py files of a wheel, and tools leave their caches where they were run.
LEFTOVERS = shutil.ignore_patterns("__pycache__", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache")


@dataclass(frozen=True)
class Question:
    """One question: its name, how it is put, its default (a Jinja text) and, if it has them, the choices by value."""

    name: str
    prompt: str
    default: str
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Template:
    """A template's directory, its questions in the order they are asked, and the check of one answer.

    `problem(name, value)` is one line that says what is wrong with an answer, or empty when nothing is.
    """

    directory: Path
    questions: Mapping[str, Question]
    problem: Callable[[str, object], str]


def load() -> Template:
    """Read the template that came with this package.

    Raises Fault when it is not there.
    """
    directory = find()
    config = json.loads((directory / "cookiecutter.json").read_text(encoding="utf-8"))
    # The rules have one home: the hook that plain cookiecutter runs.
    rules = runpy.run_path(str(directory / "hooks" / "pre_gen_project.py"), run_name="rules")
    return Template(directory, questions(config), rules["problem"])


def find() -> Path:
    """Return the template's directory: in the wheel, or, when installed in place, the repository.

    Raises Fault when there is neither.
    """
    package = Path(__file__).resolve().parent
    for directory in (package / "template", package.parents[1]):
        if (directory / "cookiecutter.json").is_file():
            return directory
    raise Fault(f"the template is missing from {package}: install the package again")


def library(directory: Path) -> str:
    """Return the version of the library whose wheel a template gives to its projects.

    Raises Fault when the template has none.
    """
    for wheel in directory.glob("*/vendor/mlapi_engine-*.whl"):
        return wheel.name.split("-")[1]
    raise Fault(f"the library's wheel is missing from {directory}: install the package again")


def questions(config: Mapping[str, Any]) -> dict[str, Question]:
    """Read the questions out of cookiecutter.json; its private variables, which nobody is asked, stay out."""
    prompts = config["__prompts__"]
    found = {}
    for name, default in config.items():
        if not name.startswith("_"):
            put = prompts[name]
            if isinstance(default, list):
                choices = {value: put[value] for value in default}
                found[name] = Question(name, put["__prompt__"], default[0], choices)
            else:
                found[name] = Question(name, put, default, {})
    return found


def answered(template: Template, given: Mapping[str, str], ask: Callable[[Question, str], str]) -> dict[str, str]:
    """Complete the given answers: `ask(question, default)` is called for each of the others, in order."""
    # Loading cookiecutter takes a third of a second, which --help and --version need not wait for.
    from cookiecutter.environment import StrictEnvironment  # noqa: PLC0415

    jinja = StrictEnvironment(context={})
    answers: dict[str, str] = {}
    for name, question in template.questions.items():
        default = jinja.from_string(question.default).render(cookiecutter=answers)
        answers[name] = given[name] if name in given else ask(question, default)
    return answers


def generate(template: Template, answers: Mapping[str, str], output_dir: Path) -> Path:
    """Write the project into a folder of its own below `output_dir` and return its path.

    The folder appears complete or not at all. Nothing is read from or written to the user's cookiecutter settings.
    Raises UsageError when the folder exists, Fault when writing fails.
    """
    from cookiecutter.exceptions import CookiecutterException  # noqa: PLC0415
    from cookiecutter.main import cookiecutter  # noqa: PLC0415

    target = free(output_dir / answers["project_slug"])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with workshop(target.parent) as (here, beside):
            written = cookiecutter(
                str(copied(template.directory, here / "template")),
                no_input=True,
                extra_context=dict(answers),
                output_dir=str(beside),
                config_file=str(settings(here)),
            )
            Path(written).rename(target)
    except (CookiecutterException, OSError) as error:
        raise Fault(f"{target} could not be written: {error}") from error
    return target


def free(target: Path) -> Path:
    """Return the absolute path if a project can be written there.

    Raises UsageError when something is there already, or when cookiecutter would misread the path.
    """
    path = Path(os.path.abspath(target))  # noqa: PTH100 (resolve() would show a link as a path the user does not know)
    if os.path.lexists(path):
        raise UsageError(f"{path} exists and is left as it is: choose another project_slug or --output-dir")
    parent = next(folder for folder in path.parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise UsageError(f"{parent} is not a folder: choose another --output-dir")
    if any(mark in str(path) for mark in ("{{", "{%", "{#")):
        raise UsageError(f"{path} holds braces, which cookiecutter would read as its own: choose another --output-dir")
    return path


@contextmanager
def workshop(parent: Path) -> Iterator[tuple[Path, Path]]:
    """Lend two temporary folders: one for anything, one beside the target, from where a rename moves the project."""
    with (
        tempfile.TemporaryDirectory(prefix="mlapi-") as here,
        tempfile.TemporaryDirectory(prefix=".mlapi-", dir=parent) as beside,
    ):
        before = tempfile.tempdir
        tempfile.tempdir = here  # cookiecutter leaves each hook it ran in the temporary folder
        try:
            yield Path(here), Path(beside)
        finally:
            tempfile.tempdir = before


def copied(directory: Path, to: Path) -> Path:
    """Copy the template's own files, without what installers and tools left among them."""
    to.mkdir()
    for part in PARTS:
        source = directory / part
        if source.is_dir():
            shutil.copytree(source, to / part, ignore=LEFTOVERS)
        else:
            shutil.copy(source, to / part)
    return to


def settings(folder: Path) -> Path:
    """Write cookiecutter settings that stand in for the user's own: no defaults of theirs, no record of the answers."""
    path = folder / "cookiecutter-settings.json"  # JSON is YAML, which cookiecutter reads
    path.write_text(json.dumps({"cookiecutters_dir": str(folder), "replay_dir": str(folder)}), encoding="utf-8")
    return path
