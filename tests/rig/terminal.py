"""A shell in a copy of the project, for the tests of the pages."""

import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from urllib.request import urlopen

from rig.names import PREFIX
from rig.ports import hold_port, port_of
from rig.sample import INSTALLED, PROJECT, python_path
from rig.surroundings import Surroundings

NAME = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["name"]
NOTHING = Surroundings({}, {})
SECONDS = 300
LONG = 1200
"""Seconds a command may take that fetches or builds something."""
NOT_OURS = ("__pycache__", ".venv", ".*_cache", "_build", "models", "var", "pipeline", "dist", "secrets")
"""What a copy of the whole project does without: what was made in it."""


def recipe(command: str) -> str:
    """Return what a make target runs, without uv around it: the environment is the one of these tests."""
    if not command.startswith("make "):
        return command
    dry_run = ["make", "-n", *command.split()[1:]]
    shown = subprocess.run(dry_run, cwd=PROJECT, capture_output=True, text=True, check=True)
    found = re.search(r"--group \w+ (.*)", shown.stdout)
    return found[1] if found else command


class Terminal:
    """A shell in a copy of the project."""

    def __init__(self, folder: Path, models: Path | None, surroundings: Surroundings = NOTHING) -> None:
        self._held = hold_port()
        self.port = port_of(self._held)
        self.whole = surroundings.whole
        self._server: int | None = None
        self._seconds = LONG if self.whole else SECONDS
        self._log = folder / "server.log"
        (copy_whole if self.whole else copy_project)(folder)
        if models:
            shutil.copytree(models, folder / "models")
        (folder / ".curlrc").write_text("no-progress-meter\n")  # as at a terminal, where the answer goes to the screen
        environment = {
            "PATH": f"{INSTALLED}/bin:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": "" if self.whole else python_path(folder / "src"),
            "PYTHONUNBUFFERED": "1",
            "CURL_HOME": str(folder),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            f"{PREFIX}PORT": str(self.port),
            "PORT": str(self.port),  # what compose.yaml calls it
            **surroundings.variables,
        }
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """Run a command and return its exit code and all that it wrote."""
        if self._shell.stdin is None or self._shell.stdout is None:
            raise AssertionError
        too_long = threading.Timer(self._seconds, self._shell.kill)
        too_long.start()
        # A command that reads, as `docker compose run` does, must not read what stands after it.
        self._shell.stdin.write(f"{{ {command}\n}} < /dev/null\nprintf '\\n<%s>\\n' $?\n")
        self._shell.stdin.flush()
        written = ""
        for line in self._shell.stdout:
            if end := re.fullmatch(r"<(\d+)>\n", line):
                too_long.cancel()
                return int(end[1]), written.rstrip("\n")
            written += line
        raise AssertionError(f"{command!r} ended the shell, or took longer than {self._seconds} s: {written}")

    def serve(self, command: str) -> None:
        """Start a service and wait until it is ready."""
        self.stop()
        _, pid = self.run(f"{command} > {self._log} 2>&1 & echo $!")
        self._server = int(pid)
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # a page may bring a certificate of its own
        if (own := self._log.with_name("client.pem")).exists():  # or may ask clients for one
            trust.load_cert_chain(own, own.with_suffix(".key"))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                urlopen(f"https://localhost:{self.port}/health/ready", context=trust, timeout=60).close()
            except OSError:
                if self.run(f"kill -0 {pid}")[0]:
                    break
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"{command!r} does not get ready: {self._log.read_text()}")

    @property
    def serves(self) -> bool:
        """Whether a service was started."""
        return self._server is not None

    def stop(self) -> None:
        """Stop the service."""
        if self._server is not None:
            self.run(f"kill -{signal.SIGTERM:d} {self._server}; wait {self._server}")
            self._server = None

    def close(self) -> None:
        """Stop the service and leave the shell."""
        self.stop()
        self._shell.communicate("exit\n", timeout=SECONDS)
        self._held.close()


def copy_project(folder: Path) -> None:
    """Copy what a page may use or change; the environment is linked."""
    for name in ("benchmarks", "src"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "params.yaml", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)


def copy_whole(folder: Path) -> None:
    """Copy all that belongs to the project, without an environment, into a repository of git."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(*NOT_OURS, ".git"))
    somebody = ("config", "user.name", "Test"), ("config", "user.email", "test@example.com")
    for command in ("init", "-q"), *somebody, ("add", "-A"), ("commit", "-q", "-m", "All of it"):
        subprocess.run(["git", *command], cwd=folder, check=True)
