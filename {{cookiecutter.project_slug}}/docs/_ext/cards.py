"""What other sites show of a page when somebody posts a link to it: a title, a first sentence, a picture."""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from canvas import LIGHT
from docutils import nodes
from languages import published
from matplotlib.figure import Figure
from project import ABOUT, VERSION
from sphinx.application import Sphinx

PICTURE = "card.png"
SIZE = (12.0, 6.3)
"""Width and height of the picture, in hundreds of pixels: what the sites that show it ask for."""
LONGEST = 200
"""Characters of the longest description."""


class Card(NamedTuple):
    """What is told of a page."""

    title: str
    description: str
    address: str
    picture: str
    language: str


def tell(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Hand a page's card to the templates. The original's picture serves every language."""
    language = app.config.language
    first = next(doctree.findall(nodes.paragraph), None) if doctree else None
    text = " ".join(first.astext().split()) if first else ABOUT.description
    context["card"] = Card(
        title=context.get("title") or ABOUT.name,
        description=textwrap.shorten(text, LONGEST, placeholder=" …"),
        address=published(language) + app.builder.get_target_uri(page),
        picture=f"{published('en')}_static/{PICTURE}",
        language=language,
    )


def draw(app: Sphinx, failure: Exception | None) -> None:
    """Draw the picture: what the service is called, and what it does."""
    if failure is not None or app.builder.format != "html" or app.config.language != "en":
        return
    figure = Figure(figsize=SIZE, facecolor=LIGHT.accent)
    figure.text(0.08, 0.70, _wrapped(ABOUT.name, 26), color="white", fontsize=52, fontweight="bold", va="center")
    figure.text(0.08, 0.40, _wrapped(ABOUT.description, 46), color="white", fontsize=28, va="center", linespacing=1.5)
    figure.text(0.08, 0.10, f"{ABOUT.documentation.partition('://')[2]}    {VERSION}", color="white", fontsize=18)
    figure.savefig(Path(app.outdir) / "_static" / PICTURE, dpi=100, metadata={"Software": None})


def _wrapped(text: str, width: int) -> str:
    """Break a text into three lines at most. A dollar sign would begin a formula."""
    return "\n".join(textwrap.wrap(text.replace("$", r"\$"), width, max_lines=3, placeholder=" …"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", tell)
    app.connect("build-finished", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
