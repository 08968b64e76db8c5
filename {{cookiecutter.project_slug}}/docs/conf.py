"""How the documentation site is built (`make docs`). Its name and version come from the project."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from project import ABOUT, VERSION
from sphinx.util import texescape

# What is published
project = ABOUT.name
author = ABOUT.author
copyright = f"%Y, {author}"  # noqa: A001 - Sphinx asks for this name
version = release = VERSION
exclude_patterns = ["_build", "_ext"]

# In which languages: English, and what has catalogues in `locale` (see how-to/translate.md)
language = "en"
locale_dirs = ["locale"]
gettext_compact = False  # a catalogue for each page
gettext_location = False

# How it is read
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "cards",
    "languages",
    "mathml",
    "site_pages",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist", "substitution"]
myst_heading_anchors = 3
default_role = "literal"
nitpicky = True
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"

# The Python reference: docstrings in Google's style; types stand in the signature
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True, "exclude-members": "model_config"}
autodoc_typehints_format = "short"
autodoc_type_aliases = {"Settings": "mlapi.settings.Settings"}

# The site in HTML: nothing is requested from another host
html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_favicon = html_logo = "_static/favicon.svg"
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
_edit = "edit" if "github.com" in ABOUT.repository else "-/edit"
html_theme_options = {"source_edit_link": f"{ABOUT.repository}/{_edit}/main/docs/{{filename}}"}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

# The PDF: `make docs-pdf`
latex_engine = "xelatex"
latex_use_xindy = False
latex_show_urls = "footnote"
texescape.init()
_title, _author = (texescape.escape(text, latex_engine) for text in (project, author))
latex_documents = [("index", f"{ABOUT.slug}.tex", _title, _author, "manual", True)]
latex_elements = {
    "papersize": "a4paper",
    "extraclassoptions": "openany,oneside",
    "tableofcontents": r"\renewcommand{\contentsname}{Contents}\sphinxtableofcontents",
    # A chapter begins with its title, not with a third of a page, and columns are as wide as the names in them. No
    # language's rules put a space where none is written: 13:46.
    "fncychap": "",
    "preamble": r"""
\titleformat{\chapter}{\sffamily\bfseries\huge}{\thechapter}{0.8em}{}
\titlespacing*{\chapter}{0pt}{-1em}{1em}
\setlength{\tymin}{80pt}
\AtBeginDocument{\XeTeXinterchartokenstate=0}
""",
    "printindex": r"\footnotesize\raggedright\printindex",
    "fontpkg": r"\setmainfont{DejaVu Serif}\setsansfont{DejaVu Sans}\setmonofont[Scale=0.85]{DejaVu Sans Mono}",
    "sphinxsetup": "verbatimwithframe=false, VerbatimColor={RGB}{245,246,248}",
}
