"""Projects that more than one test looks at. They are made once and only read."""

import shutil
import signal
from pathlib import Path

import pytest
from workbench import AWKWARD, BIN, ROOT, SLUG, UV, environment, run, tracked, words

# Who is started in the background ignores Ctrl-C, and so do all that it starts; here some are stopped by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A clean environment with an empty home."""
    return environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """The default project, as `mlapi new` writes it."""
    folder = tmp_path_factory.mktemp("default")
    return Path(run(BIN / "mlapi", "new", "--no-input", "--output-dir", folder, environ=environ).stdout.strip())


@pytest.fixture(scope="session")
def awkward(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """A project whose owner likes quotes and accents."""
    folder = tmp_path_factory.mktemp("awkward")
    done = run(BIN / "mlapi", "new", "--no-input", "--output-dir", folder, *words(AWKWARD), environ=environ)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """A fresh clone of this repository with every change in it committed."""
    work = tmp_path_factory.mktemp("clone") / "mlapi-template"
    for name in tracked():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, work / name)
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.com")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "All of it")):
        run(*git, *command, environ=environ, cwd=work)
    return work


@pytest.fixture(scope="session")
def installed(project: Path, tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """The default project with all that it needs installed, to run in."""
    folder = shutil.copytree(project, tmp_path_factory.mktemp("installed") / SLUG)
    run(UV, "sync", "--quiet", "--locked", "--all-groups", environ=environ, cwd=folder)
    return folder
