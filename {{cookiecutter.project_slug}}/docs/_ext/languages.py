"""The site in more than one language: catalogues, a switch between them, and a figure of what is not translated yet.

The pages are written in English. Each folder `docs/locale/<language>` holds the catalogues of another language: one for
each page, and `sphinx.po` for the words that the theme and these extensions add. `make docs` builds each language into
a folder of its own, below the English pages. What comes from the code (docstrings, help texts) is English everywhere,
marked as such, and not counted.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from babel import Locale
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from docutils import nodes
from jinja2.ext import babel_extract
from project import ABOUT, DOCS
from sphinx.application import Sphinx
from sphinx.builders.gettext import MsgOrigin
from sphinx.environment import BuildEnvironment
from sphinx.locale import _ as tr
from sphinx.locale import get_translator
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.nodes import extract_messages

log = logging.getLogger(__name__)

ORIGINAL = "en"
"""The language that the pages and the code are written in."""
CATALOGUES = DOCS / "locale"
OWN = "sphinx"
"""Name of the catalogue that holds the words of the theme and of these extensions; Sphinx's own are its fallback."""
MESSAGES, QUOTES = "messages", "quotes"
"""What is noted of each page: the messages on it, and whether it quotes the code."""
MOST_PAGES = 5
COLON = '<span class="colon">:</span>'
"""What stands after the name of a fact."""


class Edition(NamedTuple):
    """The same page in one of the languages."""

    code: str
    """The language's code, such as `fr`."""
    name: str
    """What the language calls itself."""
    path: str
    """Where the page is, seen from the page that is shown."""
    address: str
    """Where it is published."""


def codes() -> list[str]:
    """Return the codes of the languages that the site is built in, the original first."""
    return [ORIGINAL, *sorted(folder.name for folder in CATALOGUES.glob("*") if folder.is_dir())]


def current() -> str:
    """Return the language of this build, from the catalogue that Sphinx has loaded for it."""
    return get_translator().info().get("language", ORIGINAL)


def number(value: float, pattern: str | None = None) -> str:
    """Write a number as people of this build's language do; a pattern such as `0.000` says how precisely."""
    return str(format_decimal(value, pattern, locale=current()))


def published(language: str) -> str:
    """Return the address below which a language's pages are published."""
    return f"{ABOUT.documentation}/" + ("" if language == ORIGINAL else f"{language}/")


def configure(_app: Sphinx, config: Any) -> None:
    """Say where this language's pages are published, so that search engines prefer them to those of old versions."""
    config.html_baseurl = published(config.language)


def offer(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Hand the page in each language to the templates, and let a translation be edited where it is written."""
    here = app.config.language
    if "body" in context:
        context["body"] = context["body"].replace(COLON, COLON.replace(":", tr(":")))  # some languages set it apart
    up = "../" * (page.count("/") + (here != ORIGINAL))
    file = app.builder.get_target_uri(page)
    context["editions"] = [
        Edition(
            code,
            Locale.parse(code).get_display_name(code).capitalize(),
            up + ("" if code == ORIGINAL else f"{code}/") + file,
            published(code) + file,
        )
        for code in codes()
    ]
    if here != ORIGINAL and "page_source_suffix" in context:
        context["page_source_suffix"] = ".po"
        link = context["theme_source_edit_link"]
        context["theme_source_edit_link"] = link.replace("{filename}", f"locale/{here}/LC_MESSAGES/{{filename}}")


def leave_original(written: Iterable[nodes.Node]) -> None:
    """Keep what is written from the code out of the catalogues."""
    for node in written:
        if isinstance(node, nodes.TextElement) and ("translatable" in node or not isinstance(node, nodes.Inline)):
            node["translatable"] = False


def quote(env: BuildEnvironment, quoted: Iterable[nodes.Node]) -> None:
    """Mark parts that quote the code as English, and have the page say that there are some."""
    if env.config.language != ORIGINAL:
        env.metadata[env.docname][QUOTES] = True
        for node in quoted:
            if isinstance(node, nodes.table):  # the last column quotes, the others have names and numbers
                cells = [row[-1] for row in node.findall(nodes.row) if isinstance(row.parent, nodes.tbody)]
                mark(*cells)
            elif isinstance(node, nodes.Element) and not isinstance(node, nodes.field_list):
                mark(node)


def mark(*parts: nodes.Element) -> None:
    """Give nodes the class that becomes their `lang` attribute, so that they are pronounced as English (WCAG 3.1.2)."""
    for node in parts:
        node["classes"].append(f"language-{ORIGINAL}")


class Remember(SphinxTransform):
    """Note which messages a page has, before they are translated."""

    default_priority = 15  # the translation is at 20

    def apply(self, **_: Any) -> None:
        """Keep the messages with the page."""
        front_matter = [part for part in self.document if isinstance(part, nodes.docinfo | nodes.field_list)]
        aside = {id(node) for part in front_matter for node in part.findall()}
        found = dict.fromkeys(text for node, text in extract_messages(self.document) if id(node) not in aside)
        self.env.metadata[self.env.docname][MESSAGES] = list(found)


class MarkOriginal(SphinxTransform):
    """Mark what is not translated yet as English, and say at the top of a page that it quotes the code."""

    default_priority = 950  # after everything that moves nodes

    def apply(self, **_: Any) -> None:
        """Change the page, unless it is the original."""
        if self.config.language == ORIGINAL:
            return
        known = translated(self.config.language, self.env.docname)
        for node in self.document.findall(nodes.Element):
            if node.get("translated") is False and " ".join(node.rawsource.split()) not in known:
                mark(node)
        title = next(self.document.findall(nodes.title), None)
        if title is not None and QUOTES in self.env.metadata[self.env.docname]:
            text = tr("What this page quotes from the code is in English.")
            title.parent.insert(1, nodes.note("", nodes.paragraph("", text)))


@cache
def own_words() -> list[str]:
    """Return the words that these extensions, our templates and the theme add to the pages."""
    furo = find_spec("furo")
    code, theme = Path(__file__).parent, Path(str(furo and furo.origin)).parent / "theme"
    found = list(extract_from_dir(code, [("**.py", "python")], keywords={"tr": None}))
    for templates in (DOCS / "_templates", theme):
        found += extract_from_dir(templates, [("**.html", babel_extract)])
    return sorted({message for _, _, message, _, _ in found if isinstance(message, str)})


def place_own_words(app: Sphinx) -> None:
    """Put our own words into their catalogue when catalogues are made, and into the PDF, whose heading is ours."""
    if app.builder.name == "latex":
        context, heading = app.builder.context, tr("Contents")
        context["tableofcontents"] = context["tableofcontents"].replace("{Contents}", f"{{{heading}}}")
    if app.builder.name == "gettext":
        for message in own_words():
            app.builder.catalogs[OWN].add(message, MsgOrigin("", 0))


@cache
def translated(language: str, name: str) -> set[str]:
    """Return the messages that a catalogue translates; there may be no such catalogue."""
    path = CATALOGUES / language / "LC_MESSAGES" / f"{name}.po"
    if not path.is_file():
        return set()
    with path.open("rb") as file:
        return {str(message.id) for message in read_po(file) if message.id and message.string and not message.fuzzy}


def missing(app: Sphinx) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each catalogue, how many messages it should have and how many of them are not translated."""
    wanted = {page: app.env.metadata[page].get(MESSAGES, []) for page in sorted(app.env.found_docs)}
    for name, messages in {OWN: own_words(), **wanted}.items():
        known = translated(app.config.language, name)
        yield name, len(messages), len([message for message in messages if message not in known])


def report(app: Sphinx, error: Exception | None) -> None:
    """Say how much of the site is translated, and where most is missing. It is a figure, not a fault."""
    if error is not None or app.config.language == ORIGINAL or app.builder.name == "gettext":
        return
    counted = list(missing(app))
    total, lacking = (sum(numbers) for numbers in list(zip(*counted, strict=True))[1:])
    name = Locale.parse(app.config.language).get_display_name(ORIGINAL)
    done = total - lacking
    log.info("%s: %d of %d messages translated (%.1f %%)", name, done, total, 100 * done / total)
    for page, _, number_ in sorted(counted, key=lambda entry: -entry[2])[:MOST_PAGES]:
        if number_:
            log.info("  %d missing in docs/locale/%s/LC_MESSAGES/%s.po", number_, app.config.language, page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what languages need."""
    app.connect("config-inited", configure)
    app.connect("builder-inited", place_own_words)
    app.connect("html-page-context", offer)
    app.connect("build-finished", report)
    app.add_transform(Remember)
    app.add_transform(MarkOriginal)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
