"""Bring the template's lock up to date, and the names that a project may not take: `make lock`.

The default project is generated, locked and installed. Its lock becomes the template's, and what was installed becomes
the lists of names in hooks/pre_gen_project.py. Without --upgrade nothing gets newer than it has to.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path

from mlapi_template.errors import CommandError
from mlapi_template.template import answered, generate, load

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "{{cookiecutter.project_slug}}" / "uv.lock"
HOOK = ROOT / "hooks" / "pre_gen_project.py"
PLACEHOLDER = "{{ cookiecutter.project_slug }}"
# Some indexes tell the size of a file and some do not; the hash is what an installation checks.
SIZE = re.compile(r", size = [0-9]+(?=[, ])")
VENDOR = "vendor"
"""The index in the project's own folder, which has the library."""
REGISTRY = re.compile(r'registry = "(.*?)"')
WIDTH = 116
INSTALLED = "import importlib.metadata as m; print(*m.packages_distributions())"


class Refused(Exception):  # noqa: N818 (named for what happened)
    """What was made cannot become part of the template; the message says why, in one line."""


def main() -> int:
    """Do it; return 1 with one line on stderr when it cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    parser.add_argument("--uv", default="uv", help="the uv to call")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="relock-") as folder:
            # Its path is whole: uv runs in the folder of the project.
            uv = Path(shutil.which(arguments.uv) or arguments.uv).absolute()
            relock(Path(folder), str(uv), upgrade=arguments.upgrade)
    except (CommandError, OSError, Refused, subprocess.CalledProcessError) as error:
        print(f"relock: {error}", file=sys.stderr)
        return 1
    return 0


def relock(folder: Path, uv: str, *, upgrade: bool) -> None:
    """Write the lock and the names anew, with `folder` to work in.

    Raises Refused when the lock is not fit for the template, CalledProcessError when uv fails.
    """
    template = load()
    answers = answered(template, {}, lambda _, default: default)
    project, slug = generate(template, answers, folder), answers["project_slug"]
    # The library's wheel may have been replaced by a newer one, which uv does not notice by itself.
    run(uv, "lock", *(["--upgrade"] if upgrade else ["--upgrade-package", "mlapi-engine"]), cwd=project)
    lock = (project / "uv.lock").read_text(encoding="utf-8")
    text = for_template(lock, slug)
    run(uv, "sync", "--quiet", "--locked", "--all-groups", cwd=project)
    own = {slug, answers["package_name"]}
    lists = {
        "DISTRIBUTIONS": distributions(lock) - own,
        "MODULES": modules(project / ".venv") - own,
        "COMMANDS": commands(project / ".venv") - own,
    }
    put(LOCK, text)
    put(HOOK, with_lists(HOOK.read_text(encoding="utf-8"), lists))


def run(*command: str, cwd: Path) -> None:
    """Run a command with the environment of neither this project nor the one around it; its talk is shown."""
    environ = {
        name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}
    }
    subprocess.run(command, cwd=cwd, env=environ, check=True)


def for_template(lock: str, slug: str) -> str:
    """Return a project's lock as the template's: the project's name left open, the same whichever index answered.

    Raises Refused when it names a file of this machine or another index than PyPI: others could not install from it.
    """
    if "file:" in lock:
        raise Refused(
            "the lock names files of this machine. Unset the extra indexes and links (UV_*, uv.toml), and try again"
        )
    # The lock of this repository, which reviewers have read, tells which index is the usual one.
    usual = set(REGISTRY.findall((ROOT / "uv.lock").read_text(encoding="utf-8")))
    strange = set(REGISTRY.findall(lock)) - usual - {VENDOR}
    if strange:
        raise Refused(f"the lock names another index than that of this repository: {', '.join(sorted(strange))}")
    opened, count = re.subn(rf'(?m)^name = "{re.escape(slug)}"$', f'name = "{PLACEHOLDER}"', lock)
    if count != 1:
        raise Refused(f"the lock names {slug} {count} times, and once is expected")
    return SIZE.sub("", opened)


def distributions(lock: str) -> set[str]:
    """Return the names of all distributions of a lock."""
    return {package["name"] for package in tomllib.loads(lock)["package"]}


def modules(environment: Path) -> set[str]:
    """Return the names by which the distributions in an environment are imported, those that a package could have."""
    python = environment / "bin" / "python"
    found = subprocess.run([python, "-c", INSTALLED], capture_output=True, check=True, encoding="utf-8").stdout
    return {name for name in found.split() if re.fullmatch(r"[a-z][a-z0-9_]*", name)}


def commands(environment: Path) -> set[str]:
    """Return the names of the commands in an environment that a project could be called by."""
    return {path.name for path in (environment / "bin").iterdir() if re.fullmatch(r"[a-z][a-z0-9-]*", path.name)}


def with_lists(hook: str, lists: Mapping[str, set[str]]) -> str:
    """Return the hook with its lists brought up to date.

    The lock has what every platform and Python installs, so its list is exact. This machine shows the modules and
    commands of one platform only, so theirs grow and never shrink. Raises Refused when the hook has no such list.
    """
    for name, found in lists.items():
        pattern = re.compile(
            rf'(?s)(?<=^{name} = frozenset\(\n    """\n)(.*?)(?=\n    """\.split\(\)\n\))', re.MULTILINE
        )
        before = pattern.search(hook)
        if before is None:
            raise Refused(f"{HOOK.name} has no list {name}")
        kept = found if name == "DISTRIBUTIONS" else found | set(before[1].split())
        for sign, names in (("+", kept - set(before[1].split())), ("-", set(before[1].split()) - kept)):
            if names:
                print(f"{name} {sign} {' '.join(sorted(names))}")
        hook = pattern.sub(wrapped(kept), hook)
    return hook


def wrapped(names: set[str]) -> str:
    """Return names as the lines of a block of text."""
    indent = "    "
    return textwrap.fill(
        " ".join(sorted(names)),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def put(path: Path, text: str) -> None:
    """Write a file of the template, if it is to change, in one go."""
    if path.read_text(encoding="utf-8") != text:
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
        print(f"{path.relative_to(ROOT)} has changed")


if __name__ == "__main__":
    sys.exit(main())
