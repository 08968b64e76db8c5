"""Makes parts of files small in a worker, notes which are begun, holds some up, and dies of a poisoned row.

Python imports a module of this name at its start, if it finds one. What it changes is loaded by the worker later, so it
waits for that.
"""

import importlib.abc
import importlib.machinery
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PART_BYTES = 8000
PAUSE_SECONDS = float(os.environ.get("PART_SECONDS", "0"))
HOLD = Path(os.environ.get("HOLD_PARTS", "nowhere"))
"""Holds the number of the first part that is not scored until this file is gone, or says otherwise."""


class Finder(importlib.abc.MetaPathFinder):
    """Changes some modules once they are loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> Any:
        if not name.endswith((".scoring.cut", ".scoring.part", ".jobs.store")):
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
    if module.__name__.endswith("store"):  # a busy machine takes its time
        module.__dict__.update(PATIENCE=60, OPENING_PATIENCE=60, IDLE_SECONDS=60)
        return
    score_part = module.__dict__["score_part"]
    read = module.__dict__["read"]

    def told(model: Any, order: Any, number: int, part: Any) -> Any:
        with Path(os.environ["TOLD_PARTS"]).open("a") as file:
            file.write(f"{order.folder}/{number}\n")
        time.sleep(PAUSE_SECONDS)
        while number >= first_held():
            time.sleep(0.02)
        return score_part(model, order, number, part)

    def poisoned(*arguments: Any) -> Any:
        for rows in read(*arguments):
            if os.environ.get("POISON", "none") in rows.table.column(0).to_pylist():
                os.kill(os.getpid(), signal.SIGKILL)
            yield rows

    module.__dict__.update(score_part=told, read=poisoned)


def first_held() -> float:
    try:
        return int(HOLD.read_text())
    except FileNotFoundError:
        return math.inf


sys.meta_path.insert(0, Finder())
