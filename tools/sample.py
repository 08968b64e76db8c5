"""Write and install the project that the library is tested and checked with, below `build/sample/PROBLEM`.

The package is called `sample`, whatever the problem. What is installed is in the folder `installed` beside the project,
for `PYTHONPATH`: so the projects of several problems can be used at the same time, and none is in anybody's
environment. Nothing is done while the template is as it was.
"""

import argparse
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from mlapi_template.template import answered, generate, load

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "sample"
NAME = "sample"
SOURCES = (
    "cookiecutter.json",
    "hooks",
    "templates",
    "src/mlapi_template",
    "tools/sample.py",
    "{{cookiecutter.project_slug}}",
)


def main() -> int:
    """Do it for the problems that are named, and print where each is; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="+", metavar="PROBLEM", help="classification, regression or text")
    parser.add_argument("--into", type=Path, default=BUILD, help="the folder that gets a folder for each")
    parser.add_argument("--slug", default=NAME, help="the name of the project, if not that of its package")
    parser.add_argument("--uv", default="uv", help="the uv to call")
    arguments = parser.parse_args()
    for problem in arguments.problems:
        place = arguments.into.absolute() / problem
        project = write(problem, place, arguments.slug, arguments.uv)
        newest = place / f"newest.{os.getpid()}"
        newest.symlink_to(project.parent.name)  # for those who need a path that stays, such as mypy
        newest.replace(place / "newest")
        print(project)
    return 0


def write(problem: str, folder: Path, slug: str, uv: str) -> Path:
    """Bring the project of a problem up to date, and return where it is; several processes may ask at once."""
    folder = folder / made_of(slug)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        done = folder / "done"
        if not done.exists():
            for begun in (folder / slug, folder / "installed"):
                shutil.rmtree(begun, ignore_errors=True)
            template = load()
            given = {"problem": problem, "project_slug": slug, "package_name": NAME}
            project = generate(template, answered(template, given, lambda _, default: default), folder)
            install = (uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps")
            subprocess.run([*install, "--target", str(folder / "installed"), str(project)], check=True)
            done.touch()
    return folder / slug


def made_of(slug: str) -> str:
    """Return a digest of what a project is made of: then nobody's is replaced while it is used."""
    digest = sha256(f"{slug} {sys.executable}".encode())
    for path in sorted(path for name in SOURCES for path in [ROOT / name, *(ROOT / name).rglob("*")]):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)} ".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
