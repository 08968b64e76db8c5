"""The way in from the command line: `python -m <package>`, or the installed command."""

from collections.abc import Sequence

MODEL = f"{__package__}.ml:Model"
"""The model that the commands work with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an interrupt while its libraries are loaded is no fault either."""
    try:
        from .cli import main as run

        return run(MODEL, arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
