"""Each kind of problem makes a complete project of its own: installed, checked, served and documented."""

import difflib
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from workbench import ANSWERS, PROBLEMS, ROOT, TEMPLATE, UV, answer, files, free_port, made, run, serving, texts

OVERLAYS = TEMPLATE / "problems"
LIBRARY = ROOT / "tests" / "library"
LONGEST = 7200.0
Record = Callable[[str, object], None]
PACKAGE = "{{cookiecutter.package_name}}"
# Words that only one example uses. No project of another problem may hold them.
WORDS = {
    "classification": r"iris|\bflowers?\b|species|setosa|versicolor|virginica|petal|sepal",
    "regression": r"house[-_ ]?prices?|king county|waterfront|sq ft",
    "text": r"sentiment|\bhotels?\b|delicious|spärck",
}
# What every project installs, whatever its problem: written by others, or for all kinds alike.
SHARED = re.compile(r"^uv\.lock$|/static/")
# Tests of the library that do not depend on the model: they run with that of the default project alone, but for those
# that train, serve and answer as a whole. `make test-all` runs all of them with each problem.
SAME_FOR_ALL = (
    "test_about",
    "test_batch",
    "test_certificates",
    "test_child",
    "test_cluster",
    "test_connection",
    "test_early_answers",
    "test_faults",
    "test_foreground",
    "test_keys",
    "test_lease",
    "test_lines",
    "test_limits",
    "test_logs",
    "test_own_routes",
    "test_processes",
    "test_public",
    "test_quota",
    "test_server",
    "test_settings",
    "test_storage",
    "test_store",
    "test_tls",
    "test_tokens",
    "test_transport",
    "test_worker",
)
SIZES = ("KILLS", "OUTAGE_SECONDS", "SMALL_JOBS", "TEXTS")
"""Variables by which `make test-all` makes tests of the library larger."""
FOR_EACH = ("test_a_real_training_is_published_and_promoted_once", "test_the_whole_way_train_serve_predict")


@dataclass(frozen=True)
class Checked:
    """A project in git, with all that it needs installed: its own checks run in there."""

    problem: str
    folder: Path
    written: list[str]
    """The files that the template wrote."""

    def tracked(self, environ: dict[str, str]) -> list[str]:
        """List what git would track."""
        listed = run("git", "ls-files", "-oz", "--exclude-standard", environ=environ, cwd=self.folder).stdout
        return sorted(name for name in listed.split("\0") if name)


@pytest.fixture(params=PROBLEMS)
def checked(request: pytest.FixtureRequest, projects: dict[str, Path], in_git: Callable[[str], Path]) -> Checked:
    """A project of a problem, to check."""
    problem: str = request.param
    return Checked(problem, in_git(problem), sorted(files(projects[problem])))


def test_every_problem_has_an_example_and_words_that_are_its_own() -> None:
    assert sorted(path.name for path in OVERLAYS.iterdir()) == sorted(PROBLEMS)
    assert sorted(WORDS) == sorted(PROBLEMS)


def test_what_runs_with_the_default_model_alone_is_there() -> None:
    tests = {path.stem: path.read_text(encoding="utf-8") for path in LIBRARY.rglob("test_*.py")}
    assert set(SAME_FOR_ALL) < set(tests)
    assert [name for name in FOR_EACH if f"def {name}" not in "".join(tests[file] for file in SAME_FOR_ALL)] == []


@pytest.mark.parametrize("problem", PROBLEMS)
def test_an_example_is_spoken_of_where_it_was_asked_for_and_nowhere_else(
    problem: str, projects: dict[str, Path]
) -> None:
    spoken = {
        name: [path for path, text in texts(projects[problem]).items() if mentions(words, path, text)]
        for name, words in WORDS.items()
    }
    assert len(spoken.pop(problem)) > 5
    assert spoken == {name: [] for name in spoken}


def mentions(words: str, path: str, text: str) -> bool:
    return not SHARED.search(path) and bool(re.search(words, f"{path}\n{text}", re.IGNORECASE))


@pytest.mark.parametrize("problem", PROBLEMS[1:])
def test_problems_differ_by_their_example_and_by_what_pages_say_of_it(
    problem: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    """Both projects have the same name here, so that nothing but the problem differs."""
    names = ("project_name=Sample", "description=One and the same.")
    ours, theirs = (texts(made(kind, tmp_path / kind, environ, *names)) for kind in (problem, PROBLEMS[0]))
    example = {path.replace(PACKAGE, "sample") for kind in (problem, PROBLEMS[0]) for path in files(OVERLAYS / kind)}
    assert set(ours) ^ set(theirs) <= example
    shared = [path for path in set(ours) & set(theirs) - example - {ANSWERS} if ours[path] != theirs[path]]
    assert [path for path in shared if not path.endswith(".md")] == []
    changed = [
        line
        for path in shared
        for line in difflib.ndiff(theirs[path].splitlines(), ours[path].splitlines())
        if line[:2] in {"- ", "+ "}
    ]
    print(f"{problem}: {len(set(ours) & example)} files of its own, {len(shared)} pages differ by {len(changed)} lines")
    assert len(changed) < 150


@pytest.mark.full
@pytest.mark.parametrize("target", ["docs", "lint", "test"])
def test_its_own_checks_pass(target: str, checked: Checked, environ: dict[str, str]) -> None:
    run("make", target, environ=environ, cwd=checked.folder, timeout=LONGEST)
    assert checked.tracked(environ) == checked.written, "checks leave nothing that git would track"


def run_tests(problem: str, environ: dict[str, str], record: Record, *options: str) -> None:
    """Run tests of the library with the model of a problem, and note how it ended."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/library")
    chosen = environ | {"PROBLEM": problem, "UV": UV}
    done = run(*command, *options, environ=chosen, timeout=LONGEST)
    end = done.stdout.splitlines()[-1]
    assert re.search(r"\b[1-9]\d* passed\b", end), done.stdout
    record("Tests", "\n".join([*re.findall(r"(?m)^SKIPPED .*", done.stdout), end]))


@pytest.mark.full
@pytest.mark.parametrize("problem", PROBLEMS[1:])
def test_the_library_works_with_another_model(problem: str, environ: dict[str, str], record_property: Record) -> None:
    same = " or ".join(f"{name}.py" for name in SAME_FOR_ALL)  # whole names: test_batch is not test_batches
    run_tests(problem, environ, record_property, "-k", f"not ({same}) or {' or '.join(FOR_EACH)}")


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("problem", PROBLEMS[1:])
def test_all_tests_of_the_library_pass_with_another_model(
    problem: str, environ: dict[str, str], record_property: Record
) -> None:
    """Long series, which do not depend on the model, are run in small."""
    few = {name: value for name, value in environ.items() if name not in SIZES}
    run_tests(problem, few, record_property)


@pytest.mark.full
def test_its_wheel_carries_the_example_unchanged(checked: Checked, tmp_path: Path, environ: dict[str, str]) -> None:
    project = checked.folder
    run(UV, "build", "--quiet", "--wheel", "--out-dir", tmp_path, environ=environ, cwd=project)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        carried = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    package = {name: path.read_bytes() for name, path in files(project / "src").items() if "__pycache__" not in name}
    assert carried == package


@pytest.mark.full
def test_it_serves_what_its_pages_promise(checked: Checked, tmp_path: Path, environ: dict[str, str]) -> None:
    """`make serve` in a fresh folder, and the README's own request over HTTPS, from another folder."""
    project = checked.folder
    readme = (project / "README.md").read_text(encoding="utf-8")
    asked = re.search(r"\$ (curl .*?)\n\{\"model\":\"([^\"]+)\"", readme, re.DOTALL)
    assert asked
    fresh = shutil.ignore_patterns(".venv", "models", "var", "_build")
    folder, port = shutil.copytree(project, tmp_path / "copy" / project.name, ignore=fresh), free_port()
    shell = environ | {f"{package(project).upper()}_PORT": str(port)}
    with serving("serve", folder, shell) as (printed, _lines):
        curl = asked[1].replace("8443", str(port))
        given = answer(curl, folder, environ)
        assert (given["model"], given["version"]) == (asked[2], "1")
        assert answer(printed, tmp_path, environ) == given, "the line that it prints asks the same"


def package(project: Path) -> str:
    (found,) = (path.name for path in (project / "src").iterdir())
    return found
