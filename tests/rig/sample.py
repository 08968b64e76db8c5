"""The project whose model and settings the library is tested with.

It is of the problem that the variable PROBLEM names, or stands where TEST_PROJECT says, as `tools/sample.py` wrote
it. Importing this module lets this process, and those it starts, find it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
INHERITED = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _written() -> Path:
    if there := os.environ.get("TEST_PROJECT"):
        return Path(there)
    uv = shutil.which(os.environ.get("UV", "uv")) or Path(sys.executable).with_name("uv")
    problem = os.environ.get("PROBLEM", "classification")
    command = [sys.executable, str(ROOT / "tools" / "sample.py"), "--uv", str(Path(uv).absolute()), problem]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


PROJECT = _written()
"""The project as it was written."""
INSTALLED = PROJECT.with_name("installed")
"""The project as it is installed: its package, its metadata and, in `bin`, its command."""


def python_path(*folders: str | Path) -> str:
    """Return a value of PYTHONPATH with which a process finds modules in folders, and the project."""
    return os.pathsep.join(dict.fromkeys(map(str, [*folders, INSTALLED, *INHERITED])))


if str(INSTALLED) not in sys.path:
    sys.path.insert(0, str(INSTALLED))
    os.environ["PYTHONPATH"] = python_path()
