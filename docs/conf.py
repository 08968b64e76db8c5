"""How the handbook is built."""

from mlapi import __version__

project = "MLAPI Template"
author = "The MLAPI Template authors"
project_copyright = f"2026, {author}"
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = project
