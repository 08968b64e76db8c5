"""Publishes and promotes one version after the other, in a child that is killed at random moments; run by a test.

Called with the models' directory, the directory of a version to copy, and how often to kill. Forking is cheap here: the
libraries are loaded once, and no thread runs.
"""

import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from sample.ml import Model

from mlapi.serving.registry import Registry

LONGEST_SECONDS = 0.15
"""Longest life of a child; publishing takes a few hundredths of a second."""


def publish(registry: Registry, template: Path) -> None:
    """Publish copies of a version until killed."""
    for number in itertools.count():
        candidate = registry.candidate(f"{os.getpid()}-{number}")
        shutil.copytree(template, candidate)
        manifest = json.loads((candidate / "manifest.json").read_bytes())
        (candidate / "manifest.json").write_text(json.dumps(manifest | {"run": candidate.name}))
        registry.promote(registry.publish(candidate))


def main(root: str, template: str, kills: str) -> None:
    """Kill publishers, and check all that they left after each."""
    registry = Registry(Path(root), Model.name)
    interrupted = 0
    checked: set[str] = set()
    for number in range(int(kills)):
        before = registry.versions()
        child = os.fork()
        if not child:
            publish(registry, Path(template))
        while number % 2 and registry.versions() == before:
            time.sleep(0.002)  # every other child publishes once, however slow the machine, before its time begins
        time.sleep(random.uniform(0, LONGEST_SECONDS))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for version in {*registry.versions(), *filter(None, [registry.champion()])} - checked:
            registry.verify(version)
            checked.add(version)
        interrupted += any(registry.candidate("").glob("*"))
        shutil.rmtree(registry.candidate(""), ignore_errors=True)
    sys.stdout.write(json.dumps({"versions": len(checked), "interrupted": interrupted}))


if __name__ == "__main__":
    main(*sys.argv[1:])
