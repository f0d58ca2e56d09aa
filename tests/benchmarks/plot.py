"""The plot of the figures: how long each contestant takes, how much memory, and what more connections bring."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.benchmarks.figures import Metric, Result

OURS, THEIRS, INK = "#1f6feb", "#9aa4b2", "#24292f"
SHADES = (OURS, "#3b8eea", "#79b8ff")
"""Of lines that are all ours."""
MARKS = "osD^vPX*"
TITLE_WIDTH = 48
"""Characters of a line."""
_MEMORY_SIZE = "rss_"
"""How the metrics of the scenario `memory` begin, a recording's bytes after it."""


def draw(results: Mapping[str, Result], path: Path) -> None:
    """Draw what there is of the scenarios that have a picture; nothing if there is none.

    Args:
        results: by scenario.
        path: of the picture; its ending says of which kind.
    """
    import matplotlib as mpl  # noqa: PLC0415 - of a dependency group that only a measuring machine needs
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams.update({"font.size": 9, "axes.edgecolor": INK, "text.color": INK, "svg.hashsalt": "benchmarks"})
    panels = [(results[name], title, drawn) for name, title, drawn in PANELS if _is_there(results.get(name))]
    if not panels:
        return
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(11, 0.3 + 2.9 * rows), layout="constrained")
    places = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axes, (result, title, drawn) in zip(places, panels, strict=False):
        drawn(result, axes)
        said = title or f"{result.scenario}: {result.what.partition(';')[0]}"
        axes.set_title(fill(said, TITLE_WIDTH), fontsize=8.5, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=150)


def _is_there(result: Result | None) -> bool:
    return result is not None and not result.skipped


def _bars(key: str) -> Callable[[Result, Any], None]:
    """Draw a metric's median of each row as a bar, with the range that it is from."""

    def drawn(result: Result, axes: Any) -> None:
        metric = _metric(result, key)
        shown = [row for row in result.rows if row.values(key)]
        middles = [(row.median(key) or 0) / metric.scale for row in shown]
        lows = [middle - min(row.values(key)) / metric.scale for row, middle in zip(shown, middles, strict=True)]
        highs = [max(row.values(key)) / metric.scale - middle for row, middle in zip(shown, middles, strict=True)]
        colours = [OURS if row.name.startswith("ours") else THEIRS for row in shown]
        bars = axes.barh([_short(row.name) for row in shown], middles, xerr=(lows, highs), color=colours,
                         error_kw={"ecolor": INK, "elinewidth": 0.8, "capsize": 2})  # fmt: skip
        axes.bar_label(bars, [f"{middle:,.{metric.digits}f}" for middle in middles], padding=3, fontsize=8)
        axes.margins(x=0.15)
        axes.invert_yaxis()
        axes.set_xlabel(metric.head)

    return drawn


def _memory(result: Result, axes: Any) -> None:
    """Draw each row's peak by the recording's size."""
    metrics = [metric for metric in result.metrics if metric.key.startswith(_MEMORY_SIZE)]
    for number, row in enumerate(result.rows):
        points = [
            (int(metric.key.removeprefix(_MEMORY_SIZE)) / 1e6, middle / metric.scale)
            for metric in metrics
            if (middle := row.median(metric.key)) is not None
        ]
        ours = row.name.startswith("ours")
        axes.plot(*zip(*points, strict=True), marker=MARKS[number % len(MARKS)], markersize=4, label=_short(row.name),
                  linewidth=1.8 if ours else 0.8, color=SHADES[number % len(SHADES)] if ours else None)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("the recording, MB")
    axes.set_ylabel("peak RSS MiB")
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])  # room for the legend
    axes.legend(fontsize=6.5, frameon=False, loc="upper left", ncols=2)


def _growth(result: Result, axes: Any) -> None:
    """Draw the speed by how many there are of something, a line for each thing."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in result.rows:
        what, count = row.name.replace("=", " ").rsplit(" ", 1)
        if (middle := row.median("bytes_per_s")) is not None:
            lines.setdefault(what, []).append((int(count), middle / 1e6))
    for number, (what, points) in enumerate(lines.items()):
        axes.plot(*zip(*points, strict=True), marker=MARKS[number], color=(OURS, INK)[number % 2], label=what)
    axes.set_xscale("log", base=2)
    counts = sorted({count for points in lines.values() for count, _ in points})
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("how many")
    axes.set_ylabel("MB/s")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)


def _metric(result: Result, key: str) -> Metric:
    return next(metric for metric in result.metrics if metric.key == key)


def _short(name: str) -> str:
    return name.replace(" --fail --retry", "").replace(", pipefail", "")


PANELS: tuple[tuple[str, str, Callable[[Result, Any], None]], ...] = (
    ("capped", "", _bars("wall_s")),
    ("far", "", _bars("wall_s")),
    ("uncapped", "", _bars("wall_s")),
    ("uncapped", "", _bars("cpu_s")),
    ("uncapped on swift", "", _bars("wall_s")),
    ("uncapped on swift", "", _bars("cpu_s")),
    ("memory", "memory: the most at once", _memory),
    ("growth", "growth: what more brings at 25 MB/s for each connection", _growth),
)
"""Scenario, title if it is not the scenario's own, and how it is drawn."""
