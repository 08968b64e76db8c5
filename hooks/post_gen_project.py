"""Finish the project just written: only the files that the answers ask for, and the package's real name in them.

Deterministic, offline, standard library only: an update of the template runs this twice and compares.
"""

import re
import shutil
from pathlib import Path

PACKAGE = "{{ cookiecutter.package_name }}"
PROBLEM = "{{ cookiecutter.problem }}"
# What belongs to one answer of a question only.
BELONGINGS = {
    "{{ cookiecutter.ci }}": {"gitlab": Path(".gitlab-ci.yml"), "github": Path(".github")},
    "{{ cookiecutter.docs_languages }}": {"en+fr": Path("docs/locale")},
}


def name_the_package(folder: Path) -> None:
    """Replace the whole word `package_name`, which stands for the package wherever an import is absolute."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".ipynb"}:
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"\bpackage_name\b", PACKAGE, text), encoding="utf-8", newline="\n")


def lay_out_the_example() -> None:
    """Put the files of the chosen problem's example in place."""
    shutil.copytree(Path("problems") / PROBLEM, ".", dirs_exist_ok=True)
    shutil.rmtree("problems")


def keep_what_was_chosen() -> None:
    """Remove what belongs to another answer than the one that was given."""
    for answer, belongings in BELONGINGS.items():
        for choice, path in belongings.items():
            if choice != answer:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    lay_out_the_example()
    keep_what_was_chosen()
    for name in ("tests", "notebooks", "benchmarks", "deploy"):
        name_the_package(Path(name))
