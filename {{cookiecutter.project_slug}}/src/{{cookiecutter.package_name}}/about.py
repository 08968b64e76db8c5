"""What this service is called and whom to ask: the content of `about.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class About:
    """The service's identity card; every member is text from `about.toml`."""

    name: str
    """What it is called."""
    slug: str
    """Its name as a distribution, a folder and a command."""
    description: str
    """What it does, in one sentence."""
    author: str
    """Who owns it."""
    email: str
    """Where people write to about it."""
    repository: str
    """Web address of its repository."""
    documentation: str
    """Web address of its published documentation, without a slash at the end."""


@cache
def about() -> About:
    """Read `about.toml`, once in a process."""
    with (Path(__file__).parent / "about.toml").open("rb") as file:
        return About(**tomllib.load(file))
