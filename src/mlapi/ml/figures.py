"""Figures of how good a model is, drawn from the numbers of `evaluation`, for notebooks and experiment trackers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Columns = Mapping[str, Sequence[Any]]
"""The numbers behind a figure, as `evaluation.Plot` or as lists."""

HALF = 0.5
"""Share of a class from which on a cell is dark, so that its number is written in white."""


def draw(name: str, plot: Columns, labels: Sequence[str] = ()) -> "Figure":
    """Return a figure of its own of the plot of this name; classes stand in the order of `labels`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    draw_on(figure.add_subplot(), name, plot, labels)
    return figure


def draw_on(axes: "Axes", name: str, plot: Columns, labels: Sequence[str] = ()) -> None:
    """Draw the plot of this name on axes; classes stand in the order of `labels`."""
    drawn: Mapping[str, Callable[[Axes, Columns], None]] = {
        "confusion": partial(confusion, order=labels),
        "calibration": calibration,
        "residuals": residuals,
        "coverage": coverage,
    }
    drawn[name](axes, plot)
    axes.spines[["top", "right"]].set_visible(False)


def confusion(axes: "Axes", plot: Columns, order: Sequence[str] = ()) -> None:
    """Draw how often each class was taken for each class; those of `order` stand first, in that order."""
    places = {label: place for place, label in enumerate(order)}
    labels = sorted({*plot["actual"], *plot["predicted"]}, key=lambda label: (places.get(label, len(places)), label))
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for actual, predicted in zip(plot["actual"], plot["predicted"], strict=True):
        counts[labels.index(actual), labels.index(predicted)] += 1
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > HALF else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set(xlabel="predicted", ylabel="actual", title="Confusion")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)


def calibration(axes: "Axes", plot: Columns) -> None:
    """Draw how often the model is right against how sure it says it is."""
    lowest = min(*plot["confidence"], *plot["accuracy"])
    axes.plot([lowest, 1], [lowest, 1], color="grey", linestyle="--", linewidth=1)
    axes.plot(plot["confidence"], plot["accuracy"], marker="o")
    _name_rows(axes, plot, "confidence", "accuracy")
    axes.set(xlabel="probability of the predicted class", ylabel="share of right answers", title="Calibration")
    axes.margins(0.12)


def residuals(axes: "Axes", plot: Columns) -> None:
    """Draw what is missing to the true value against the predicted one."""
    axes.axhline(0, color="grey", linestyle="--", linewidth=1)
    axes.scatter(plot["predicted"], plot["residual"], s=14, alpha=0.6, linewidths=0)
    axes.set(xlabel="predicted", ylabel="actual minus predicted", title="Residuals")


def coverage(axes: "Axes", plot: Columns) -> None:
    """Draw how many true values lie inside their intervals, for small and for large predicted values."""
    axes.plot(plot["predicted"], plot["inside"], marker="o")
    _name_rows(axes, plot, "predicted", "inside")
    axes.set(xlabel="predicted (mean of a group)", ylabel="share inside the interval", ylim=(0, 1.08))
    axes.set_title("Coverage of the intervals")
    axes.margins(x=0.12)


def _name_rows(axes: "Axes", plot: Columns, x: str, y: str) -> None:
    """Write beside each point how many rows it stands for."""
    for across, up, rows in zip(plot[x], plot[y], plot["rows"], strict=True):
        axes.annotate(f"{rows} rows", (across, up), (7, -9), textcoords="offset points", fontsize=8)
