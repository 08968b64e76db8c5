"""The library's wheel: built from the source, carried by the template, found by whatever installs a project."""

import functools
import hashlib
import http.server
import json
import re
import runpy
import shutil
import sys
import threading
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from workbench import BIN, ROOT, SLUG, TEMPLATE, UV, contents, files, run

VENDOR = TEMPLATE.name + "/vendor"
(WHEEL,) = (TEMPLATE / "vendor").glob("*.whl")
VERSION = re.findall(r'(?m)^__version__ = "(.*)"$', (ROOT / "src/mlapi/__init__.py").read_text(encoding="utf-8"))[0]
NEXT = re.sub(r"\d+$", lambda patch: str(int(patch[0]) + 1), VERSION)
TOOL = runpy.run_path(str(ROOT / "tools" / "wheel.py"), run_name="wheel")
members: Callable[[bytes], Mapping[str, bytes]] = TOOL["members"]
PAGE = (TEMPLATE / "docs" / "how-to" / "library.md").read_text(encoding="utf-8")
GIT = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.com")


def test_the_wheel_of_the_template_holds_what_the_source_holds(
    clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """Member by member: the bytes of the archive depend on the zlib that packed it."""
    assert WHEEL.name == f"mlapi_engine-{VERSION}-py3-none-any.whl", "run make wheel"
    expected, found = (members(path.read_bytes()) for path in (built(clone, tmp_path, environ), WHEEL))
    differing = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
    assert differing == [], "run make wheel"
    assert {"mlapi/__init__.py", "mlapi/py.typed"} <= found.keys()


def raised(clone: Path, folder: Path, version: str = NEXT, line: str = "NEW = True") -> Path:
    """Return a clone whose library has another version and one line more."""
    copy = shutil.copytree(clone, folder)
    source = copy / "src" / "mlapi" / "__init__.py"
    text = source.read_text(encoding="utf-8").replace(f'__version__ = "{VERSION}"', f'__version__ = "{version}"')
    source.write_text(f"{text}\n{line}\n", encoding="utf-8")
    return copy


def test_a_change_of_the_library_needs_a_version_of_its_own(
    clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """Projects would take the wheel for the one that they have; nobody has it while it is not committed."""
    command = (BIN / "python", "tools/wheel.py", "--uv", UV)
    same = raised(clone, tmp_path / "same", VERSION)
    before = contents(same / VENDOR)
    done = run(*command, environ=environ, cwd=same, expect=1)
    assert done.stderr.startswith(f"wheel: {WHEEL.name} is committed with other members. Raise __version__ in")
    assert contents(same / VENDOR) == before

    newer = raised(clone, tmp_path / "newer")
    run(*command, environ=environ, cwd=newer)
    ((name, path),) = files(newer / VENDOR).items()
    assert name == WHEEL.name.replace(VERSION, NEXT)
    assert b"NEW = True" in members(path.read_bytes())["mlapi/__init__.py"]


def test_a_wheel_that_nobody_has_may_be_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new, old = tmp_path / "built" / WHEEL.name, tmp_path / "vendor" / WHEEL.name
    for path, line in ((new, "new"), (old, "old")):
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mlapi/__init__.py", line)
    with pytest.raises(TOOL["Refused"], match="is committed with other members"):
        TOOL["put"](new, WHEEL.parent, replace=False)
    TOOL["put"](new, old.parent, replace=False)
    assert old.read_bytes() == new.read_bytes()
    assert f"{old} has changed" in capsys.readouterr().out
    TOOL["put"](new, old.parent, replace=False)
    assert capsys.readouterr().out == "", "the same members are not written again"


@pytest.mark.full
def test_the_lock_of_the_template_follows_a_newer_wheel(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """By what `make wheel` does: uv alone would keep the version that is gone."""
    folder = raised(clone, tmp_path / "newer")
    here = environ | {"PYTHONPATH": str(folder / "src")}
    for tool in ("wheel", "relock"):
        run(BIN / "python", f"tools/{tool}.py", "--uv", UV, environ=here, cwd=folder)
    assert entry(folder / TEMPLATE.name / "uv.lock")["version"] == NEXT


def test_the_command_says_both_versions(environ: dict[str, str]) -> None:
    command = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["version"]["path"]
    own = re.findall(r'__version__ = "(.*)"', (ROOT / command).read_text(encoding="utf-8"))[0]
    assert run(BIN / "mlapi", "--version", environ=environ).stdout == f"mlapi {own} (mlapi-engine {VERSION})\n"


def test_the_two_distributions_hold_nothing_of_each_other() -> None:
    assert {name.split("/")[0] for name in members(WHEEL.read_bytes())} == {
        "mlapi",
        f"mlapi_engine-{VERSION}.dist-info",
    }
    command = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [name for name in command["dependencies"] if "mlapi" in name] == [], "the command installs no engine"


@pytest.mark.parametrize("command", ["mlapi", "cookiecutter"])
def test_a_wheel_is_copied_even_if_it_looks_like_a_text(
    command: str, clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """cookiecutter guesses from the first bytes whether a file is binary, and renders it if not."""
    template = shutil.copytree(clone, tmp_path / "template")
    looks = b"{{ cookiecutter.project_slug }} {% if %}\r\n"
    (template / VENDOR / WHEEL.name).write_bytes(looks)
    new = ["mlapi_template", "new"] if command == "mlapi" else ["cookiecutter", str(template)]
    here = environ | {"PYTHONPATH": str(template / "src")}
    run(BIN / "python", "-m", *new, "--no-input", "--output-dir", tmp_path, environ=here, cwd=tmp_path)
    assert (tmp_path / SLUG / "vendor" / WHEEL.name).read_bytes() == looks


def test_a_project_has_the_wheel_of_the_template(project: Path) -> None:
    assert contents(project / "vendor") == contents(TEMPLATE / "vendor")


def entry(lock: Path) -> dict[str, object]:
    """Return what a lock says of the library."""
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    (found,) = (package for package in packages if package["name"] == "mlapi-engine")
    return dict(found)


def test_the_lock_names_no_place_of_this_machine() -> None:
    expected = {
        "name": "mlapi-engine",
        "version": VERSION,
        "source": {"registry": "vendor"},
        "wheels": [{"path": WHEEL.name}],
    }
    found = entry(TEMPLATE / "uv.lock")
    assert {name: found[name] for name in expected} == expected, "run make lock"
    assert "file:" not in (TEMPLATE / "uv.lock").read_text(encoding="utf-8")


def sync(folder: Path, environ: Mapping[str, str], *more: str) -> None:
    """Install what a service needs, into the project's own environment."""
    run(UV, "sync", "--quiet", "--locked", "--no-default-groups", *more, environ=environ, cwd=folder)


def version(folder: Path, environ: Mapping[str, str]) -> str:
    """Return what the command of a project says of its versions."""
    (command,) = (folder / ".venv" / "bin").glob(
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
    )
    return run(command, "--version", environ=environ, cwd=folder).stdout


@pytest.mark.full
@pytest.mark.parametrize("kind", ["project", "awkward"])
def test_it_is_installed_by_the_lock_without_a_network(
    kind: str, installed: Path, tmp_path: Path, environ: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """The cache was filled, with a network, when the default project was installed: `installed`."""
    assert version(installed, environ) == f"{SLUG} 0.1.0 (mlapi-engine {VERSION})\n"
    project: Path = request.getfixturevalue(kind)
    folder = shutil.copytree(project, tmp_path / project.name)
    sync(folder, environ, "--offline")
    assert version(folder, environ) == f"{project.name} 0.1.0 (mlapi-engine {VERSION})\n"


def built(source: Path, to: Path, environ: Mapping[str, str]) -> Path:
    """Build the library of a clone."""
    run(UV, "build", "--quiet", "--wheel", "--out-dir", to, source / "src", environ=environ)
    return next(to.glob("*.whl"))


@pytest.fixture
def newer(clone: Path, tmp_path: Path, environ: dict[str, str]) -> Path:
    """The wheel of the next version, which has a line more."""
    return built(raised(clone, tmp_path / "newer"), tmp_path / "built", environ)


def put(wheel: Path, folder: Path) -> None:
    """Make a wheel the one that a project has."""
    shutil.rmtree(folder / "vendor")
    (folder / "vendor").mkdir()
    shutil.copy(wheel, folder / "vendor")


def lines(lock: Path) -> list[str]:
    """Return the lines of a lock, without the sizes of files, which the template leaves out."""
    return re.sub(r", size = \d+", "", lock.read_text(encoding="utf-8")).splitlines()


@pytest.mark.full
def test_a_raised_version_changes_two_lines_of_the_lock(
    project: Path, newer: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = shutil.copytree(project, tmp_path / SLUG)
    sync(folder, environ)
    before = lines(folder / "uv.lock")
    put(newer, folder)
    run(UV, "lock", "--upgrade-package", "mlapi-engine", environ=environ, cwd=folder)
    after = lines(folder / "uv.lock")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [
        (f'version = "{VERSION}"', f'version = "{NEXT}"'),
        (f'    {{ path = "{WHEEL.name}" }},', f'    {{ path = "{newer.name}" }},'),
    ]
    sync(folder, environ)
    assert version(folder, environ) == f"{SLUG} 0.1.0 (mlapi-engine {NEXT})\n"


@pytest.mark.full
def test_another_wheel_of_the_same_version_is_taken_for_the_old_one(
    project: Path, clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """Why every change of the library raises its version. If this fails, uv has learnt to tell, and the rule can go."""
    folder = shutil.copytree(project, tmp_path / SLUG)
    sync(folder, environ)
    (installed,) = folder.glob(".venv/lib/python*/site-packages/mlapi/__init__.py")
    put(built(raised(clone, tmp_path / "other", VERSION), tmp_path / "built", environ), folder)
    sync(folder, environ)
    assert "NEW = True" not in installed.read_text(encoding="utf-8")
    sync(folder, environ, "--reinstall-package", "mlapi-engine")
    assert "NEW = True" in installed.read_text(encoding="utf-8")


class Index(http.server.SimpleHTTPRequestHandler):
    """Static pages as PEP 503 has them."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on loopback that has the library, and nothing else."""
    simple = tmp_path / "index" / "simple" / "mlapi-engine"
    simple.mkdir(parents=True)
    shutil.copy(WHEEL, simple)
    address = f"{WHEEL.name}#sha256={hashlib.sha256(WHEEL.read_bytes()).hexdigest()}"
    (simple / "index.html").write_text(f'<!DOCTYPE html><a href="{address}">{WHEEL.name}</a>\n', encoding="utf-8")
    (simple.parent / "index.html").write_text('<!DOCTYPE html><a href="mlapi-engine/">mlapi-engine</a>\n')
    handler = functools.partial(Index, directory=str(tmp_path / "index"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.full
def test_a_project_turns_to_an_ordinary_index_as_its_page_says(
    project: Path, index: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    """By the lines of the page: what they delete is there once, in four lines."""
    folder = shutil.copytree(project, tmp_path / SLUG)
    deleted, own = re.findall(r"(?s)```text\n(.*?)```", PAGE)
    assert len(deleted.splitlines()) == 4
    metadata = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert metadata.count(deleted) == 1
    own = re.sub(r"https://[^\"]+", index, own)
    (folder / "pyproject.toml").write_text(metadata.replace(deleted, own), encoding="utf-8")
    (line,) = re.findall(r"the line `(.*?)` of the `Dockerfile`", PAGE)
    assert (folder / "Dockerfile").read_text(encoding="utf-8").count(f"{line}\n") == 1
    shutil.rmtree(folder / "vendor")
    run(UV, "lock", environ=environ, cwd=folder)
    found = entry(folder / "uv.lock")
    assert found["source"] == {"registry": index}
    assert re.search(r"'hash': 'sha256:[0-9a-f]{64}'", str(found["wheels"]))
    assert '"vendor"' not in (folder / "uv.lock").read_text(encoding="utf-8")
    sync(folder, environ)
    assert version(folder, environ) == f"{SLUG} 0.1.0 (mlapi-engine {VERSION})\n"


@pytest.mark.slow
@pytest.mark.full
def test_pip_finds_it_in_its_folder(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = shutil.copytree(project, tmp_path / SLUG)
    (install,) = re.findall(r"(?m)^\$ elsewhere/bin/(pip install .*)$", PAGE)
    run(sys.executable, "-m", "venv", "elsewhere", environ=environ, cwd=folder)
    run("bash", "-euc", f"elsewhere/bin/{install}", environ=environ, cwd=folder)
    told = run(folder / "elsewhere" / "bin" / SLUG, "--version", environ=environ, cwd=folder).stdout
    assert told == f"{SLUG} 0.1.0 (mlapi-engine {VERSION})\n"


@pytest.mark.slow
@pytest.mark.full
def test_cruft_writes_a_project_and_brings_the_next_version_of_the_library(
    clone: Path, newer: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """The wheel is binary, and its name changes: an update that the project's own changes do not conflict with."""
    cruft = (UV, "tool", "run", "cruft")
    template = shutil.copytree(clone, tmp_path / "template")
    run(*cruft, "create", template, "--no-input", "--output-dir", tmp_path, environ=environ)
    folder = tmp_path / SLUG
    state = json.loads((folder / ".cruft.json").read_text(encoding="utf-8"))
    assert state["template"] == str(template)
    assert contents(folder / "vendor") == contents(TEMPLATE / "vendor")
    with (folder / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\nOurs.\n")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "Ours")):
        run(*GIT, *command, environ=environ, cwd=folder)

    put(newer, template / TEMPLATE.name)
    lock = template / TEMPLATE.name / "uv.lock"
    text = lock.read_text(encoding="utf-8").replace(WHEEL.name, newer.name)
    old, new = (f'name = "mlapi-engine"\nversion = "{number}"' for number in (VERSION, NEXT))
    lock.write_text(text.replace(old, new), encoding="utf-8")
    for command in (("add", "-A"), ("commit", "-q", "-m", "Raise the library")):
        run(*GIT, *command, environ=environ, cwd=template)
    run(*cruft, "update", "--skip-apply-ask", environ=environ, cwd=folder)
    assert not [*folder.rglob("*.rej")]
    assert {name: data for name, (data, _) in contents(folder / "vendor").items()} == {newer.name: newer.read_bytes()}
    assert (folder / "README.md").read_text(encoding="utf-8").endswith("\nOurs.\n")
    sync(folder, environ)
    assert version(folder, environ) == f"{SLUG} 0.1.0 (mlapi-engine {NEXT})\n"
