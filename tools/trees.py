"""Write down which files a generated project has, for each choice of `ci`: `make tree`. A test compares them."""

import tempfile
from pathlib import Path

from mlapi.template import answered, generate, load

TREES = Path(__file__).parents[1] / "tests" / "tree"


def main() -> None:
    """Write tests/tree/<choice>.txt for each choice, and remove the list of a choice that is gone."""
    template = load()
    choices = template.questions["ci"].choices
    for stale in set(TREES.glob("*.txt")) - {TREES / f"{ci}.txt" for ci in choices}:
        stale.unlink()
    for ci in choices:
        with tempfile.TemporaryDirectory(prefix="tree-") as folder:
            project = generate(template, answered(template, {"ci": ci}, lambda _, default: default), Path(folder))
            names = sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())
            (TREES / f"{ci}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


if __name__ == "__main__":
    main()
