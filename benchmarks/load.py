"""What loads a contender: wrk, which is written in C and so leaves the processor to those who are measured."""

import json
import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("post.lua")
LOW, HIGH = (4.3, 2.0, 1.0, 0.1), (7.9, 4.4, 6.9, 2.5)
"""What the measurements of iris flowers lie between, in cm."""

DIFFERENT = 64
"""Requests that take turns. Were they the same, a processor would guess a tree's branches from the last time: a server
that puts those of several callers together would seem three times as fast."""


@dataclass(frozen=True)
class Measured:
    """What one short run of the load told."""

    rate: float
    """Answers per second."""
    p50: float
    """Milliseconds that half of the answers took at most."""
    p99: float
    """Milliseconds that all but a hundredth of them took at most."""
    cpu: float
    """Microseconds of processor time of all the contender's processes, for each answer."""
    wrong: int
    """Answers that were errors or did not come."""


def is_installed() -> bool:
    """Tell whether there is a wrk."""
    return shutil.which("wrk") is not None


def rows(count: int, number: int = 0) -> list[list[float]]:
    """Return flowers, others for each number and the same at each call."""
    chance = random.Random(f"{count} {number}")  # noqa: S311 - nothing is kept secret by it
    return [[round(chance.uniform(low, high), 1) for low, high in zip(LOW, HIGH, strict=True)] for _ in range(count)]


def run(url: str, body: Path, connections: int, seconds: float) -> dict[str, float]:
    """Post the lines of a file, again and again, from so many connections; return what wrk counted."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT), url]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env={**os.environ, "BODY": str(body)}, capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    counted: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return counted
