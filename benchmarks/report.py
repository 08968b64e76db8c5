"""What was found, as a table and a plot in one HTML page, a PNG and JSON."""

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

COLORS = {
    "limit": "#9aa7b4",
    "bare": "#6b7c8d",
    "service": "#0b5cad",
    "service over HTTPS": "#4a90d9",
    "seed": "#c0392b",
}
OTHER = "#d9822b"
CONNECTIONS = 16
"""Connections at which contenders are compared."""


class Target(NamedTuple):
    """A ratio or a figure that the service is to reach."""

    what: str
    """What is measured."""
    wanted: str
    """What it is to be, in words."""
    found: float | None
    """What it is; None if this run did not measure it."""
    met: bool | None
    """Whether it is as wanted."""


def write(found: Mapping[str, Any], folder: Path) -> None:
    """Write `bench.json`, `bench.md`, `bench.png` and `bench.html`."""
    (folder / "bench.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    text = "\n".join(lines(found))
    (folder / "bench.md").write_text(text, encoding="utf-8")
    draw(found["results"], folder / "bench.png")
    (folder / "bench.html").write_text(page(text), encoding="utf-8")
    print(f"\n{text}\nThe table and the plot are in {folder / 'bench.html'}, the figures in {folder / 'bench.json'}.")


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Return the report in Markdown."""
    on = found["machine"]
    yield f"Measured on {found['date']} in {found['minutes']} minutes."
    yield f"The machine: {on['cores']} cores, {on['processor']}, {on['system']}."
    yield f"Its load was {on['load_before']:.1f} before and {on['load_after']:.1f} after."
    yield ""
    yield from _table("Target|Wanted|Found|", [_target(one) for one in targets(found)])
    yield from _throughput(found["results"])
    yield from _training(found["results"])
    rows = [
        f"{one['contender']}|{one['seconds']:.2f} s|{one['least']:.2f} s|"
        f"{one['memory']:.0f} MB|{one['resident']:.0f} MB"
        for one in found["starts"]
    ]
    yield from _table("Start|First answer|The quickest|Memory of all processes|First process, resident", rows)
    yield from _table("Not measured|Why", [f"{name}|{why}" for name, why in found["absent"].items()])


def _throughput(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        f"{one['group']}|{one['contender']}|{one['rows']}|{one['connections']}|{one['rate']:,.0f}|"
        f"{one['p50']:.2f}|{one['p99']:.2f}|{one['cpu']:,.0f}|{_times(one)}|{one['wrong'] or ''}"
        for one in results
        if "rate" in one
    ]
    heads = (
        "Measured|Contender|Rows|Connections|Answers/s|p50, ms|p99, ms|Processor time an answer, µs|Service is|Wrong"
    )
    yield from _table(heads, rows)


def _times(one: Mapping[str, Any]) -> str:
    """Tell how many times as fast the service was in the same rounds."""
    other = one["times"].get("service")
    return f"{1 / other:.2f} times as fast" if other else ""


def _training(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        f"{one['contender']}|{one['idle']:.2f} ms|{one['training']:.2f} ms|{one['ratio']:.2f}"
        for one in results
        if one["group"] == "training"
    ]
    yield from _table("One row, 16 connections|p99 idle|p99 while training|Ratio", rows)


def _target(one: Target) -> str:
    found = "not measured" if one.found is None else f"{one.found:.2f}"
    return f"{one.what}|{one.wanted}|{found}|{'' if one.met is None else 'met' if one.met else 'not met'}"


def _table(heads: str, rows: Sequence[str]) -> Iterator[str]:
    if rows:
        yield f"| {heads.replace('|', ' | ')} |"
        yield "|" + "---|" * (heads.count("|") + 1)
        yield from (f"| {row.replace('|', ' | ')} |" for row in rows)
        yield ""


def targets(found: Mapping[str, Any]) -> Iterator[Target]:
    """Compare what was found with what is wanted."""
    results = found["results"]
    for rows, other, least in ((1, "limit", 0.25), (32, "bare", 0.8), (1000, "bare", 0.9)):
        part = _ratio(results, "HTTP", "service", other, rows)
        yield _least(f"rows: {rows}; answers/s, as a part of {other}", least, part)
    yield _least("rows: 1; answers/s, times the seed", 10, _ratio(results, "HTTP", "service", "seed", 1))
    peers = {one["group"] for one in results} - OWN
    plain = {name for name in peers if BATCHING not in name}
    yield _least("rows: 1; answers/s, times the best peer in its documented default", 10, _lead(results, plain, 1))
    for rows, least in ((1, 4.0), (32, 2.5), (1000, 1.0)):
        best = f"rows: {rows}; answers/s, times the best peer in its best configuration"
        yield _least(best, least, _lead(results, peers, rows))
    own = next((one for one in results if _key(one) == ("HTTP", "service", 1, CONNECTIONS)), None)
    yield _most("rows: 1; p99 at 16 connections in ms, on a quiet machine", 4, own and own["p99"])
    cost = _ratio(results, "TLS", "service over HTTPS", "service", 1)
    yield _most("rows: 1; what TLS costs, as a part", 0.12, None if cost is None else 1 - cost)
    for rows in (32, 1000):
        yield _scaled(results, rows, found["machine"]["cores"])
    trained = next((one for one in results if one["group"] == "training" and "service" in one["contender"]), None)
    yield _most("p99 while training, times idle", 1.3, trained and trained["ratio"])
    start = next((one for one in found["starts"] if one["contender"] == "service over HTTPS"), None)
    yield _most("seconds from start to first answer", 0.5, start and start["seconds"])
    yield _most("MB of a serving process, resident", 110, start and start["resident"])


OWN = {"HTTP", "TLS", "processes", "training", "one tree"}
BATCHING = ", batching"
"""What the name of a peer ends in that collects requests, as it does only if it is told to."""
SCALING = ("processes", "service, 2 processes", "service")
MORE_THAN_ONE_CORE = 1.1
"""Cores that one process uses from which on two are not wanted to give 1.7 times as much."""


def _scaled(results: Iterable[Mapping[str, Any]], rows: int, cores: int) -> Target:
    """Compare two processes with one. Where one uses more than its half of the cores, less is wanted: there is less."""
    one = next((one for one in results if _key(one) == ("processes", "service", rows, CONNECTIONS)), None)
    used = 0.0 if one is None else one["rate"] * one["cpu"] / 1e6
    what, wanted = f"rows: {rows}; answers/s, 2 processes as a multiple of 1", 1.7
    if used > MORE_THAN_ONE_CORE:
        what += f", which uses {used:.2f} of {cores} cores"
        wanted = round(wanted * min(1.0, cores / 2 / used), 2)
    return _least(what, wanted, _ratio(results, *SCALING, rows))


def _least(what: str, wanted: float, found: float | None) -> Target:
    return Target(what, f"at least {wanted:g}", found, None if found is None else found >= wanted)


def _most(what: str, wanted: float, found: float | None) -> Target:
    return Target(what, f"at most {wanted:g}", found, None if found is None else found <= wanted)


def _ratio(results: Iterable[Mapping[str, Any]], group: str, name: str, other: str, rows: int) -> float | None:
    """Return how many times as many answers one gave as another in the same rounds, at 16 connections."""
    for one in results:
        if _key(one) == (group, name, rows, CONNECTIONS):
            ratio: float | None = one["times"].get(other)
            return ratio
    return None


def _lead(results: Sequence[Mapping[str, Any]], peers: Iterable[str], rows: int) -> float | None:
    """Return how many times as many answers the service gave as the best of these peers; None if there is none."""
    ratios = [ratio for peer in peers if (ratio := _ratio(results, peer, "service", peer, rows))]
    return min(ratios, default=None)


def _key(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return one["group"], one["contender"], one["rows"], one["connections"]


def draw(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw for each number of rows the answers per second of everybody, at 16 connections."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the rest needs no figure

    compared = [one for one in results if one["group"] == "HTTP" or one["group"] not in OWN]
    shown = [one for one in compared if one["connections"] == CONNECTIONS]
    counts = sorted({one["rows"] for one in shown})
    figure = Figure(figsize=(11, 1.2 + 0.34 * len(shown) / max(1, len(counts))), layout="constrained")
    for number, count in enumerate(counts, 1):
        axes = figure.add_subplot(1, len(counts), number)
        bars: dict[str, float] = {}
        for one in shown:
            if one["rows"] == count:
                bars.setdefault(one["contender"], one["rate"])
        names = sorted(bars, key=bars.__getitem__)
        # Points, not bars: a logarithmic axis has no zero for a bar to begin at.
        axes.scatter([bars[name] for name in names], names, s=60, c=[COLORS.get(name, OTHER) for name in names])
        for place, name in enumerate(names):
            axes.text(bars[name], place, f"   {bars[name]:,.0f}", va="center", fontsize=8)
        axes.set_xscale("log")
        axes.margins(x=0.25)
        axes.set_title(f"{count} row{'s' if count > 1 else ''}")
        axes.set_xlabel("answers per second (logarithmic)")
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", color="#dddddd")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def page(text: str) -> str:
    """Return the report as a page, with the plot beside it."""
    parts = []
    for block in text.split("\n\n"):
        rows = [line.strip("| ").split(" | ") for line in block.splitlines() if not line.startswith("|---")]
        if block.startswith("|"):
            cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
            parts.append("<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>")
        else:
            parts.append(f"<p>{html.escape(block)}</p>")
    style = "body{font:15px system-ui;max-width:70em;margin:2em auto}td{border-bottom:1px solid #ccc;padding:.2em .7em}"
    head = f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Benchmark</title><style>{style}</style>'
    return f'{head}<h1>Benchmark</h1><img src="bench.png" alt="Answers per second" width="1000">{"".join(parts)}</html>'
