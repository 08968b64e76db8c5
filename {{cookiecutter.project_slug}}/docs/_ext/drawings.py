"""Figures of the champion and diagrams of the service, drawn at each build for light and dark screens and for print."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from canvas import DARK, LIGHT, Colours
from figures import FIGURES
from languages import current
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from project import DOCS
from sphinx.locale import _ as tr

mpl.rcParams.update(
    {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "the same drawing gives the same file",
    }
)


def folder() -> Path:
    """Return where this language's drawings are written: inside the sources, where Sphinx looks for images."""
    return DOCS / "_build" / "drawings" / current()


def draw(name: str) -> None:
    """Write a drawing as SVG for either background, and as PDF for print."""
    folder().mkdir(parents=True, exist_ok=True)
    for scheme, colours, formats in (("light", LIGHT, ("svg", "pdf")), ("dark", DARK, ("svg",))):
        with mpl.rc_context(
            {
                "text.color": colours.ink,
                "axes.labelcolor": colours.ink,
                "axes.edgecolor": colours.faint,
                "xtick.color": colours.ink,
                "ytick.color": colours.ink,
            }
        ):
            figure = DRAWINGS[name](colours)
            for form in formats:
                date = {"svg": "Date", "pdf": "CreationDate"}[form]
                figure.savefig(
                    folder() / f"{name}-{scheme}.{form}", transparent=True, bbox_inches="tight", metadata={date: None}
                )


@dataclass(frozen=True)
class Step:
    """A box of a diagram: what happens, in which module of the library, and what may end the way here."""

    title: str
    where: str
    exit: str = ""


PREDICTION = [
    Step(tr("Request arrives"), "uvicorn, HTTPS"),
    Step(tr("Body within its limit?"), "api/limits.py", "413 too large"),
    Step(tr("Key good for predicting?"), "api/auth.py", "401 not authenticated\n403 not allowed"),
    Step(
        tr("Values as Features say?"), "api/body.py, serving/prediction.py", "400 malformed request\n422 invalid input"
    ),
    Step(tr("A version serves?"), "serving/champion.py", "503 model not ready"),
    Step(tr("Matrix of float32"), "ml/features.py"),
    Step(tr("Model computes"), "ml/onnx.py, onnxruntime", "500 prediction overflow"),
    Step(tr("Answer names the version"), "serving/prediction.py"),
]

TRAINING = [
    Step(tr("Examples are read"), tr("dataset(), checked by digest"), tr("job fails")),
    Step(tr("A fifth is held back"), "ml/examples.py: split"),
    Step(tr("Estimator is fitted"), "build()"),
    Step(tr("Export to ONNX"), "ml/export.py"),
    Step(tr("Parity gate"), tr("export equal to original?"), tr("job fails,\nnothing is published")),
    Step(tr("Version is published"), "serving/registry.py"),
    Step(tr("Quality gate"), tr("not worse than the champion?"), tr("version is kept,\ndoes not serve")),
    Step(tr("Version is promoted"), tr("champion.json is replaced")),
    Step(tr("Serving processes swap"), "serving/champion.py"),
]


def diagram(steps: Sequence[Step]) -> Callable[[Colours], Figure]:
    """Return a function that draws steps from top to bottom, and to the right where the way may end."""
    box, height, pitch = 2.75, 0.5, 0.78

    def drawn(colours: Colours) -> Figure:
        figure = Figure(figsize=(4.7, pitch * len(steps)))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, 4.7), ylim=(-pitch * len(steps) + pitch - height, height / 2 + 0.1))
        axes.axis("off")
        arrow = {"arrowstyle": "-|>", "color": colours.faint, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        for number, step in enumerate(steps):
            y = -pitch * number
            axes.add_patch(
                FancyBboxPatch(
                    (0.06, y - height / 2),
                    box,
                    height,
                    boxstyle="round,pad=0,rounding_size=0.08",
                    facecolor=colours.box,
                    edgecolor=colours.accent,
                    linewidth=1.2,
                )
            )
            axes.text(0.06 + box / 2, y + 0.09, step.title, ha="center", va="center", fontsize=10, fontweight="bold")
            axes.text(0.06 + box / 2, y - 0.11, step.where, ha="center", va="center", fontsize=8, color=colours.faint)
            if number:
                top = y + height / 2
                axes.annotate("", (0.06 + box / 2, top), (0.06 + box / 2, top + pitch - height), arrowprops=arrow)
            if step.exit:
                axes.annotate("", (box + 0.4, y), (box + 0.06, y), arrowprops=arrow)
                axes.text(box + 0.46, y, step.exit, va="center", fontsize=8.5)
        return figure

    return drawn


DRAWINGS: dict[str, Callable[[Colours], Figure]] = {
    **FIGURES,
    "prediction": diagram(PREDICTION),
    "training": diagram(TRAINING),
}
"""What the directive `drawing` can draw, by name."""
