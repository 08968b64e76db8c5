"""What these pages can say beyond Markdown: parts written from the code, the model and its figures.

Every part checks what it shows, and whatever has no explanation stops the build, which treats warnings as errors.
"""

import inspect
import json
from collections.abc import Callable, Collection, Iterable
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, get_args, get_origin

import docstrings
import drawings
import http_api
import languages
import model_card
import reference
from docutils import nodes
from docutils.parsers.rst import directives
from project import DOCS, LIBRARY, PACKAGE, Undocumented, modules
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

log = logging.getLogger(__name__)

LONGEST_VALUE = 160
"""Characters of the longest value of a constant that is shown."""


class Collecting:
    """Whether this build only collects what is to be translated. The code's text is not, so no model is needed."""

    now = False


class Written(SphinxDirective):
    """A part of a page that `write` makes as Markdown, given the directive's argument if it takes one."""

    write: ClassVar[Callable[..., str]]
    quotes: ClassVar[Collection[str] | None]
    """With which arguments it quotes docstrings and help texts, which are English in every language; None for all."""

    def run(self) -> list[nodes.Node]:
        """Return the part's nodes, and warn about what is not explained."""
        if Collecting.now:
            return []
        self.env.note_reread()  # it may change though the page does not
        try:
            text = type(self).write(*self.arguments)
        except Undocumented as error:
            log.warning("%s", error, location=self.get_location())
            text = error.written
        document = self.state.document
        known = {id(node) for node in document.findall()}
        parts = self.parse_text_to_nodes(text, allow_section_headings=True)
        # A part that is a section stands in the document already.
        fresh = [node for root in (document, *parts) for node in root.findall() if id(node) not in known]
        languages.leave_original(fresh)
        if self.quotes is None or self.arguments[0] in self.quotes:
            languages.quote(self.env, [node for node in fresh if node in parts or id(node.parent) in known])
        return parts


def written(write: Callable[..., str], arguments: int = 0, quotes: Collection[str] | None = None) -> type[Written]:
    """Return a directive for a part of a page."""
    members = {"write": staticmethod(write), "required_arguments": arguments, "quotes": quotes}
    return type(write.__name__, (Written,), members)


def module_pages(package: str) -> str:
    """Document every public name of the modules in a package, its subpackages left out."""
    parts = []
    for name in modules(package):
        # What the library lends its own name to is described where it is defined.
        options = "   :no-members:\n" if name == LIBRARY else ""
        parts.append(f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n{options}```\n")
    return "\n".join(parts)


class Drawing(SphinxDirective):
    """A figure or diagram made at this build, for light and dark screens and for print. Its content is the caption."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return a figure with one image for each way of looking at it."""
        name = self.arguments[0]
        if name not in drawings.DRAWINGS or "alt" not in self.options:
            log.warning("no drawing %r, or it has no :alt: text", name, location=self.get_location())
            return []
        self.env.note_reread()  # the champion may have changed
        try:
            if not Collecting.now:
                drawings.draw(name)
        except Undocumented as error:
            log.warning("%s", error, location=self.get_location())
            return []
        figure = nodes.figure(classes=["drawing"])
        figure += self._image(f"{name}-light.*", "only-light")
        figure += addnodes.only("", self._image(f"{name}-dark.svg", "only-dark"), expr="html")
        if self.content:
            text = " ".join(self.content)
            caption = nodes.caption(text, "", *self.parse_inline(text)[0])
            self.set_source_info(caption)  # without a source it would not be translated
            figure += caption
        return [figure]

    def _image(self, file_name: str, scheme: str) -> nodes.image:
        path = f"/{drawings.folder().relative_to(DOCS)}/{file_name}"
        image = nodes.image(uri="https://" if Collecting.now else path, alt=self.options["alt"], classes=[scheme])
        self.set_source_info(image)
        return image


def check_sources(app: Sphinx) -> None:
    """Warn of public names without docstring and of sections of the model card that nobody has filled in."""
    Collecting.now = app.builder.name == "gettext"
    if Collecting.now:
        return
    for name, docstring in docstrings.public_names().items():
        if not docstring:
            log.warning("%s has no docstring", name)
    page = DOCS / "markdown" / "model.md"
    for line, message in model_card.unfilled(page.read_text(encoding="utf-8")):
        log.warning("%s", message, location=(str(page.relative_to(DOCS).with_suffix("")), line))


def check_pages(_app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Warn of a module, a public class or function, or a problem type that no page shows."""
    if Collecting.now:
        return []
    shown = env.domains.python_domain.objects
    for name in docstrings.public_names():
        if name not in shown and name not in env.domains.python_domain.modules:
            log.warning("no page of docs/reference/python shows %s", name)
    for slug, error in reference.errors().items():
        if slug not in env.domains.standard_domain.labels:
            log.warning("%s has no section: describe it in docs/errors.md, after a line (%s)=", error.__name__, slug)
    return []


def leave_others(_app: Sphinx, _env: BuildEnvironment, node: Any, shown: nodes.Node) -> nodes.Node | None:
    """Show a name without a link, and without a warning, if it is not ours or only a type in a signature."""
    if node.get("refdomain") != "py":
        return None
    ours = str(node.get("reftarget", "")).partition(".")[0] in {PACKAGE, LIBRARY}
    place = node.parent
    while place is not None and not isinstance(place, addnodes.desc_signature):
        place = place.parent
    return shown if place is not None or not ours else None


def shorten(
    _app: Sphinx, what: str, _name: str, value: Any, _options: Any, written: str | None, answer: str | None
) -> tuple[str, str | None] | None:
    """Leave out what a reader of a signature does not need.

    A class that is made the way a library's class is made has no signature of its own: its members are listed below.
    An endpoint's parameters have plain types: how FastAPI finds their values is described in the HTTP API.
    """
    if not written:
        return None
    if what in {"class", "exception"}:
        maker = next(base for base in value.__mro__ if "__init__" in vars(base) or "__new__" in vars(base))
        return None if maker.__module__.partition(".")[0] in {PACKAGE, LIBRARY} else ("", None)
    if what == "function" and "Annotated" in written:
        signature = inspect.signature(value)
        plain = [part.replace(annotation=_bare(part.annotation)) for part in signature.parameters.values()]
        signature = signature.replace(parameters=plain)
        return stringify_signature(signature, show_return_annotation=False, unqualified_typehints=True), answer
    return None


def _bare(annotation: Any) -> Any:
    """Return a type without what is annotated to it."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if isinstance(annotation, UnionType):
        return reduce(or_, map(_bare, get_args(annotation)))
    return annotation


def read_google_style(  # noqa: PLR0913, PLR0917 - Sphinx calls it
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Understand `Args:`, `Returns:` and `Raises:`; in the docstring of a member, a colon is only a colon."""
    if what not in {"attribute", "data", "property"}:
        lines[:] = GoogleDocstring(lines, Config(), app, what, name, value, options).lines()


def tidy(_app: Sphinx, _domain: str, _kind: str, content: addnodes.desc_content) -> None:
    """Leave out what says nothing: that a class is an object, a directory of this machine, a value of many lines."""
    for paragraph in list(content.findall(nodes.paragraph)):
        if paragraph.astext() == "Bases: object":
            paragraph.parent.remove(paragraph)
    for value in list(content.parent.findall(addnodes.desc_annotation)):
        if "Path('" in value.astext() or len(value.astext()) > LONGEST_VALUE:
            value.parent.remove(value)


def name_levels(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Give the captions in the navigation the level that their role of heading asks for (WCAG 4.1.2)."""
    for part in ("furo_navigation_tree", "body"):
        if part in context:
            context[part] = context[part].replace('role="heading">', 'role="heading" aria-level="2">')


def write_openapi(app: Sphinx, error: Exception | None) -> None:
    """Put the OpenAPI document beside the pages, for programs."""
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "openapi.json").write_text(json.dumps(http_api.document(), indent=1), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the parts and the checks."""
    app.add_directive("model", written(model_card.write, 1, {"features", "hyperparameters"}))
    for name, write, arguments in [
        ("settings-list", reference.settings, 0),
        ("metrics-list", reference.metrics, 0),
        ("command-line", reference.command_line, 0),
        ("problem", reference.problem, 1),
        ("record", reference.record, 1),
        ("modules", module_pages, 1),
        ("http-operations", lambda: http_api.operations(http_api.document()), 0),
        ("http-schemas", lambda: http_api.schemas(http_api.document()), 0),
    ]:
        app.add_directive(name, written(write, arguments))
    app.add_directive("drawing", Drawing)
    app.connect("builder-inited", check_sources)
    app.connect("env-check-consistency", check_pages)
    app.connect("missing-reference", leave_others)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-process-docstring", read_google_style)
    app.connect("object-description-transform", tidy)
    app.connect("html-page-context", name_levels, priority=900)  # after the theme
    app.connect("build-finished", write_openapi)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
