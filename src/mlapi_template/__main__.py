"""Run the command as `python -m mlapi_template`."""

import sys

from mlapi_template.cli import main

if __name__ == "__main__":
    sys.exit(main())
