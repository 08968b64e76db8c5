"""A service is called what the `about.toml` of its package says, or it is said what is wrong with that file."""

from pathlib import Path

import pytest

import mlapi
from mlapi.about import About, about_of
from mlapi.cli import main

GOOD = dict.fromkeys(("name", "slug", "description", "author", "email", "repository", "documentation"), "x")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new package, found by its name, without an `about.toml`."""
    folder = tmp_path / f"package_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def toml(**members: object) -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in members.items())


def test_it_is_read_from_the_package(package: Path) -> None:
    (package / "about.toml").write_text(toml(**GOOD | {"name": "Ours"}))
    assert about_of(package.name) == About(**GOOD | {"name": "Ours"})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name = ", "about.toml of the package {} is not TOML: Invalid value"),
        (toml(**GOOD | {"extra": "x"}), "about.toml of the package {} must hold texts called name, slug, "),
        (toml(**GOOD | {"name": 1}), "about.toml of the package {} must hold texts called name, slug, "),
        (toml(name="x"), "about.toml of the package {} must hold texts called name, slug, "),
        (None, "There is no package {} with an about.toml"),
    ],
)
def test_a_file_that_is_wrong_or_missing_is_told_in_one_line(
    package: Path, content: str | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (package / "about.toml").write_text(content)
    assert main(f"{package.name}.ml:Model", f"{package.name}.settings:Settings", ["models", "list"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(told.format(package.name))
    assert printed.count("\n") == 1


def test_settings_of_a_script_or_of_a_lone_module_belong_to_no_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lone.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("lone", "__main__", "nowhere"):
        with pytest.raises(ValueError, match=f"There is no package {name} with an about"):
            about_of(name)


def test_settings_of_the_library_itself_belong_to_no_service() -> None:
    with pytest.raises(ValueError, match=r"There is no package mlapi with an about\.toml: a service"):
        _ = mlapi.Settings(_env_file=None).about
