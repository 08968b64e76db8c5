"""What the tests build with: clean environments, commands that are watched, projects, trees of files."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
BIN = Path(sys.executable).parent
UV = str(Path(shutil.which(os.environ.get("UV", "uv")) or BIN / "uv").absolute())
SLUG = "iris-api"
ANSWERS = ".mlapi.json"
"""The file in which a project keeps the answers it was written with."""
PROBLEMS: list[str] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["problem"]
DEADLINE = 600.0
Shared = Callable[[str, Callable[[Path], object]], Path]
"""Makes a folder of a name that all workers of a run share, by what the first that asks says."""

# Every kind of character that an answer may hold and that means something in one of the generated languages.
AWKWARD = {
    "project_name": 'L\'été "2026"',
    "author_name": 'Zoë "Z" O\'Neil & Sons (R&D), 50%',
    "description": 'C# & Python: 100% "sûr" d\'être là? Да! a_b = c/d; no. 1: «ok» @ night - e.g. «x»',
    "author_email": "zoe.o-neil+mlapi@sub.example-domain.co.uk",
    "repository_url": "https://git.example.org:8443/~zoe/l-ete_2026",
    "license": "Apache-2.0",
}
# What would lead commands astray: the surrounding make, the active environment, the settings of the user.
ASTRAY = re.compile(
    r"PROBLEM$|TEST_PROJECT$|MAKE|MFLAGS|VIRTUAL_ENV|UV_PROJECT|PYTHON|PYTEST|COOKIECUTTER|[A-Z_]+_API_|NO_COLOR"
)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return this process's environment without what leads commands astray, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not ASTRAY.match(name)}
    kept["PATH"] += f"{os.pathsep}{Path(UV).parent}"  # at the end: what else is in that folder must not come first
    cache = kept.get("UV_CACHE_DIR") or run(UV, "cache", "dir", environ=kept).stdout.strip()
    return kept | {"HOME": str(home), "UV_CACHE_DIR": cache, "UV_PYTHON_DOWNLOADS": "never", "LC_ALL": "C.UTF-8"} | more


def run(
    *command: str | Path,
    environ: Mapping[str, str],
    cwd: Path = ROOT,
    expect: int | None = 0,
    timeout: float = 1800,
) -> subprocess.CompletedProcess[str]:
    """Run a command without standard input; it must end with the expected exit code, where there is one."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=timeout,
    )
    if expect is not None:
        assert done.returncode == expect, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def words(answers: Mapping[str, str]) -> Sequence[str]:
    """Spell answers as both commands take them."""
    return [f"{name}={value}" for name, value in answers.items()]


def made(problem: str, folder: Path, environ: Mapping[str, str], *answers: str) -> Path:
    """Write a project of a problem by `mlapi new`; return where it is."""
    asked = (f"problem={problem}", *answers)
    done = run(BIN / "mlapi", "new", "--no-input", "--output-dir", folder, *asked, environ=environ)
    return Path(done.stdout.strip())


def files(folder: Path) -> dict[str, Path]:
    """List the files below a folder by their relative path."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return dict(sorted(found.items()))


def contents(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """Return the bytes of each file below a folder, and whether it may be executed."""
    return {name: (path.read_bytes(), os.access(path, os.X_OK)) for name, path in files(folder).items()}


def texts(folder: Path) -> dict[str, str]:
    """Return the text of each file below a folder, pictures and the like left out."""
    found = {}
    for name, path in files(folder).items():
        data = path.read_bytes()
        if b"\0" not in data:
            found[name] = data.decode("utf-8")
    return found


def tracked() -> list[str]:
    """List the files that git tracks, or would track after `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})


def free_port() -> int:
    """Return a port that nobody listens on, below those that systems hand out: nobody gets it by chance meanwhile."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def serving(target: str, folder: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Run `make TARGET` until it prints its curl line; yields that line and all lines so far, then stops by Ctrl-C."""
    process = subprocess.Popen(
        ["make", target],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    lines: list[str] = []
    printed = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if "curl " in line:
                printed.set()
        printed.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert printed.wait(DEADLINE), lines
        curl = next((line for line in lines if "curl " in line), "")
        assert curl, "\n".join(lines)
        yield curl[curl.index("curl ") :], lines
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(DEADLINE)
        reader.join(DEADLINE)
        if process.stdout:
            process.stdout.close()


def answer(curl: str, folder: Path, environ: Mapping[str, str]) -> dict[str, object]:
    """Paste a curl line into a shell until the service answers, and return the answer."""
    ends = time.monotonic() + DEADLINE
    while True:
        done = run("bash", "-c", curl, environ=environ, cwd=folder, expect=None)
        if done.returncode == 0 and done.stdout.startswith("{"):
            found: dict[str, object] = json.loads(done.stdout)
            return found
        assert time.monotonic() < ends, f"{curl}\n{done.stdout}\n{done.stderr}"
        time.sleep(0.2)
