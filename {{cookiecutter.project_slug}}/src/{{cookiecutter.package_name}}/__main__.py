"""The way in from the command line: `python -m <package>`, or the installed command."""

from collections.abc import Sequence

MODEL, SETTINGS = f"{__package__}.ml:Model", f"{__package__}.settings:Settings"
"""Names of the class of the model, and of that of the settings, that the commands work with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an interrupt while its libraries are loaded is no fault either."""
    try:
        from mlapi.cli import main as run

        return run(MODEL, SETTINGS, arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
