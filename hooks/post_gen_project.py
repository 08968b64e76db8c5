"""Give tests, notebooks and benchmarks the package's real name, inside the project just written.

Deterministic, offline, standard library only: an update of the template runs this twice and compares.
"""

import re
from pathlib import Path

PACKAGE = "{{ cookiecutter.package_name }}"


def name_the_package(folder: Path) -> None:
    """Replace the whole word `package_name`, which stands for the package wherever an import is absolute."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".ipynb"}:
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"\bpackage_name\b", PACKAGE, text), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    for name in ("tests", "notebooks", "benchmarks"):
        name_the_package(Path(name))
