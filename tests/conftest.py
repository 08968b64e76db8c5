"""Projects that more than one test looks at. They are made once a run and only read."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from workbench import AWKWARD, BIN, PROBLEMS, ROOT, SLUG, UV, Shared, environment, made, run, tracked, words

LIBRARY = ROOT / "tests" / "library"

# Who is started in the background ignores Ctrl-C, and so do all that it starts; here some are stopped by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the workers of a run are then done at about the same time."""
    for item in items:
        if LIBRARY in item.path.parents:
            item.add_marker("full")
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, item.get_closest_marker("full") is None))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what runs within this one said at their end: how many passed, and what they skipped and why."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                terminalreporter.section(f"{name}, inside {report.nodeid}")
                terminalreporter.write_line(str(value))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Make a folder by the first worker of this run that asks for it; the others get the same."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = root / "shared" / name, root / "shared" / f"{name}.made"
        folder.parent.mkdir(exist_ok=True)
        with FileLock(root / "shared" / f"{name}.lock"):
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A clean environment with an empty home."""
    return environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def project(shared: Shared, environ: dict[str, str]) -> Path:
    """The default project, as `mlapi new` writes it."""
    new = (BIN / "mlapi", "new", "--no-input", "--output-dir")
    return shared("default", lambda folder: run(*new, folder, environ=environ)) / SLUG


@pytest.fixture(scope="session")
def awkward(shared: Shared, environ: dict[str, str]) -> Path:
    """A project whose owner likes quotes and accents."""
    new: list[str | Path] = [BIN / "mlapi", "new", "--no-input", *words(AWKWARD), "--output-dir"]
    (folder,) = shared("awkward", lambda folder: run(*new, folder, environ=environ)).iterdir()
    return folder


@pytest.fixture(scope="session")
def clone(shared: Shared, environ: dict[str, str]) -> Path:
    """A fresh clone of this repository with every change in it committed."""

    def make(folder: Path) -> None:
        for name in tracked():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.com")
        commands: list[tuple[str, ...]] = [("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "All of it")]
        for command in commands:
            run(*git, *command, environ=environ, cwd=folder)

    return shared("mlapi-template", make)


@pytest.fixture(scope="session")
def installed(project: Path, shared: Shared, environ: dict[str, str]) -> Path:
    """The default project with all that it needs installed. Only read: what writes works on a copy."""

    def make(folder: Path) -> None:
        shutil.copytree(project, folder / SLUG)
        run(UV, "sync", "--quiet", "--locked", "--all-groups", environ=environ, cwd=folder / SLUG)

    return shared("installed", make) / SLUG


@pytest.fixture(scope="session")
def projects(shared: Shared, environ: dict[str, str]) -> dict[str, Path]:
    """A project of each problem, as `mlapi new` writes it."""

    def make(folder: Path) -> None:
        for problem in PROBLEMS:
            made(problem, folder / problem, environ)

    folder = shared("problems", make)
    return {problem: next((folder / problem).iterdir()) for problem in PROBLEMS}


@pytest.fixture(scope="session")
def in_git(projects: dict[str, Path], shared: Shared, environ: dict[str, str]) -> Callable[[str], Path]:
    """Put the project of a problem into git, with all that it needs installed: its own checks run in there."""

    def project(problem: str) -> Path:
        original = projects[problem]

        def make(folder: Path) -> None:
            shutil.copytree(original, folder / original.name)
            run(UV, "sync", "--quiet", "--locked", "--all-groups", environ=environ, cwd=folder / original.name)
            run("git", "init", "-q", environ=environ, cwd=folder / original.name)

        return shared(f"checked-{problem}", make) / original.name

    return project
