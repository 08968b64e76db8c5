"""Bring the translations that the template ships up to date with its pages: `make catalogues`.

A project with recognisable answers is generated for each problem, its messages are collected, and the answers in them
become Jinja again. Translations are kept; one whose message has changed is marked as fuzzy, so it is not shown until
somebody has looked at it. What is written from the code is not translated, so nothing has to be installed.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po

from mlapi_template.template import answered, generate, load

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
ANSWERS = {
    "project_name": "Zqname",
    "project_slug": "zqslug",
    "package_name": "zqpackage",
    "description": "Zqdescription.",
    "author_name": "Zqauthor",
    "author_email": "zq@example.org",
    "repository_url": "https://gitlab.com/zqgroup/zqproject",
    "docs_languages": "en+fr",
}
"""Answers that occur nowhere else in a project."""
JINJA = {
    "Zqname": "{{ cookiecutter.__project_name }}",
    "zqslug": "{{ cookiecutter.project_slug }}",
    "ZQPACKAGE": "{{ cookiecutter.package_name | upper }}",
    "zqpackage": "{{ cookiecutter.package_name }}",
    "Zqdescription.": "{{ cookiecutter.__description }}",
    "Zqauthor": "{{ cookiecutter.__author_name }}",
    "zq@example.org": "{{ cookiecutter.author_email }}",
    "https://gitlab.com/zqgroup/zqproject": "{{ cookiecutter.repository_url }}",
    "https://zqgroup.gitlab.io/zqproject": "{{ cookiecutter.__documentation_url }}",
}
"""What each of them is in the template. Those that begin with underscores have their quotes escaped."""
HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
STAND_INS = '''
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective, is_directive_registered


class StandIn(SphinxDirective):
    """A part that is written from the code: only its description and its caption are to be translated."""

    optional_arguments, final_argument_whitespace, has_content = 1, True, True
    option_spec = {"alt": directives.unchanged}

    def run(self):
        if "alt" not in self.options:
            return []
        text = " ".join(self.content)
        caption = nodes.caption(text, "", *self.parse_inline(text)[0])
        self.set_source_info(caption)
        return [nodes.figure("", nodes.image(uri="https://", alt=self.options["alt"]), caption)]


def setup(app):
    for page in Path(app.srcdir).rglob("*.md"):
        for name in re.findall(r"(?m)^ *`{3,}[{]([a-z-]+)[}]", page.read_text(encoding="utf-8")):
            if not is_directive_registered(name) and name not in directives._directive_registry:
                app.add_directive(name, StandIn)
'''


def main() -> None:
    """Update every catalogue, remove those of pages that are gone, and say how much is translated."""
    wanted = messages()
    for language in sorted(folder.name for folder in (PROJECT / "docs" / "locale").iterdir()):
        places = {place(name, language): found for name, found in wanted.items()}
        for path in set(PROJECT.rglob(f"docs/locale/{language}/**/*.po")) - set(places):
            path.unlink()
        lacking = {}
        for path, found in places.items():
            catalogue = updated(path, found, language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(written(catalogue, language), encoding="utf-8", newline="\n")
            lacking[path] = sum(not done for done in translated(catalogue))
        total = sum(map(len, wanted.values()))
        print(f"{language}: {total - sum(lacking.values())} of {total} messages translated")
        for path, number in sorted(lacking.items(), key=lambda item: -item[1]):
            if number:
                print(f"  {number} missing in {path.relative_to(PROJECT)}")


def place(name: str, language: str) -> Path:
    """Return where a catalogue is, such as `tutorial`, or `problems/regression/markdown/model`: beside its page."""
    parts = Path(name).parts
    example, page = (parts[:2], parts[2:]) if parts[0] == "problems" else ((), parts)
    return PROJECT.joinpath(*example, "docs", "locale", language, "LC_MESSAGES", *page).with_suffix(".po")


def messages() -> dict[str, list[str]]:
    """Return the messages of every page of every kind of project by the name of their catalogue, with Jinja in them."""
    template = load()
    found: dict[str, list[str]] = {}
    for problem in template.questions["problem"].choices:
        example = f"problems/{problem}"
        with tempfile.TemporaryDirectory(prefix="catalogues-") as folder:
            answers = answered(template, ANSWERS | {"problem": problem}, lambda _, default: default)
            project = generate(template, answers, Path(folder))
            for name, page in collected(project, Path(folder)):
                own = (PROJECT / example / "docs" / f"{name}.md").is_file()
                known = found.setdefault(f"{example}/{name}" if own else name, [])
                known.extend(message for message in page if message not in known)
    return dict(sorted(found.items()))


def collected(project: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Collect the messages of a project, with Sphinx, and with stand-ins for what is written from the code."""
    (folder / "stand_ins.py").write_text(STAND_INS, encoding="utf-8")
    installed = folder / f"{project.name}-0.dist-info" / "METADATA"  # the project asks for its version
    installed.parent.mkdir()
    installed.write_text(f"Metadata-Version: 2.1\nName: {project.name}\nVersion: 0\n", encoding="utf-8")
    options = "-D", "extensions=myst_parser,languages,stand_ins", "-D", "suppress_warnings=ref,myst.xref_missing"
    output = folder / "messages"
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "gettext", *options, project / "docs", output],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (project / "src", folder)))},
        check=True,
    )
    for path in sorted(output.rglob("*.pot")):
        with path.open("rb") as file:
            catalogue = read_po(file)
        yield (
            path.relative_to(output).with_suffix("").as_posix(),
            [as_jinja(str(message.id)) for message in catalogue if message.id],
        )


def as_jinja(message: str) -> str:
    """Return a message of the project with its answers as the template spells them."""
    return re.sub("|".join(map(re.escape, JINJA)), lambda answer: JINJA[answer[0]], message)


def updated(path: Path, wanted: list[str], language: str) -> Catalog:
    """Return a catalogue with exactly the wanted messages and the translations that it had."""
    template = Catalog()
    for message in wanted:
        template.add(message)
    if not path.is_file():
        template.locale = language
        return template
    catalogue = read(path)
    catalogue.update(template)
    return catalogue


def read(path: Path) -> Catalog:
    """Read a catalogue, also one of the template, whose Jinja is only text here."""
    with path.open("rb") as file:
        return read_po(file, abort_invalid=True)


def written(catalogue: Catalog, language: str) -> str:
    """Write a catalogue with a message on each line, however long: names of any length must not move line breaks."""
    text = BytesIO()
    write_po(text, catalogue, width=0, omit_header=True, ignore_obsolete=True)
    return HEADER.format(language=language) + text.getvalue().decode("utf-8").strip() + "\n"


def translated(catalogue: Catalog) -> Iterator[bool]:
    """Tell of each message whether it is translated."""
    return (bool(message.string) and not message.fuzzy for message in catalogue if message.id)


if __name__ == "__main__":
    main()
