"""Every command and program in the documentation runs, and answers what the page shows.

A page is one session in a copy of the project, from top to bottom, in one shell. `console` blocks hold
commands after `$ ` and below each what it answers, with `...` for anything; a command that shows nothing must succeed.
`python` blocks are programs. A comment on the line before a block may say what is special about it:

    <!-- not run: WHY -->           nobody runs it
    <!-- with NAME: WHY -->         it needs something besides, which `rig/surroundings.py` has; those of a page that
                                    need the same are a session of their own, skipped where it is not to be had
    <!-- file: PATH -->             it is the content of this file
    <!-- exits with NUMBER -->      the command fails, as the page says

A page that says `<!-- needs: NAME NAME -->` is skipped where one of these packages cannot be imported.

A service that a page starts runs until the next one or the page's end. A page that calls one and starts none has one
running, with a trained model, which every page has unless it says `<!-- starts without a model -->`.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from sample.settings import Settings

from rig.sample import PROJECT
from rig.surroundings import SURROUNDINGS
from rig.terminal import NAME, Terminal, recipe

PAGES = sorted([*PROJECT.glob("docs/**/*.md"), PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"])
NOT_RUN = 0
"""Blocks that are not run. Count again when you add one, and think twice."""
SHOWN_ONLY = {"text", "json", "ini", "nginx"}
SERVES = re.compile(rf"^(make|{NAME}) serve\b|^uvicorn ")
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
        place = f"{page.relative_to(PROJECT)}:{line}"
        if found["language"].startswith("{"):
            continue
        yield Block(place, found["language"].strip(), found["content"], found["note"] or "")


def commands(console: str) -> Iterator[Command]:
    """Split a console block into commands and what they answer."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        last = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
        yield Command("\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :]))


def matches(answer: str, shown: str) -> bool:
    """Tell whether an answer is what a page shows, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part.strip("\n")) for part in shown.split("..."))
    return bool(re.fullmatch(rf"\s*{pattern}\s*", answer, re.DOTALL))


def needed(block: Block) -> str:
    """Return the name of what a block needs besides the project."""
    found = re.match(r"with ([\w-]+)", block.note)
    return found[1] if found else ""


SESSIONS = [(page, name) for page in PAGES for name in sorted({needed(block) for block in blocks(page)})]


@pytest.mark.parametrize(
    "page", [page for page, name in SESSIONS if not name], ids=lambda p: str(p.relative_to(PROJECT))
)
def test_what_a_page_shows_happens(page: Path, tmp_path: Path, trained: Settings) -> None:
    text = page.read_text(encoding="utf-8")
    packages = [name for names in NEEDS.findall(text) for name in names.split()]
    if missing := [name for name in packages if find_spec(name) is None]:
        pytest.skip(f"{page.name} needs {', '.join(missing)}, which is not installed")
    models = None if "<!-- starts without a model -->" in text else trained.models_dir
    with closing(Terminal(tmp_path / "project", models)) as terminal:
        run_session([block for block in blocks(page) if not needed(block)], terminal, tmp_path / "project")


@pytest.mark.parametrize(
    ("page", "name"),
    [pytest.param(page, name, id=f"{page.relative_to(PROJECT)}-{name}") for page, name in SESSIONS if name],
)
def test_what_a_page_shows_with_more_happens(page: Path, name: str, tmp_path: Path, trained: Settings) -> None:
    with SURROUNDINGS[name]() as there, closing(Terminal(tmp_path / "project", trained.models_dir, there)) as terminal:
        session = []
        for block in blocks(page):
            if needed(block) == name or block.note.startswith("file: "):
                content = block.content
                for shown, real in there.instead.items():
                    content = content.replace(shown, real)
                session.append(block._replace(content=content))
        run_session(session, terminal, tmp_path / "project")


def run_session(session: list[Block], terminal: Terminal, folder: Path) -> None:
    """Do what the blocks of a page say, with a service where they call one."""
    needs_worker = any("/train" in block.content or "/jobs" in block.content for block in session)
    if terminal.whole and any(f"{NAME} " in block.content for block in session):
        code, answer = terminal.run("uv sync --quiet --locked --no-default-groups --group train")
        assert code == 0, answer
    for block in session:
        calls = "localhost:8443" in block.content or f"'{NAME} serve'" in block.content
        if calls and "file:" not in block.note and needed(block) != "docker" and not terminal.serves:
            terminal.serve(f"{NAME} serve" if needs_worker else f"{NAME} serve --no-worker")
        run_block(block, terminal, folder)


def run_block(block: Block, terminal: Terminal, folder: Path) -> None:
    """Do what a block says and compare what happens with what it shows."""
    # Ours, and not the port inside a container, which follows a colon.
    content = re.sub(r"(?<=localhost:)8443|(?<!:)8443", str(terminal.port), block.content)
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
            text = command.text if terminal.whole else recipe(command.text)
            if SERVES.match(command.text) and not expected:
                terminal.serve(text)
                continue
            code, answer = terminal.run(text)
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


def test_what_blocks_need_besides_is_known() -> None:
    noted = [block.note for page in PAGES for block in blocks(page) if block.note.startswith("with ")]
    assert [note for note in noted if not re.fullmatch(rf"with ({'|'.join(SURROUNDINGS)}): \w.*", note)] == []


def test_few_blocks_are_not_run() -> None:
    notes = [
        f"{block.place} {block.note}" for page in PAGES for block in blocks(page) if block.note.startswith("not run")
    ]
    assert all(re.search(r"not run: \w+", note) for note in notes), "say why it is not run"
    assert len(notes) == NOT_RUN, "\n".join(notes)
