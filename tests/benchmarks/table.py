"""Results as tables, for a terminal and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.benchmarks.figures import Metric, Result, Row

NOTHING = "-"


def cells(result: Result) -> list[list[str]]:
    """Return a result's table, its head first: medians with the range they are from, and ratios pair by pair."""
    compared = [(metric, name) for metric in result.metrics if metric.compared for name in result.references]
    ratios = [f"{_short(name)} ÷ it, {metric.head.rpartition(' ')[0] or metric.head}" for metric, name in compared]
    head = ["", *(metric.head for metric in result.metrics), *ratios]
    lines = []
    for row in result.rows:
        measured = [_measured(row, metric) for metric in result.metrics]
        against = [_ratio(result.ratio(name, row, metric.key)) for metric, name in compared]
        lines.append([row.name, *measured, *against])
    return [head, *lines]


def text(result: Result) -> str:
    """Return a result for a terminal."""
    lines = [f"{result.scenario}: {result.what}"]
    if result.skipped:
        return "\n".join([*lines, f"  skipped: {result.skipped}"])
    table = cells(result)
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        first, *rest = (cell.ljust(width) if not column else cell.rjust(width)
                        for column, (cell, width) in enumerate(zip(line, widths, strict=True)))  # fmt: skip
        lines.append("  ".join(["", first, *rest]))
    return "\n".join([*lines, *(f"  {note}" for note in _notes(result))])


def markdown(result: Result) -> str:
    """Return a result in Markdown."""
    title = f"**{result.scenario}**: {result.what}."
    if result.skipped:
        return f"{title} Skipped: {result.skipped}.\n"
    head, *lines = [[cell.replace("|", "\\|") for cell in line] for line in cells(result)]
    rule = ["---", *["--:"] * (len(head) - 1)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *lines])
    about = ", ".join(f"{name} {value}" for name, value in result.about.items())
    return "\n\n".join([title, table, *_notes(result), *([f"{about}."] if about else [])]) + "\n"


def _measured(row: Row, metric: Metric) -> str:
    values, middle = row.values(metric.key), row.median(metric.key)
    if middle is None:
        return NOTHING
    spread = f" ({metric.shown(min(values))} to {metric.shown(max(values))})" if len(values) > 1 else ""
    return metric.shown(middle) + spread


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _short(name: str) -> str:
    return name.removeprefix("ours: ")


def _notes(result: Result) -> Sequence[str]:
    return [f"{row.name}: {note}" for row in result.rows for note in dict.fromkeys(row.notes)]


def latest(rows: Iterable[Row], key: str) -> str:
    """Return the latest values of some rows, in seconds, for whoever waits."""
    return ", ".join(f"{row.values(key)[-1]:.2f} s {row.name}" for row in rows if row.values(key))
