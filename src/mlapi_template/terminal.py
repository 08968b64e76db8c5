"""Talk to the person at the terminal: on stderr, so that stdout carries data only."""

import os
import sys

BOLD = "1"
RED = "31"


def say(line: str = "", end: str = "\n") -> None:
    """Write one line of talk."""
    print(line, end=end, file=sys.stderr, flush=True)


def styled(text: str, style: str) -> str:
    """Add colour or weight where a terminal shows it and nobody asked for none (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    return text if plain else f"\033[{style}m{text}\033[0m"
