"""The way in from the command line: `python -m <package>`, or the installed command."""


def main() -> int:
    """Run one command and return its exit code; an interrupt while its libraries are loaded is no fault either."""
    try:
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
