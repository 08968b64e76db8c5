"""Write and install the project that the library is tested and checked with: `build/sample/PROBLEM`.

The package is called `sample`, whatever the problem. What is installed is in the folder `installed` there, for
`PYTHONPATH`: so the projects of several problems can be used at the same time, and none is in anybody's environment.
Nothing is done while the template is as it was.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from mlapi_template.template import answered, generate, load

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "sample"
NAME = "sample"
SOURCES = ("cookiecutter.json", "hooks", "templates", "src/mlapi_template", "{{cookiecutter.project_slug}}")


def main() -> int:
    """Do it for the problems that are named, and print where each is; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="+", metavar="PROBLEM", help="classification, regression or text")
    parser.add_argument("--into", type=Path, default=BUILD, help="the folder that gets a folder for each")
    parser.add_argument("--slug", default=NAME, help="the name of the project, if not that of its package")
    parser.add_argument("--uv", default="uv", help="the uv to call")
    arguments = parser.parse_args()
    for problem in arguments.problems:
        print(write(problem, arguments.into.absolute() / problem, arguments.slug, arguments.uv))
    return 0


def write(problem: str, folder: Path, slug: str, uv: str) -> Path:
    """Bring the project of a problem up to date, and return where it is; several processes may ask at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        stamp, now = folder / "made-of.json", sources()
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != now:
            stamp.unlink(missing_ok=True)
            for old in (folder / slug, folder / "installed"):
                shutil.rmtree(old, ignore_errors=True)
            template = load()
            given = {"problem": problem, "project_slug": slug, "package_name": NAME}
            project = generate(template, answered(template, given, lambda _, default: default), folder)
            install = (uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps")
            subprocess.run([*install, "--target", str(folder / "installed"), str(project)], check=True)
            stamp.write_text(now, encoding="utf-8")
    return folder / slug


def sources() -> str:
    """Return what tells whether the template has changed: the files of it, with their times and sizes."""
    found = {}
    for path in sorted(path for name in SOURCES for path in [ROOT / name, *(ROOT / name).rglob("*")]):
        if path.is_file() and "__pycache__" not in path.parts:
            found[str(path.relative_to(ROOT))] = [path.stat().st_mtime_ns, path.stat().st_size]
    return json.dumps(found)


if __name__ == "__main__":
    sys.exit(main())
