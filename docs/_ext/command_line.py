"""The directive `command-line`: the reference of `mlapi`, written from its own parser at each build."""

import argparse
import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mlapi_template.cli import parser


class CommandLine(SphinxDirective):
    """Describe every command and option."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each command."""
        return self.parse_text_to_nodes("\n".join(described(parser())), allow_section_headings=True)


def described(command: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines of Markdown for a command and, after it, for each of those below it.

    Raises ValueError for a command, argument or option that has no explanation.
    """
    if not command.description:
        raise ValueError(f"{command.prog} has no description: give it one in src/mlapi_template/cli.py")
    usage = re.sub(r"\s+", " ", command.format_usage().removeprefix("usage: ")).strip()
    yield from (f"## `{command.prog}`", "", "```text", usage, "```", "", command.description, "")
    below = []
    for action in command._actions:  # noqa: SLF001 - argparse has no other list of them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            below += [described(choice) for choice in action.choices.values()]
        else:
            yield from explained(command, action)
    if command.epilog:
        title, _, examples = command.epilog.partition("\n")
        block, _, rest = examples.partition("\n\n")
        yield from (f"{title.capitalize()}", "", "```console", re.sub(r"(?m)^ *", "$ ", block), "```", "", rest, "")
    for lines in below:
        yield from lines


def explained(command: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    """Yield the lines for an argument or option: how it is written, and what it means."""
    if not action.help:
        raise ValueError(f"{command.prog} has an argument {action.dest} without help: say what it is for")
    shown = action.metavar or ("" if action.nargs == 0 else action.dest)
    written = ", ".join(f"{flag} {shown}".strip() for flag in action.option_strings) or str(shown)
    yield from (f"`{written}`", f": {action.help[:1].upper()}{action.help[1:].replace('%(prog)s', command.prog)}", "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
