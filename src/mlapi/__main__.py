"""Run the command as `python -m mlapi`."""

import sys

from mlapi.cli import main

if __name__ == "__main__":
    sys.exit(main())
