"""Finish the project just written: only the files that the answers ask for, and the package's real name in them.

Deterministic, offline, standard library only: an update of the template runs this twice and compares.
"""

import re
import shutil
from pathlib import Path

PACKAGE = "{{ cookiecutter.package_name }}"
CI = "{{ cookiecutter.ci }}"
PIPELINES = {"gitlab": Path(".gitlab-ci.yml"), "github": Path(".github")}


def name_the_package(folder: Path) -> None:
    """Replace the whole word `package_name`, which stands for the package wherever an import is absolute."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".ipynb"}:
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"\bpackage_name\b", PACKAGE, text), encoding="utf-8", newline="\n")


def keep_one_pipeline() -> None:
    """Remove what belongs to a service that the project is not built on."""
    for service, path in PIPELINES.items():
        if service != CI:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    keep_one_pipeline()
    for name in ("tests", "notebooks", "benchmarks"):
        name_the_package(Path(name))
