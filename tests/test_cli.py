"""What `mlapi` does for the person who types it."""

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from workbench import BIN, SLUG, contents, run

DEADLINE = 300.0


class Terminal:
    """A command at a terminal of its own: what it shows is read, what a person types is written."""

    def __init__(self, command: Sequence[str | Path], environ: dict[str, str], cwd: Path) -> None:
        self.leader, follower = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=follower,
            stderr=follower,
            stdout=subprocess.PIPE,
            env=environ,
            cwd=cwd,
            start_new_session=True,
        )
        os.close(follower)

    def until(self, text: str) -> str:
        """Wait until something is shown and return everything up to then, cut off for the next time."""
        ends = time.monotonic() + DEADLINE
        while text not in self.shown:
            assert time.monotonic() < ends, f"{text!r} was not shown, but: {self.shown}"
            if select.select([self.leader], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.leader, 4096).decode()
                except OSError as error:  # the command has closed its end
                    raise AssertionError(f"ended before {text!r}: {self.shown}") from error
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what came out on stdout."""
        out, _ = self.process.communicate(timeout=DEADLINE)
        os.close(self.leader)
        return self.process.returncode, out.decode()


def new(*arguments: str | Path) -> tuple[str | Path, ...]:
    return (BIN / "mlapi", "new", *arguments)


def test_it_says_its_version_and_what_it_can_do(environ: dict[str, str]) -> None:
    assert re.match(r"mlapi \d+\.\d+\.\d+ ", run(BIN / "mlapi", "--version", environ=environ).stdout)
    assert "write a new project" in run(BIN / "mlapi", "--help", environ=environ).stdout
    assert "--output-dir DIR" in run(*new("--help"), environ=environ).stdout
    assert run(BIN / "python", "-m", "mlapi_template", "--version", environ=environ).stdout.startswith("mlapi ")


def test_it_starts_without_what_only_writing_needs(environ: dict[str, str]) -> None:
    """What takes a start its time is loaded when a project is written, and not to answer `--version`."""
    command = (BIN / "python", "-X", "importtime", "-m", "mlapi_template", "--version")
    loaded = set(re.findall(r"(?m)\| +([\w.]+)$", run(*command, environ=environ).stderr))
    assert "mlapi_template.cli" in loaded
    assert sorted(loaded & {"cookiecutter", "cookiecutter.main", "jinja2", "requests", "rich", "click", "yaml"}) == []


def test_stdout_is_the_path_and_stderr_the_talk(tmp_path: Path, environ: dict[str, str]) -> None:
    done = run(*new("--no-input", "license=BSD-3-Clause"), environ=environ, cwd=tmp_path)
    assert done.stdout == f"{tmp_path / SLUG}\n"
    assert re.search(r"(?m)^  license +BSD-3-Clause$", done.stderr)
    assert f"Wrote {len(contents(tmp_path / SLUG))} files to {tmp_path / SLUG}. Next:" in done.stderr
    assert "\033" not in done.stderr


def test_the_next_commands_can_be_typed_as_shown(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = tmp_path / "it's here"
    done = run(*new("--no-input", "--output-dir", folder), environ=environ, cwd=tmp_path)
    steps = [line.strip() for line in done.stderr.partition("Next:")[2].splitlines() if line.strip()]
    assert shlex.split(steps[0]) == ["cd", "it's here/iris-api"]
    dry = "; ".join([steps[0], *(step.replace("make ", "make --dry-run ", 1) for step in steps[1:])])
    run("bash", "-euc", dry, environ=environ, cwd=tmp_path)


def test_a_folder_whose_name_is_no_text_is_as_good_as_any(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    done = subprocess.run([*new("--no-input"), "--output-dir", folder], env=environ, capture_output=True, check=True)
    assert done.stdout == folder + b"/iris-api\n"
    assert Path(os.fsdecode(folder), SLUG, "README.md").is_file()


def test_options_stand_anywhere(tmp_path: Path, environ: dict[str, str]) -> None:
    run(*new("project_name=Wine", "--no-input", "license=MIT", "--output-dir", tmp_path, "ci=gitlab"), environ=environ)
    assert [path.name for path in tmp_path.iterdir()] == ["wine"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("licence=MIT",), "mlapi: there is no question 'licence': did you mean license?"),
        (("_copy_without_render=x",), "mlapi: there is no question '_copy_without_render'"),
        (("__project_name=x",), "mlapi: there is no question '__project_name'"),
        (("xyz=1",), "mlapi: there is no question 'xyz'. The questions are problem, project_name, "),
        (("MIT",), "mlapi: 'MIT' is not of the form NAME=VALUE"),
        (("license=MIT", "license=MIT"), "mlapi: license is given twice"),
        (("--output-dir=a{{b}}",), "holds braces"),
        (("--output-dir=/dev/null",), "mlapi: /dev/null is not a folder: choose another --output-dir"),
    ],
)
def test_wrong_usage_gets_one_line(words: Sequence[str], line: str, tmp_path: Path, environ: dict[str, str]) -> None:
    done = run(*new("--no-input", *words), environ=environ, cwd=tmp_path, expect=2)
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_written_again_from_the_answers_that_it_keeps(tmp_path: Path, environ: dict[str, str]) -> None:
    words = ("project_name=Wine", 'description=Says "good" or "bad", é.', "ci=github", "license=Apache-2.0")
    run(*new("--no-input", "--output-dir", tmp_path / "a", *words), environ=environ)
    kept = tmp_path / "a" / "wine" / ".mlapi.json"
    run(*new("--no-input", "--output-dir", tmp_path / "b", "--answers", kept), environ=environ)
    assert contents(tmp_path / "b" / "wine") == contents(tmp_path / "a" / "wine")
    run(*new("--no-input", "--output-dir", tmp_path / "c", "--answers", kept, "license=MIT"), environ=environ)
    assert "MIT License" in (tmp_path / "c" / "wine" / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "kept.json cannot be read: No such file or directory"),
        ("{", "kept.json cannot be read: it is not JSON"),
        ('["MIT"]', "kept.json must hold an object with a text for each answer"),
        ('{"colour": "red"}', "kept.json answers what is not asked: colour. Take it out of the file"),
        ('{"license": "WTFPL"}', "license: 'WTFPL' is not a choice"),
    ],
)
def test_a_file_without_answers_is_refused(
    content: str | None, line: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    if content is not None:
        (tmp_path / "kept.json").write_text(content, encoding="utf-8")
    done = run(*new("--no-input", "--answers", "kept.json"), environ=environ, cwd=tmp_path, expect=2)
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unknown_options_and_commands_are_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    assert "--no-imput" in run(*new("--no-imput"), environ=environ, cwd=tmp_path, expect=2).stderr
    assert "nwe" in run(BIN / "mlapi", "nwe", environ=environ, cwd=tmp_path, expect=2).stderr
    assert "COMMAND" in run(BIN / "mlapi", environ=environ, cwd=tmp_path, expect=2).stderr


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_it_never_overwrites(kind: str, tmp_path: Path, environ: dict[str, str]) -> None:
    target = tmp_path / SLUG
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine", encoding="utf-8")
    else:
        target.symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    done = run(*new("--no-input"), environ=environ, cwd=tmp_path, expect=2)
    assert done.stderr == f"mlapi: {target} exists and is left as it is: choose another project_slug or --output-dir\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_to_is_a_fault(tmp_path: Path, environ: dict[str, str]) -> None:
    done = run(*new("--no-input", "--output-dir", "/proc/here"), environ=environ, cwd=tmp_path, expect=1)
    assert done.stderr.splitlines()[-1].startswith("mlapi: /proc/here/iris-api could not be written: ")


def test_a_full_disk_is_a_fault_and_leaves_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    limited = shlex.join(str(word) for word in new("--no-input"))
    done = run("bash", "-c", f"ulimit -f 8; trap '' XFSZ; exec {limited}", environ=environ, cwd=tmp_path, expect=1)
    assert re.match(r"mlapi: .*iris-api could not be written: .*File too large", done.stderr.splitlines()[-1])
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_it_says_so_instead_of_asking(tmp_path: Path, environ: dict[str, str]) -> None:
    done = run(*new(), environ=environ, cwd=tmp_path, expect=2)
    assert done.stderr.startswith("mlapi: there is no terminal to ask at: add --no-input")
    assert len(done.stderr.splitlines()) == 1


def test_a_bad_answer_is_asked_for_again(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "wine").mkdir()
    terminal = Terminal(new("author_name=Ada", "author_email=ada@example.com"), environ, tmp_path)
    terminal.until("2  Regression: ")
    terminal.until("> ")
    terminal.type("2\n")
    terminal.until("[House Prices API]")
    terminal.until("> ")
    terminal.type("{{ wine }}\n")
    terminal.until("project_name: '{{ wine }}' holds '{' (U+007B). Allowed: ")
    terminal.until("> ")
    terminal.type("Wine\n")
    terminal.until("(small letters, digits, single hyphens)")
    assert "[wine]" not in terminal.until("> "), "a folder that exists is no default"
    terminal.type("wine\n")
    terminal.until("exists and is left as it is")
    terminal.until("> ")
    terminal.type("wine-quality\n")
    terminal.until("[wine_quality]")
    for _ in ("package_name", "description", "repository_url"):
        terminal.until("> ")
        terminal.type("\n")
    terminal.until("3  BSD, 3 clauses")
    terminal.until("> ")
    terminal.type("9\n")
    terminal.until("license: '9' is not a choice. Allowed: MIT, ")
    terminal.until("> ")
    terminal.type("2\n")
    terminal.until("2  GitHub Actions and GitHub Pages")
    terminal.until("> ")
    terminal.type("2\n")
    terminal.until("2  English, and a French translation beside it")
    terminal.until("> ")
    terminal.type("2\n")
    terminal.until("Next:")
    assert terminal.end() == (0, f"{tmp_path / 'wine-quality'}\n")
    assert "Apache License" in (tmp_path / "wine-quality" / "LICENSE").read_text(encoding="utf-8")
    assert (tmp_path / "wine-quality" / ".github" / "workflows" / "ci.yml").is_file()
    assert (tmp_path / "wine-quality" / "docs" / "locale" / "fr").is_dir()


def test_colour_is_for_terminals_whose_user_wants_it(tmp_path: Path, environ: dict[str, str]) -> None:
    for more, coloured in (
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ):
        terminal = Terminal(new("license=WTFPL"), environ | more, tmp_path)
        assert ("\033[" in terminal.until("license: ")) is coloured
        assert terminal.end()[0] == 2


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_stopping_it_is_clean(key: str, tmp_path: Path, environ: dict[str, str]) -> None:
    terminal = Terminal(new(), environ, tmp_path)
    terminal.until("> ")
    if key == "\x03":
        os.killpg(terminal.process.pid, signal.SIGINT)
    else:
        terminal.type(key)
    assert "Traceback" not in terminal.until("mlapi: stopped, nothing was written")
    assert terminal.end() == (130, "")
    assert list(tmp_path.iterdir()) == []
