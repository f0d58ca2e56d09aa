"""The plot for the README: how long each contestant took, how much memory, and how ours grows with what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.benchmarks.figures import Metric, Result

OURS, THEIRS, INK = "#1f6feb", "#9aa4b2", "#24292f"
HEIGHT = {"bars": 2.9}


def draw(results: Mapping[str, Result], path: Path) -> None:
    """Draw what there is of the scenarios that have a picture; nothing if there is none.

    Args:
        results: by scenario.
        path: of the picture; its ending says of which kind.
    """
    import matplotlib as mpl  # noqa: PLC0415 - of a dependency group that only a measuring machine needs
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams.update({"font.size": 9, "axes.edgecolor": INK, "text.color": INK, "svg.hashsalt": "benchmarks"})
    panels = [(results[name], drawn) for name, drawn in PANELS if name in results and not results[name].skipped]
    if not panels:
        return
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(11, 0.3 + 2.7 * rows), layout="constrained")
    for axes, (result, drawn) in zip(figure.subplots(rows, 2, squeeze=False).flat, panels, strict=False):
        drawn(result, axes)
    for axes in figure.axes[len(panels) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=150)


def _bars(key: str) -> Callable[[Result, Any], None]:
    """Draw a metric's median of each row as a bar, with the range that it is from."""

    def drawn(result: Result, axes: Any) -> None:
        metric = _metric(result, key)
        shown = [row for row in result.rows if row.median(key) is not None]
        middles = [(row.median(key) or 0) / metric.scale for row in shown]
        lows = [middle - min(row.values(key)) / metric.scale for row, middle in zip(shown, middles, strict=True)]
        highs = [max(row.values(key)) / metric.scale - middle for row, middle in zip(shown, middles, strict=True)]
        colours = [OURS if row.name.startswith("ours") else THEIRS for row in shown]
        bars = axes.barh([_short(row.name) for row in shown], middles, xerr=(lows, highs), color=colours,
                         error_kw={"ecolor": INK, "elinewidth": 0.8, "capsize": 2})  # fmt: skip
        axes.bar_label(bars, [f" {middle:,.{metric.digits}f}" for middle in middles], padding=3, fontsize=8)
        axes.margins(x=0.18)
        axes.invert_yaxis()
        _titled(axes, f"{result.scenario}: {result.what}", metric.head)

    return drawn


def _metric(result: Result, key: str) -> Metric:
    return next(metric for metric in result.metrics if metric.key == key)


def _titled(axes: Any, title: str, label: str) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name.replace(" --fail --retry", "").replace(", pipefail", "")


PANELS: tuple[tuple[str, Callable[[Result, Any], None]], ...] = (
    ("capped", _bars("wall_s")),
    ("far", _bars("wall_s")),
    ("uncapped", _bars("wall_s")),
    ("uncapped", _bars("cpu_s")),
)
