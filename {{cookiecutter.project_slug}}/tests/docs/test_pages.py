"""Every command and program in the documentation runs, and answers what the page shows.

A page is one session in a copy of the project, from top to bottom, in one shell. `console` blocks hold
commands after `$ ` and below each what it answers, with `...` for anything; a command that shows nothing must succeed.
`python` blocks are programs. A comment on the line before a block may say what is special about it:

    <!-- not run: WHY -->           nobody runs it here
    <!-- file: PATH -->             it is the content of this file
    <!-- exits with NUMBER -->      the command fails, as the page says

A page that says `<!-- needs: NAME NAME -->` is skipped where one of these packages cannot be imported.

A service that a page starts runs until the next one or the page's end. A page that calls one and starts none has one
running, with a trained model, which every page has unless it says `<!-- starts without a model -->`.
"""

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import pytest

from package_name.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
NAME = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
NOT_RUN = 17
"""Blocks that are not run. Count again when you add one, and think twice."""
SHOWN_ONLY = {"text", "json", "ini", "nginx"}
SERVES = re.compile(rf"^(make|{NAME}) serve\b|^uvicorn ")
SECONDS = 120
NEEDS = re.compile(r"^<!-- needs: (.*) -->$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page: its place, language and content, and what the comment before it says."""

    place: str
    language: str
    content: str
    note: str


class Command(NamedTuple):
    """A command of a console block and what it answers."""

    text: str
    answer: str


def blocks(page: Path) -> Iterator[Block]:
    """Find the fenced blocks of a page. Directives are the site's own business."""
    fence = re.compile(
        r"^(?:<!-- (?P<note>[^\n]*) -->\n)?(?P<ticks>```+)(?P<language>[^\n]*)\n(?P<content>.*?)^(?P=ticks)$",
        re.MULTILINE | re.DOTALL,
    )
    text = page.read_text(encoding="utf-8")
    for found in fence.finditer(text):
        line = text.count("\n", 0, found.start("ticks")) + 1
        place = f"{page.relative_to(ROOT)}:{line}"
        if found["language"].startswith("{"):
            continue
        yield Block(place, found["language"].strip(), found["content"], found["note"] or "")


def commands(console: str) -> Iterator[Command]:
    """Split a console block into commands and what they answer."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        last = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
        yield Command("\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :]))


def recipe(command: str) -> str:
    """Return what a make target runs, without uv around it: the environment is the one of these tests."""
    if not command.startswith("make "):
        return command
    dry_run = ["make", "-n", *command.split()[1:]]
    shown = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own targets
    found = re.search(r"--group \w+ (.*)", shown.stdout)
    return found[1] if found else command


class Terminal:
    """A shell in a copy of the project."""

    def __init__(self, folder: Path, models: Path | None) -> None:
        self.port = free_port()
        self._server: int | None = None
        self._log = folder / "server.log"
        copy_project(folder, models)
        (folder / ".curlrc").write_text("no-progress-meter\n")  # as at a terminal, where the answer goes to the screen
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(folder / "src"),
            "PYTHONUNBUFFERED": "1",
            "CURL_HOME": str(folder),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            f"{PREFIX}PORT": str(self.port),
        }
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],  # noqa: S607 - wherever it is
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
        too_long = threading.Timer(SECONDS, self._shell.kill)
        too_long.start()
        self._shell.stdin.write(f"{command}\nprintf '\\n<%s>\\n' $?\n")
        self._shell.stdin.flush()
        written = ""
        for line in self._shell.stdout:
            if end := re.fullmatch(r"<(\d+)>\n", line):
                too_long.cancel()
                return int(end[1]), written.rstrip("\n")
            written += line
        raise AssertionError(f"{command!r} ended the shell, or took longer than {SECONDS} s: {written}")

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
                urlopen(f"https://localhost:{self.port}/health/ready", context=trust, timeout=5).close()
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


def copy_project(folder: Path, models: Path | None) -> None:
    """Copy what a page may use or change; the environment is linked."""
    for name in ("benchmarks", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "params.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    if models:
        shutil.copytree(models, folder / "models")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def matches(answer: str, shown: str) -> bool:
    """Tell whether an answer is what a page shows, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part.strip("\n")) for part in shown.split("..."))
    return bool(re.fullmatch(rf"\s*{pattern}\s*", answer, re.DOTALL))


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(True for _ in blocks(p))], ids=lambda p: str(p.relative_to(ROOT))
)
def test_what_a_page_shows_happens(page: Path, tmp_path: Path, trained: Settings) -> None:
    text = page.read_text(encoding="utf-8")
    needed = [name for names in NEEDS.findall(text) for name in names.split()]
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"{page.name} needs {', '.join(missing)}, which is not installed")
    models = None if "<!-- starts without a model -->" in text else trained.models_dir
    needs_worker = any("/train" in block.content or "/jobs" in block.content for block in blocks(page))
    terminal = Terminal(tmp_path / "project", models)
    try:
        for block in blocks(page):
            if "localhost:8443" in block.content and "file:" not in block.note and not terminal.serves:
                terminal.serve(f"{NAME} serve" if needs_worker else f"{NAME} serve --no-worker")
            run_block(block, terminal, tmp_path / "project")
    finally:
        terminal.close()


def run_block(block: Block, terminal: Terminal, folder: Path) -> None:
    """Do what a block says and compare what happens with what it shows."""
    content = block.content.replace("8443", str(terminal.port))
    if block.note.startswith("not run") or (block.language in SHOWN_ONLY and not block.note.startswith("file: ")):
        return
    if block.note.startswith("file: "):
        path = folder / block.note.removeprefix("file: ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    elif block.language == "python":
        (folder / "program.py").write_text(content, encoding="utf-8")
        code, answer = terminal.run("python program.py")
        assert code == 0, f"{block.place}: {answer}"
    else:
        expected = int(block.note.removeprefix("exits with ")) if block.note.startswith("exits with ") else 0
        for command in commands(content):
            if SERVES.match(command.text) and not expected:
                terminal.serve(recipe(command.text))
                continue
            code, answer = terminal.run(recipe(command.text))
            assert code == expected, f"{block.place}: {command.text} exits with {code}: {answer}"
            if command.answer:
                assert matches(answer, command.answer), f"{block.place}: {command.text} answers:\n{answer}"


def test_each_block_says_what_it_is() -> None:
    strange = [
        block.place
        for page in PAGES
        for block in blocks(page)
        if block.language not in {"console", "python", *SHOWN_ONLY} and not block.note.startswith("file: ")
    ]
    assert strange == [], f"use console or python, which are run, or one of {', '.join(SHOWN_ONLY)}"


def test_few_blocks_are_not_run() -> None:
    notes = [
        f"{block.place} {block.note}" for page in PAGES for block in blocks(page) if block.note.startswith("not run")
    ]
    assert all(re.search(r"not run: \w+", note) for note in notes), "say why it is not run"
    assert len(notes) == NOT_RUN, "\n".join(notes)
