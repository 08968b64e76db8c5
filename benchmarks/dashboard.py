"""Draw the panels of the dashboard without Grafana: `python benchmarks/dashboard.py DASHBOARD PROMETHEUS PICTURE`.

DASHBOARD is dashboard.json, PROMETHEUS the address of a Prometheus that reads a running service. Each query of each
panel is asked as Grafana would ask it, and drawn roughly as Grafana would: this shows that the queries answer and what
they tell, not how Grafana looks. Needs matplotlib. `--minutes` says how far back.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from matplotlib.figure import Figure

INTERVAL = "1m"
"""What Grafana puts in place of $__rate_interval with a scrape each 15 s."""
ROW_INCHES = 0.42


def main() -> int:
    """Ask, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dashboard", type=Path)
    parser.add_argument("prometheus")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    board = json.loads(options.dashboard.read_text(encoding="utf-8"))
    empty = draw(board, options.prometheus, options.minutes * 60, options.picture)
    print(f"{options.picture}: {len(empty)} panels without data: {', '.join(empty) or 'none'}")
    return 0


def draw(board: dict[str, Any], prometheus: str, seconds: float, picture: Path) -> list[str]:
    """Draw all panels in their places; return the titles of those that have nothing to show."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    figure = Figure(figsize=(20, height * ROW_INCHES))
    empty = []
    for panel in board["panels"]:
        place = panel["gridPos"]
        left, bottom = place["x"] / 24 + 0.025, 1 - (place["y"] + place["h"]) / height + 0.018
        if panel["type"] == "row":
            figure.text(0.01, bottom - 0.01, panel["title"], weight="bold")
            continue
        axes = figure.add_axes((left, bottom, place["w"] / 24 - 0.04, place["h"] / height - 0.035))
        axes.set_title(f"{panel['title']} ({panel['fieldConfig']['defaults']['unit']})", fontsize=9, loc="left")
        axes.tick_params(labelsize=7)
        found = [line for target in panel["targets"] for line in lines(prometheus, target, seconds)]
        if not found:
            empty.append(panel["title"])
            axes.text(0.5, 0.5, "No data", ha="center")
        elif panel["type"] == "stat":
            axes.axis("off")
            axes.text(0, 0.4, "  ".join(f"{label} {ys[-1]:.4g}".strip() for label, _, ys in found), fontsize=20)
        else:
            for label, xs, ys in found:
                axes.plot(xs, ys, label=label)
            axes.legend(fontsize=6, loc="upper left")
            axes.set_ylim(bottom=0)
    figure.savefig(picture, dpi=60)
    return empty


def lines(prometheus: str, target: dict[str, Any], seconds: float) -> list[tuple[str, list[float], list[float]]]:
    """Ask for the lines of a query: their names, minutes from now and values."""
    now = time.time()
    query = target["expr"].replace("$__rate_interval", INTERVAL)
    asked = urlencode({"query": query, "start": now - seconds, "end": now, "step": 5})
    with urlopen(f"{prometheus}/api/v1/query_range?{asked}", timeout=30) as answer:  # noqa: S310 - the caller's own
        series = json.load(answer)["data"]["result"]
    return [
        (
            legend(target["legendFormat"], one["metric"]),
            [(when - now) / 60 for when, _ in one["values"]],
            [float(value) for _, value in one["values"]],
        )
        for one in series
    ]


def legend(form: str, labels: dict[str, str]) -> str:
    """Name a line as the dashboard wants it."""
    for name, value in labels.items():
        form = form.replace(f"{{{{{name}}}}}", value)
    return re.sub(r"\{\{\w+\}\}", "", form).strip()


if __name__ == "__main__":
    sys.exit(main())
