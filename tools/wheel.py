"""Build the library's wheel from src/mlapi into the template: `make wheel`.

Projects find it in their folder `vendor`. No hash of it stands in their lock, and uv keeps what it once unpacked from
there, so another wheel of the same version is taken for the old one: a change of the library needs a version of its
own. A wheel that is committed is therefore never replaced by another of its version, unless `--replace` says that no
project has it yet. Whoever has it nevertheless says `uv sync --reinstall-package mlapi-engine`.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "{{cookiecutter.project_slug}}" / "vendor"


class Refused(Exception):  # noqa: N818 (named for what happened)
    """The wheel must not replace the one that is there; the message says why, in one line."""


def main() -> int:
    """Build it and remove those of other versions; return 1 with one line on stderr when it cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=VENDOR, help="the folder it goes to: that of the template")
    parser.add_argument("--replace", action="store_true", help="also replace a committed wheel of the same version")
    parser.add_argument("--uv", default="uv", help="the uv to call")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
            put(built(arguments.uv, Path(folder)), arguments.into.absolute(), replace=arguments.replace)
    except (OSError, Refused, subprocess.CalledProcessError) as error:
        print(f"wheel: {error}", file=sys.stderr)
        return 1
    return 0


def built(uv: str, folder: Path) -> Path:
    """Build the wheel into a folder and return its path."""
    # --no-config and the exact version of the build backend in src/pyproject.toml: its members are the same everywhere.
    command = (uv, "build", "--quiet", "--no-config", "--wheel", "--out-dir", str(folder), str(ROOT / "src"))
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def put(wheel: Path, into: Path, *, replace: bool) -> None:
    """Make a wheel the only one of a folder; one with the same members stays as it is.

    Raises Refused when git holds another wheel of the same name, and `replace` does not allow that.
    """
    target, new = into / wheel.name, members(wheel.read_bytes())
    before = committed(target)
    if before is not None and members(before) != new and not replace:
        raise Refused(
            f"{wheel.name} is committed with other members. Raise __version__ in src/mlapi/__init__.py,"
            " or say `make wheel REPLACE=1` if no project has that wheel"
        )
    for old in set(into.glob("*.whl")) - {target}:
        old.unlink()
        print(f"{old} is removed")
    if not target.exists() or members(target.read_bytes()) != new:
        into.mkdir(exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        shutil.copyfile(wheel, beside)
        beside.replace(target)
        print(f"{target} has changed")


def committed(path: Path) -> bytes | None:
    """Return a file as the last commit holds it, or None."""
    if not path.is_relative_to(ROOT):
        return None
    command = ("git", "show", f"HEAD:./{path.relative_to(ROOT).as_posix()}")
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return shown.stdout if shown.returncode == 0 else None


def members(wheel: bytes) -> Mapping[str, bytes]:
    """Return the members of a wheel. The bytes of the archive itself depend on the zlib that packed it."""
    with zipfile.ZipFile(BytesIO(wheel)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


if __name__ == "__main__":
    sys.exit(main())
