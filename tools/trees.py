"""Write down which files a generated project has, for each choice that decides about files: `make tree`.

One list is for the default answers, and one for each other choice of `problem` and `ci`. A test compares them.
"""

import tempfile
from pathlib import Path

from mlapi_template.template import Template, answered, generate, load

TREES = Path(__file__).parents[1] / "tests" / "tree"
DECIDING = ("problem", "ci")
"""The questions whose answer decides which files there are."""


def choices(template: Template) -> dict[str, dict[str, str]]:
    """Return the answers that differ from the defaults, by the name of the list that is for them."""
    others = {
        f"{name}-{choice}": {name: choice} for name in DECIDING for choice in list(template.questions[name].choices)[1:]
    }
    return {"default": {}, **others}


def main() -> None:
    """Write tests/tree/<name>.txt for each of these, and remove the list of a choice that is gone."""
    template = load()
    lists = choices(template)
    for stale in set(TREES.glob("*.txt")) - {TREES / f"{name}.txt" for name in lists}:
        stale.unlink()
    for name, given in lists.items():
        with tempfile.TemporaryDirectory(prefix="tree-") as folder:
            project = generate(template, answered(template, given, lambda _, default: default), Path(folder))
            names = sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())
            (TREES / f"{name}.txt").write_text("".join(f"{path}\n" for path in names), encoding="utf-8")


if __name__ == "__main__":
    main()
