"""What figures and diagrams are drawn on, and with."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure


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


def axes_of(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of this width and height, in inches, and its only axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()
