"""Makes parts of files small in a worker, notes which are scored, and lets a poisoned row end the process.

Python imports a module of this name at its start, if it finds one. What it changes is loaded by the worker later, so it
waits for that.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PART_BYTES = 8000
PAUSE_SECONDS = float(os.environ.get("PART_SECONDS", "0.01"))


class Finder(importlib.abc.MetaPathFinder):
    """Changes two modules once they are loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> Any:
        if not name.endswith((".scoring.cut", ".scoring.part")):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def changed(module: ModuleType) -> None:
                run(module)
                change(module)

            spec.loader.exec_module = changed  # type: ignore[method-assign]
        return spec


def change(module: ModuleType) -> None:
    if module.__name__.endswith("cut"):
        module.__dict__["PART_BYTES"] = PART_BYTES
        return
    score_part = module.__dict__["score_part"]
    read = module.__dict__["read"]

    def told(order: Any, number: int, part: Any) -> Any:
        with Path(os.environ["TOLD_PARTS"]).open("a") as file:
            file.write(f"{order.folder}/{number}\n")
        time.sleep(PAUSE_SECONDS)
        return score_part(order, number, part)

    def poisoned(*arguments: Any) -> Any:
        for rows in read(*arguments):
            if os.environ.get("POISON", "none") in rows.table.column(0).to_pylist():
                os.kill(os.getpid(), signal.SIGKILL)
            yield rows

    module.__dict__.update(score_part=told, read=poisoned)


sys.meta_path.insert(0, Finder())
