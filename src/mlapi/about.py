"""The name of a service, its owner and addresses: the content of `about.toml` in its package, and its version."""

import tomllib
from dataclasses import dataclass, fields
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
    """Read the `about.toml` of a package, once in a process.

    Raises:
        ValueError: There is none, it is not TOML, or it holds something else than the members of `About`.

    """
    try:
        found = tomllib.loads(files(package).joinpath("about.toml").read_text(encoding="utf-8"))
    except (AttributeError, FileNotFoundError, ModuleNotFoundError, TypeError):  # a script, or a lone module
        told = "a service's settings are a class of a package that has one"
        raise ValueError(f"There is no package {package} with an about.toml: {told}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"about.toml of the package {package} is not TOML: {error}") from error
    names = [field.name for field in fields(About)]
    texts = [name for name, value in found.items() if isinstance(value, str)]
    if sorted(texts) != sorted(names) or len(texts) < len(found):
        raise ValueError(f"about.toml of the package {package} must hold texts called {', '.join(names)}, and no more.")
    return About(**found)
