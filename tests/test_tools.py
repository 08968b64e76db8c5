"""The upkeep of the template: its lock, the names that a project may not take, the lists of files."""

import hashlib
import re
import runpy
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from workbench import BIN, ROOT, TEMPLATE, UV, contents, run

RELOCK = runpy.run_path(str(ROOT / "tools" / "relock.py"), run_name="relock")
for_template: Callable[[str, str], str] = RELOCK["for_template"]
with_lists: Callable[[str, Mapping[str, set[str]]], str] = RELOCK["with_lists"]
HOOK = (ROOT / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
LOCK = (TEMPLATE / "uv.lock").read_text(encoding="utf-8")
OF_A_PROJECT = LOCK.replace("{{ cookiecutter.project_slug }}", "iris-api")


HOUSES = runpy.run_path(str(ROOT / "tools" / "house_prices.py"), run_name="houses")
SHIPPED = TEMPLATE / "problems" / "regression" / "src" / "{{cookiecutter.package_name}}" / "ml" / "data"


def rules(hook: str, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "hook.py"
    path.write_text(hook, encoding="utf-8")
    return runpy.run_path(str(path), run_name="rules")


def test_the_lock_of_a_project_becomes_that_of_the_template() -> None:
    assert OF_A_PROJECT != LOCK
    assert for_template(OF_A_PROJECT, "iris-api") == LOCK


def test_the_lock_is_the_same_whether_the_index_tells_sizes_or_not() -> None:
    told = re.sub(r'(hash = "sha256:[0-9a-f]{64}")', r"\1, size = 1234", OF_A_PROJECT)
    assert told.count("size = 1234") > 1000
    assert for_template(told, "iris-api") == LOCK


@pytest.mark.parametrize(
    ("leak", "message"),
    [
        ('{ url = "file:///wheels/x.whl" }', "names files of this machine"),
        (
            'source = { registry = "https://index.example.org/simple" }',
            "another index than .*: https://index.example.org",
        ),
        ('name = "iris-api"', "names iris-api 2 times"),
    ],
)
def test_a_lock_that_only_this_machine_could_install_is_refused(leak: str, message: str) -> None:
    with pytest.raises(RELOCK["Refused"], match=message):
        for_template(f"{OF_A_PROJECT}\n{leak}\n", "iris-api")


def test_the_lists_of_names_follow_what_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rules(HOOK, tmp_path)
    lists = {"DISTRIBUTIONS": {"numpy", "new-one"}, "MODULES": {"newmodule"}, "COMMANDS": {"new-command"}}
    changed = with_lists(HOOK, lists)
    after = rules(changed, tmp_path)
    assert after["DISTRIBUTIONS"] == {"numpy", "new-one"}, "the lock says exactly which there are"
    assert after["MODULES"] == before["MODULES"] | {"newmodule"}, "another platform may have the others"
    assert after["COMMANDS"] == before["COMMANDS"] | {"new-command"}
    assert "MODULES + newmodule\n" in capsys.readouterr().out
    assert max(map(len, changed.splitlines())) <= 120
    assert with_lists(changed, lists) == changed


def test_the_lists_are_in_the_form_that_the_tool_writes(tmp_path: Path) -> None:
    same = {name: set(rules(HOOK, tmp_path)[name]) for name in ("DISTRIBUTIONS", "MODULES", "COMMANDS")}
    assert with_lists(HOOK, same) == HOOK


def test_a_hook_without_its_list_is_refused() -> None:
    with pytest.raises(RELOCK["Refused"], match="has no list MODULES"):
        with_lists(HOOK.replace("MODULES = ", "MODULE = "), {"MODULES": {"x"}})


def test_a_fault_is_one_line_and_changes_nothing(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = shutil.copytree(clone, tmp_path / "clone")
    before = contents(folder)
    command = (BIN / "python", "tools/relock.py", "--uv", "/bin/false")
    done = run(*command, environ=environ | {"PYTHONPATH": str(folder / "src")}, cwd=folder, expect=1)
    assert re.fullmatch(r"relock: Command .*/bin/false.* returned non-zero exit status 1\.\n", done.stderr)
    after = {name: found for name, found in contents(folder).items() if "__pycache__" not in name}
    assert after == before


@pytest.mark.full
def test_after_the_upkeep_nothing_is_left_to_do(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """A lock and lists that are behind are brought to where they are in this repository.

    An index may have got more files of a version since (for another Python), so those of the lock are not counted.
    """
    folder = shutil.copytree(clone, tmp_path / "clone")
    before = contents(folder)
    lock, hook = folder / TEMPLATE.name / "uv.lock", folder / "hooks" / "pre_gen_project.py"
    behind = re.sub(r'(?m)^ *\{ name = "furo", specifier = .*\n', "", LOCK)
    assert behind != LOCK
    lock.write_text(behind, encoding="utf-8")
    hook.write_text(HOOK.replace(" tqdm ", " "), encoding="utf-8")
    (folder / "tests" / "tree" / "github.txt").write_text("gone\n", encoding="utf-8")
    (folder / "tests" / "tree" / "jenkins.txt").write_text("stale\n", encoding="utf-8")
    here = environ | {"PYTHONPATH": str(folder / "src")}
    for command in (("tools/relock.py", "--uv", UV), ("tools/trees.py",)):
        run(BIN / "python", *command, environ=here, cwd=folder)
    after = {name: found for name, found in contents(folder).items() if "__pycache__" not in name}
    changed = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
    assert changed <= {str(lock.relative_to(folder))}
    assert locked(lock.read_text(encoding="utf-8")) == locked(LOCK)


def locked(lock: str) -> dict[str, dict[str, Any]]:
    """Return the packages of a lock, without the files that their index has of them."""
    packages = tomllib.loads(lock)["package"]
    return {
        f"{package['name']} {package.get('version')}": {
            name: package[name] for name in package if name not in {"sdist", "wheels"}
        }
        for package in packages
    }


def sale(number: int, **changed: str) -> dict[str, str]:
    usual = dict.fromkeys(HOUSES["COLUMNS"].values(), "3") | {"waterfront": "0", "lat": "47.5112", "long": "-122.257"}
    return usual | {"id": f"{number:010}", "date": "20140502T000000", "price": str(number)} | changed


def test_the_sample_of_house_prices_takes_each_home_once_and_tells_no_address() -> None:
    sales = [
        *(sale(number) for number in range(100, 200)),
        sale(100, price="99", date="20150101T000000"),
        *(sale(number, **{room: "0"}) for number, room in ((300, "bedrooms"), (301, "bathrooms"))),
        sale(302, bedrooms="33"),
    ]
    header, *rows = HOUSES["sample"](sales, 1000)
    assert header == [*HOUSES["COLUMNS"]]
    assert sorted(float(row[-1]) for row in rows) == [99, *range(101, 200)]
    assert {row[header.index("latitude")] for row in rows} == {"47.51"}
    assert {row[header.index("condition")] for row in rows} == {"average"}
    assert [*HOUSES["sample"](reversed(sales), 10)][1:] == rows[:10], "the order of the input does not matter"


def test_another_table_of_houses_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "other.csv").write_text("id,price\n1,2\n", encoding="ascii")
    done = run(BIN / "python", ROOT / "tools" / "house_prices.py", tmp_path / "other.csv", environ=environ, expect=1)
    assert "is not the published table" in done.stderr
    assert done.stdout == ""


def test_the_table_that_is_shipped_is_the_one_that_was_drawn() -> None:
    table = (SHIPPED / "house_prices.csv").read_bytes()
    assert hashlib.sha256(table).hexdigest() == HOUSES["DRAWN"]
    assert "CC0 1.0" in (SHIPPED / "NOTICE").read_text(encoding="utf-8")


FLAKY = """
import os, threading
from pathlib import Path

def test_alone():
    assert True

def test_every_other_time():
    threading.Thread(target=int).start()
    marks = Path(os.environ["MARKS"])
    (marks / str(os.getpid())).touch()
    assert len(list(marks.iterdir())) % 2
"""


@pytest.mark.full
def test_what_fails_every_other_time_is_counted_and_what_starts_nothing_can_be_left_out(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "test_flaky.py").write_text(FLAKY, encoding="utf-8")
    (tmp_path / "marks").mkdir()
    stress = (BIN / "python", ROOT / "tools" / "stress.py", "--times=3", "--at-once=1", "--starting", "test_flaky.py")
    done = run(*stress, environ=environ | {"MARKS": str(tmp_path / "marks")}, cwd=tmp_path, expect=1)
    assert "1 tests start a process or a thread" in done.stdout
    assert "   1 passed    2 failed    0 skipped  test_flaky.py::test_every_other_time" in done.stdout
    assert "test_alone" not in done.stdout
