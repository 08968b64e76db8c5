"""The captions in the navigation get the level that their role of heading asks for (WCAG 4.1.2)."""

from typing import Any

from sphinx.application import Sphinx


def name_levels(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:  # noqa: ANN401
    """Add the level to the theme's navigation."""
    if "furo_navigation_tree" in context:
        tree = context["furo_navigation_tree"]
        context["furo_navigation_tree"] = tree.replace('role="heading">', 'role="heading" aria-level="2">')


def setup(app: Sphinx) -> dict[str, bool]:
    """Come after the theme, which writes the navigation."""
    app.connect("html-page-context", name_levels, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
