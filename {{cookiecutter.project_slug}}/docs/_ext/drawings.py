"""Figures of the champion and diagrams of the service, drawn at each build for light and dark screens and for print."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import model_card
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from project import DOCS, load

FOLDER = DOCS / "_build" / "drawings"
"""Where the drawings are written: inside the sources, where Sphinx looks for images."""

BINS = 5
SHUFFLES = 50
MOST_ROWS = 5_000
"""Rows at most that the shuffles are tried on, so that a big test set does not hold up the build."""
HALF = 0.5


@dataclass(frozen=True)
class Colours:
    """What is drawn with on one kind of background."""

    ink: str
    faint: str
    accent: str
    box: str
    scale: tuple[str, str]
    on_full: str


LIGHT = Colours(
    ink="#1f2328", faint="#59636e", accent="#0b5cad", box="#eef4fb", scale=("#f3f7fc", "#0b5cad"), on_full="#ffffff"
)
DARK = Colours(
    ink="#e6e9ed", faint="#a5aeb8", accent="#7ab8ff", box="#1d2733", scale=("#1a2028", "#4f9cf0"), on_full="#0b1016"
)

mpl.rcParams.update(
    {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "the same drawing gives the same file",
    }
)


def draw(name: str) -> None:
    """Write a drawing as SVG for either background, and as PDF for print."""
    FOLDER.mkdir(parents=True, exist_ok=True)
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
                    FOLDER / f"{name}-{scheme}.{form}", transparent=True, bbox_inches="tight", metadata={date: None}
                )


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def confusion(colours: Colours) -> Figure:
    """Draw how often each class was taken for each class."""
    _, manifest = model_card.champion()
    counts = np.array(manifest.confusion)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    side = max(3.4, 0.75 * len(counts) + 1.2)
    figure, axes = _axes(side, side * 0.88)
    shades = mpl.colors.LinearSegmentedColormap.from_list("shades", colours.scale)
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        full = shares[row, column] > HALF
        colour = colours.on_full if full else colours.ink
        axes.text(column, row, str(count), ha="center", va="center", color=colour, fontweight="bold")
    places = range(len(counts))
    axes.set(xticks=places, xticklabels=manifest.labels, yticks=places, yticklabels=manifest.labels)
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def calibration(colours: Colours) -> Figure:
    """Draw how often the model is right against how sure it says it is."""
    held_back, exported = model_card.evaluation()
    answer = exported.predict(held_back.X)
    sure, right = answer.probability.max(axis=1), answer.index == held_back.y
    edges = np.linspace(1 / answer.probability.shape[1], 1, BINS + 1)
    place = np.clip(np.digitize(sure, edges) - 1, 0, BINS - 1)
    figure, axes = _axes(4.2, 3.5)
    axes.plot([edges[0], 1], [edges[0], 1], color=colours.faint, linestyle=(0, (4, 4)), linewidth=1)
    faint = {"color": colours.faint, "fontsize": 8.5}
    axes.annotate("as sure as right", (edges[2], edges[2]), (6, -10), textcoords="offset points", **faint)
    for number in range(BINS):
        inside = place == number
        if inside.any():
            _whisker(axes, float(sure[inside].mean()), int(right[inside].sum()), int(inside.sum()), colours)
    axes.set(xlabel="probability of the predicted class", ylabel="share of right answers")
    axes.set(xlim=(edges[0] - 0.03, 1.05), ylim=(-0.03, 1.09))
    return figure


def _whisker(axes: Axes, sure: float, right: int, rows: int, colours: Colours) -> None:
    """Draw a group's share of right answers with its 95 % interval (Wilson, 1927)."""
    share, z = right / rows, 1.96
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    axes.plot([sure, sure], [centre - half, centre + half], color=colours.accent, linewidth=2, alpha=0.55)
    axes.plot([sure], [share], "o", color=colours.accent, markersize=7)
    axes.annotate(f"{rows} rows", (sure, share), (-7, 7), textcoords="offset points", ha="right", fontsize=8.5)


def importance(colours: Colours) -> Figure:
    """Draw how much worse the model gets when one feature's values are shuffled among the rows."""
    evaluation = load("ml.evaluation")
    held_back, exported = model_card.evaluation()
    names = load("ml").Model.Features.names()
    random = np.random.default_rng(0)

    X, y = held_back.X[:MOST_ROWS], held_back.y[:MOST_ROWS]

    def score(rows: Any) -> float:
        return float(evaluation.evaluate(exported.predict(rows), y)[evaluation.SCORE])

    whole = score(X)
    losses = np.zeros((len(names), SHUFFLES))
    for column, trial in np.ndindex(losses.shape):
        shuffled = X.copy()
        random.shuffle(shuffled[:, column])
        losses[column, trial] = whole - score(shuffled)
    order = losses.mean(axis=1).argsort()[-20:]
    figure, axes = _axes(4.8, 0.42 * len(order) + 1)
    axes.barh(
        [names[i].replace("_", " ") for i in order],
        losses[order].mean(axis=1),
        xerr=losses[order].std(axis=1),
        color=colours.accent,
        error_kw={"ecolor": colours.ink, "linewidth": 1, "capsize": 3},
        height=0.55,
    )
    axes.axvline(0, color=colours.faint, linewidth=1)
    axes.set_xlabel(f"loss of {evaluation.SCORE.replace('_', ' ')} (0 to 1)")
    axes.tick_params(axis="y", length=0)
    return figure


@dataclass(frozen=True)
class Step:
    """A box of a diagram: what happens, in which part of the code, and what may end the way here."""

    title: str
    where: str
    exit: str = ""


PREDICTION = [
    Step("Request arrives", "uvicorn, HTTPS"),
    Step("Body within its limit?", "api/limits.py", "413 too large"),
    Step("Key good for predicting?", "api/auth.py", "401 not authenticated\n403 not allowed"),
    Step("Values as Features say?", "api/body.py, serving/prediction.py", "400 malformed request\n422 invalid input"),
    Step("A version serves?", "serving/champion.py", "503 model not ready"),
    Step("Matrix of float32", "ml/features.py"),
    Step("Model computes", "ml/onnx.py, onnxruntime", "500 prediction overflow"),
    Step("Answer names the version", "serving/prediction.py"),
]

TRAINING = [
    Step("Examples are read", "dataset(), checked by digest", "job fails"),
    Step("A fifth is held back", "ml/training.py: split"),
    Step("Estimator is fitted", "build()"),
    Step("Export to ONNX", "ml/export.py"),
    Step("Parity gate", "export equal to original?", "job fails,\nnothing is published"),
    Step("Version is published", "serving/registry.py"),
    Step("Quality gate", "not worse than the champion?", "version is kept,\ndoes not serve"),
    Step("Version is promoted", "champion.json is replaced"),
    Step("Serving processes swap", "serving/champion.py"),
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
    "confusion": confusion,
    "calibration": calibration,
    "importance": importance,
    "prediction": diagram(PREDICTION),
    "training": diagram(TRAINING),
}
"""What the directive `drawing` can draw, by name."""
