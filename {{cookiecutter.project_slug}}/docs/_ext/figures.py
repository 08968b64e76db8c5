"""Figures of the champion, computed from the examples that it has not seen."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import model_card
import numpy as np
from canvas import Colours, axes_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measures import called
from project import library, load
from sphinx.locale import _ as tr

BINS = 5
TENTHS = 10
SHUFFLES = 50
MOST_ROWS = 5_000
"""Rows at most that the shuffles are tried on, so that a big test set does not hold up the build."""
HALF = 0.5
MOST_WORDS = 20_000
"""Words at most that are tried, the most frequent ones."""
SHOWN_WORDS = 12
"""Words shown for each class."""


def confusion(colours: Colours) -> Figure:
    """Draw how often each class was taken for each class."""
    model, held_back, output = load("ml").Model, *model_card.evaluation()
    counts = np.array(library("ml.classification").confusion(output, held_back.y))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    side = max(3.4, 0.75 * len(counts) + 1.2)
    figure, axes = axes_of(side, side * 0.88)
    shades = mpl.colors.LinearSegmentedColormap.from_list("shades", colours.scale)
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        full = shares[row, column] > HALF
        colour = colours.on_full if full else colours.ink
        axes.text(column, row, str(count), ha="center", va="center", color=colour, fontweight="bold")
    places = range(len(counts))
    axes.set(xticks=places, xticklabels=model.labels, yticks=places, yticklabels=model.labels)
    axes.set(xlabel=tr("predicted"), ylabel=tr("true"))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def calibration(colours: Colours) -> Figure:
    """Draw how often the model is right against how sure it says it is."""
    held_back, output = model_card.evaluation()
    sure, right = output.max(axis=1), output.argmax(axis=1) == held_back.y
    edges = np.linspace(1 / output.shape[1], 1, BINS + 1)
    group = np.clip(np.digitize(sure, edges) - 1, 0, BINS - 1)
    figure, axes = axes_of(4.2, 3.5)
    axes.plot([edges[0], 1], [edges[0], 1], color=colours.faint, linestyle=(0, (4, 4)), linewidth=1)
    faint = {"color": colours.faint, "fontsize": 8.5}
    axes.annotate(tr("as sure as right"), (edges[2], edges[2]), (6, -10), textcoords="offset points", **faint)
    for number in range(BINS):
        inside = group == number
        if inside.any():
            place, rows = float(sure[inside].mean()), int(inside.sum())
            _whisker(axes, place, int(right[inside].sum()), rows, colours)
            at, counted = (place, right[inside].mean()), tr("{rows} rows").format(rows=rows)
            axes.annotate(counted, at, (-7, 7), textcoords="offset points", ha="right", fontsize=8.5)
    axes.set(xlabel=tr("probability of the predicted class"), ylabel=tr("share of right answers"))
    axes.set(xlim=(edges[0] - 0.03, 1.05), ylim=(-0.03, 1.09))
    return figure


def _whisker(axes: Axes, place: float, right: int, rows: int, colours: Colours) -> None:
    """Draw a group's share of right answers with its 95 % interval (Wilson, 1927)."""
    share, z = right / rows, 1.96
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    axes.plot([place, place], [centre - half, centre + half], color=colours.accent, linewidth=2, alpha=0.55)
    axes.plot([place], [share], "o", color=colours.accent, markersize=7)


def predicted(colours: Colours) -> Figure:
    """Draw the true values against the predicted ones, with the prediction interval."""
    value, true, half = _values()
    figure, axes = axes_of(4.6, 4.2)
    ends = np.array([value.min(), value.max()])
    _band(axes, ends, ends, half, colours)
    _points(axes, value, true, np.abs(true - value) <= half, colours)
    _name_axes(axes, tr("true"))
    return figure


def residuals(colours: Colours) -> Figure:
    """Draw how far the true values are from the predicted ones."""
    value, true, half = _values()
    figure, axes = axes_of(4.8, 3.4)
    _band(axes, np.array([value.min(), value.max()]), np.zeros(2), half, colours)
    _points(axes, value, true - value, np.abs(true - value) <= half, colours)
    _name_axes(axes, tr("true minus predicted"))
    return figure


def coverage(colours: Colours) -> Figure:
    """Draw how often the prediction interval contains the true value, for each tenth of the predicted values."""
    value, true, half = _values()
    inside = np.abs(true - value) <= half
    promised = model_card.champion()[1].interval.coverage
    figure, axes = axes_of(4.8, 3.3)
    axes.axhline(promised, color=colours.faint, linestyle=(0, (4, 4)), linewidth=1)
    faint = {"color": colours.faint, "fontsize": 8.5}
    share = tr("promised of all: {share}").format(share=f"{promised:.0%}")
    axes.annotate(share, (0, promised), (0, -11), textcoords="offset points", **faint)
    tenths = np.array_split(value.argsort(kind="stable"), TENTHS)
    for place, rows in enumerate(tenths):
        _whisker(axes, place, int(inside[rows].sum()), len(rows), colours)
    labels = [_shorten(float(np.median(value[rows]))) for rows in tenths]
    axes.set(xticks=range(TENTHS), xticklabels=labels, ylim=(-0.03, 1.05))
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    axes.tick_params(axis="x", labelsize=8.5)
    model = load("ml").Model
    named = tr("predicted {target}, median of each tenth ({unit})").format(target=model.target, unit=model.unit)
    axes.set(xlabel=named, ylabel=tr("true values inside the interval"))
    return figure


def _values() -> tuple[Any, Any, float]:
    """Return predicted and true values of the examples held back, and how far the interval goes."""
    held_back, output = model_card.evaluation()
    _, manifest = model_card.champion()
    return load("ml").Model.answer(output, manifest.interval).value, held_back.y, manifest.interval.half_width


def _band(axes: Axes, x: Any, y: Any, half: float, colours: Colours) -> None:
    """Draw where predictions are right, and the interval around it."""
    axes.fill_between(x, y - half, y + half, color=colours.accent, alpha=0.16, linewidth=0)
    axes.plot(x, y, color=colours.faint, linestyle=(0, (4, 4)), linewidth=1)


def _points(axes: Axes, x: Any, y: Any, inside: Any, colours: Colours) -> None:
    """Draw a dot for each row inside its interval, a cross for each outside."""
    axes.scatter(x[inside], y[inside], s=9, color=colours.accent, alpha=0.45, linewidths=0)
    axes.scatter(x[~inside], y[~inside], s=16, color=colours.ink, marker="x", linewidths=0.9)


def _name_axes(axes: Axes, y: str) -> None:
    """Say what the axes show, in the unit of what is predicted: x the prediction, y something else."""
    model = load("ml").Model
    predicted = tr("predicted {target} ({unit})").format(target=model.target, unit=model.unit)
    axes.set(xlabel=predicted, ylabel=f"{y} ({model.unit})")
    for axis in axes.xaxis, axes.yaxis:
        axis.set_major_formatter(lambda value, _: _shorten(value))


def _shorten(value: float) -> str:
    """Write a number for a tick in three digits: 450k, 1.2M."""
    return mpl.ticker.EngFormatter(sep="")(float(f"{value:.3g}"))


def importance(colours: Colours) -> Figure:
    """Draw how much worse the model gets when one feature's values are shuffled among the rows."""
    model, exported = load("ml").Model, model_card.exported()
    held_back, _ = model_card.evaluation()
    _, manifest = model_card.champion()
    names = model.Features.names()
    random = np.random.default_rng(0)

    X, y = held_back.X[:MOST_ROWS], held_back.y[:MOST_ROWS]

    def score(rows: Any) -> float:
        return float(model.evaluate(exported.compute(rows), y, manifest.interval)[model.score])

    whole = score(X)
    losses = np.zeros((len(names), SHUFFLES))
    for column, trial in np.ndindex(losses.shape):
        shuffled = X.copy()
        random.shuffle(shuffled[:, column])
        losses[column, trial] = whole - score(shuffled)
    order = losses.mean(axis=1).argsort()[-20:]
    figure, axes = axes_of(4.8, 0.42 * len(order) + 1)
    axes.barh(
        [names[i].replace("_", " ") for i in order],
        losses[order].mean(axis=1),
        xerr=losses[order].std(axis=1),
        color=colours.accent,
        error_kw={"ecolor": colours.ink, "linewidth": 1, "capsize": 3},
        height=0.55,
    )
    axes.axvline(0, color=colours.faint, linewidth=1)
    axes.set_xlabel(tr("loss of {score} (0 to 1)").format(score=called(model.score)))
    axes.tick_params(axis="y", length=0)
    return figure


def words(colours: Colours) -> Figure:
    """Draw the words that make one of two classes most probable, each sent as a text of its own."""
    model, exported = load("ml").Model, model_card.exported()
    counted = Counter(word for text in model_card.examples().X[:, 0] for word in text.split())
    found = np.array([word for word, _ in counted.most_common(MOST_WORDS)], dtype=object)
    probability = exported.compute(np.append(found, "")[:, None]).astype(np.float64).clip(1e-7, 1 - 1e-7)
    odds = np.log2(probability[:, 1] / probability[:, 0])
    weights = odds[:-1] - odds[-1]  # the last one is a text without a word
    order = weights.argsort()
    shown = [*order[:SHOWN_WORDS], *order[-SHOWN_WORDS:]]
    figure, axes = axes_of(5.2, 0.24 * len(shown) + 1)
    drawn = [colours.faint if weights[i] < 0 else colours.accent for i in shown]
    axes.barh(range(len(shown)), weights[shown], color=drawn, height=0.6)
    axes.axvline(0, color=colours.ink, linewidth=1)
    axes.set(yticks=range(len(shown)), yticklabels=[found[i].replace("not_", "not … ") for i in shown])
    axes.set_xlabel(f"{model.labels[0]}  \u2190  doublings of the odds  \u2192  {model.labels[1]}")
    axes.set_ylim(-1, len(shown))
    axes.tick_params(axis="y", length=0)
    return figure


FIGURES: dict[str, Callable[[Colours], Figure]] = {
    "confusion": confusion,
    "calibration": calibration,
    "predicted": predicted,
    "residuals": residuals,
    "coverage": coverage,
    "importance": importance,
    "words": words,
}
"""The figures by name. A card shows those that fit its model."""
