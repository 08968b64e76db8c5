"""However a project is generated, from whatever copy of the template, its files are the same."""

import shutil
import zipfile
from pathlib import Path

import pytest
from workbench import AWKWARD, BIN, ROOT, SLUG, UV, contents, run, tracked, words

ANSWERS = words(AWKWARD | {"project_slug": SLUG})
PARTS = ("cookiecutter.json", "hooks/", "templates/", "{{cookiecutter.project_slug}}/")
# Put into every Python process of a command: whoever calls out is stopped.
NO_NETWORK = """\
import socket

def refuse(*_: object) -> None:
    raise OSError("there is no network")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> dict[str, tuple[bytes, bool]]:
    """The files that `mlapi new`, installed in place, writes."""
    folder = tmp_path_factory.mktemp("expected")
    run(BIN / "mlapi", "new", "--no-input", "--output-dir", folder, *ANSWERS, environ=environ)
    return contents(folder / SLUG)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, clone: Path, environ: dict[str, str]) -> Path:
    """The wheel, built from a fresh clone by way of a source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--quiet", "--out-dir", folder, environ=environ, cwd=clone)
    return next(folder.glob("*.whl"))


def test_plain_cookiecutter_on_a_path(
    clone: Path, expected: dict[str, tuple[bytes, bool]], tmp_path: Path, environ: dict[str, str]
) -> None:
    run(BIN / "cookiecutter", clone, "--no-input", "--output-dir", tmp_path, *ANSWERS, environ=environ)
    assert contents(tmp_path / SLUG) == expected


def test_plain_cookiecutter_on_a_git_url(
    clone: Path, expected: dict[str, tuple[bytes, bool]], tmp_path: Path, environ: dict[str, str]
) -> None:
    run(
        BIN / "cookiecutter", f"git+{clone.as_uri()}", "--no-input", "--output-dir", tmp_path, *ANSWERS, environ=environ
    )
    assert contents(tmp_path / SLUG) == expected


def test_twice_is_the_same(expected: dict[str, tuple[bytes, bool]], tmp_path: Path, environ: dict[str, str]) -> None:
    run(BIN / "mlapi", "new", "--no-input", f"--output-dir={tmp_path}", *ANSWERS, environ=environ)
    assert contents(tmp_path / SLUG) == expected


def test_the_wheel_carries_what_git_tracks(wheel: Path) -> None:
    prefix = "mlapi_template/template/"
    carried = sorted(name.removeprefix(prefix) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(prefix))
    assert carried == [name for name in tracked() if name.startswith(PARTS)]
    assert len(carried) > 50


def test_the_wheel_holds_nothing_but_the_command_and_the_template(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("mlapi_template/template/")}
    command = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "mlapi_template").iterdir()
        if path.is_file()
    }
    assert {name for name in names if ".dist-info/" not in name} == command
    assert "mlapi_template/py.typed" in command


def test_the_installed_wheel_writes_the_same_without_a_network(
    wheel: Path, expected: dict[str, tuple[bytes, bool]], tmp_path: Path, environ: dict[str, str]
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "venv", "--quiet", tmp_path / "venv", environ=environ)
    run(UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, wheel, environ=environ)
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    offline = environ | {"PYTHONPATH": str(tmp_path)}
    assert run(python, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))", environ=offline, expect=1)
    run(
        python.with_name("mlapi"),
        "new",
        "--no-input",
        "--output-dir",
        tmp_path,
        *ANSWERS,
        environ=offline,
        cwd=tmp_path,
    )
    assert contents(tmp_path / SLUG) == expected


def test_the_settings_of_the_user_change_nothing(
    expected: dict[str, tuple[bytes, bool]], tmp_path: Path, environ: dict[str, str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    settings = home / ".cookiecutterrc"
    settings.write_text("default_context: {license: Proprietary, ci: none, author_name: Leaked}\n", encoding="utf-8")
    answers = [word for word in ANSWERS if not word.startswith("author_name")]
    leaky = environ | {"HOME": str(home), "COOKIECUTTER_CONFIG": str(settings)}
    run(BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path, *answers, environ=leaky)
    assert b"Leaked" not in b"".join(data for data, _ in contents(tmp_path / SLUG).values())
    assert list(contents(tmp_path / SLUG)) == list(expected)
    assert [path.name for path in home.iterdir()] == [".cookiecutterrc"], "something was written to the home"


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, environ: dict[str, str]) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    run(
        *(BIN / "mlapi", "new", "--no-input", "--output-dir", tmp_path / "out"),
        environ=environ | {"TMPDIR": str(temporary)},
    )
    assert list(temporary.iterdir()) == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == [SLUG]


def test_an_update_of_the_template_keeps_the_year_of_the_licence(tmp_path: Path, environ: dict[str, str]) -> None:
    run(
        *(BIN / "cookiecutter", ROOT, "--no-input", "--output-dir", tmp_path, "__year=1999"),
        environ=environ,
    )
    assert "Copyright (c) 1999 Your Name" in (tmp_path / SLUG / "LICENSE").read_text(encoding="utf-8")


def test_git_ignores_nothing_of_the_template(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """A file that the generated .gitignore hides would be missing from the repository that the project becomes."""
    folder = shutil.copytree(project, tmp_path / SLUG)
    run("git", "init", "-q", environ=environ, cwd=folder)
    status = run("git", "status", "--porcelain", "--ignored", "-uall", environ=environ, cwd=folder).stdout.splitlines()
    assert len(status) > 50
    assert [line for line in status if line.startswith("!!")] == []
