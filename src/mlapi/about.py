"""The name of a service, its owner and addresses: the content of `about.toml` in its package, and its version."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files


@dataclass(frozen=True)
class About:
    """The service's identity card; every member is text."""

    name: str
    """Name, as people read it."""
    slug: str
    """Name as a distribution, a folder and a command."""
    description: str
    """Description in one sentence."""
    author: str
    """Owner."""
    email: str
    """Address that people write to about it."""
    repository: str
    """Web address of its repository."""
    documentation: str
    """Web address of its published documentation, without a slash at the end."""

    @property
    def version(self) -> str:
        """Version of the distribution that is installed."""
        return version(self.slug)


@cache
def about_of(package: str) -> About:
    """Read the `about.toml` of a package, once in a process."""
    return About(**tomllib.loads(files(package).joinpath("about.toml").read_text(encoding="utf-8")))
