"""Drift as a figure. Only the command line draws it; matplotlib is in the dependency group `plot`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .drift import Drift

COLUMNS = 3
"""Features side by side."""


def draw(found: Sequence[Drift], path: Path) -> None:
    """Draw for each feature the share of rows in each bin, in training and now.

    Raises:
        ValueError: the file's ending names no format that can be drawn.

    """
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 2.6 * rows), layout="constrained")
    for number, one in enumerate(found, 1):
        axes = figure.add_subplot(rows, COLUMNS, number)
        places = np.arange(len(one.then))
        axes.bar(places - 0.2, one.then, width=0.4, color="#9aa7b4", label="training")
        axes.bar(places + 0.2, one.now, width=0.4, color="#c0392b" if one.drifted else "#0b5cad", label="now")
        axes.set_title(f"{one.name}: PSI {one.psi:.3f} (limit {one.limit:.3f})", fontsize=10)
        axes.set_xticks(places, [*map(str, range(1, len(places))), "missing"], fontsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylabel("share of rows")
    figure.axes[0].legend(frameon=False)
    figure.supxlabel("bins of the training data")
    figure.savefig(path, dpi=150)
