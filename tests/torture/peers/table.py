"""What came of a comparison of tools, as a table for a terminal, in Markdown, and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from tests.torture.peers.tools import Tool

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT: Mapping[str, str] = {
    "archived intact": "ok",
    "safe error": "error",
    "hangs": "hangs",
    "half visible": "half",
    "lie": "LIE",
}
"""How a verdict is said in a cell, from the best to the worst."""
_MEANINGS = (
    "`ok`: the right bytes are in the bucket. `error`: it failed and said so, nothing is visible. `hangs`: it did"
    " not end in two minutes, nothing is visible. `half`: it did not succeed, but a wrong object is in the bucket."
    " `LIE`: exit code 0, and the object is wrong or missing."
)


@dataclass(frozen=True)
class Tried:
    """What came of a trouble for one tool."""

    verdict: str
    exit_code: int | None
    """None if it did not end in time."""
    visible: int | None
    """Bytes of the object in the bucket; None if there is none, or where that is not counted."""
    seconds: float


@dataclass
class Comparison:
    """What came of many troubles for many tools."""

    ours: str
    tools: tuple[Tool, ...]
    versions: Mapping[str, str]
    """By program or package."""
    absent: tuple[str, ...]
    """The tools that are not here."""
    store: str
    seed: int
    date: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")
    whats: dict[str, str] = field(default_factory=dict)
    """What the other side does, by the trouble's name."""
    verdicts: dict[str, Mapping[str, Tried]] = field(default_factory=dict)
    """By the trouble's name, and in that by the tool's."""

    def add(self, name: str, what: str, verdicts: Mapping[str, Tried]) -> None:
        """Note what came of a trouble."""
        self.whats[name], self.verdicts[name] = what, verdicts

    def names(self) -> list[str]:
        """Return the tools' names, ours first."""
        return [self.ours, *(tool.name for tool in self.tools)]

    @classmethod
    def of_facts(cls, known: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `facts` wrote, without the parts that each tool is made of."""
        tools = tuple(Tool(name, words[-1], (), words[0]) for name, words in known["commands"].items())
        troubles: Mapping[str, Mapping[str, Any]] = known["troubles"]
        ours = next(name for name in known["lies"] if name not in known["commands"])
        same = {key: known[key] for key in ("versions", "store", "seed", "date")}
        comparison = cls(ours, tools, absent=tuple(known["absent"]), **same)
        for name, trouble in troubles.items():
            comparison.add(name, trouble["what"], {tool: Tried(**tried) for tool, tried in trouble["tools"].items()})
        return comparison

    def counts(self, name: str) -> Counter[str]:
        """Return how often a tool met with which verdict."""
        return Counter(tried[name].verdict for tried in self.verdicts.values())


def text_head(comparison: Comparison) -> str:
    """Return the legend and the head of the table for a terminal."""
    legend = [f"{letter}  {name}" for letter, name in zip(ascii_uppercase, comparison.names(), strict=False)]
    letters = "".join(f"{letter:>6}" for letter, _ in zip(ascii_uppercase, comparison.names(), strict=False))
    absent = [f"not here: {name}" for name in comparison.absent]
    return "\n".join([*legend, *absent, "", f"{'':28}{letters}"])


def text_row(comparison: Comparison, trouble: str | None) -> str:
    """Return a trouble's row for a terminal, or the row of lies per tool (None)."""
    if trouble is None:
        cells = [str(comparison.counts(name)["lie"]) for name in comparison.names()]
        return f"{'lies':28}" + "".join(f"{cell:>6}" for cell in cells)
    tried = comparison.verdicts[trouble]
    return f"{trouble:28}" + "".join(f"{SHORT[tried[name].verdict]:>6}" for name in comparison.names())


def facts(comparison: Comparison) -> str:
    """Return all that was measured, as JSON."""
    return json.dumps(
        {
            "date": comparison.date,
            "store": comparison.store,
            "seed": comparison.seed,
            "versions": comparison.versions,
            "absent": comparison.absent,
            "commands": {tool.name: tool.arguments() for tool in comparison.tools},
            "lies": {name: comparison.counts(name)["lie"] for name in comparison.names()},
            "troubles": {
                trouble: {"what": what, "tools": {name: asdict(tried) for name, tried in tools.items()}}
                for (trouble, what), tools in zip(comparison.whats.items(), comparison.verdicts.values(), strict=True)
            },
        },
        indent=1,
        ensure_ascii=False,
    )


def markdown(comparison: Comparison) -> str:
    """Return the comparison in Markdown: the counts per tool, and folded away each verdict and each command."""
    versions = ", ".join(f"{part} {number}" for part, number in sorted(comparison.versions.items()))
    said = f"{len(comparison.verdicts)} sources, {comparison.date}, store {comparison.store}: {versions}."
    folded = [
        "<details><summary>Each source, each tool</summary>",
        _verdicts(comparison),
        "</details>",
        "<details><summary>What was run, word for word</summary>",
        _commands(comparison),
        "</details>",
    ]
    return "\n\n".join([_counts(comparison), _MEANINGS, said, *folded]) + "\n"


def _counts(comparison: Comparison) -> str:
    lines = [["tool", *(f"`{short}`" for short in SHORT.values())], ["---", *["--:"] * len(SHORT)]]
    for name in comparison.names():
        counts = comparison.counts(name)
        cells = [_loud(str(counts[verdict]), verdict, counts[verdict]) for verdict in SHORT]
        lines.append([_escaped(name) if name != comparison.ours else f"**{name}**", *cells])
    return _table(lines)


def _verdicts(comparison: Comparison) -> str:
    letters = [letter for letter, _ in zip(ascii_uppercase, comparison.names(), strict=False)]
    legend = [f"{letter}: {_escaped(name)}" for letter, name in zip(letters, comparison.names(), strict=True)]
    lines = [["the source", *letters], ["---", *[":-:"] * len(letters)]]
    for trouble, tried in comparison.verdicts.items():
        verdicts = [tried[name].verdict for name in comparison.names()]
        cells = [_loud(SHORT[verdict], verdict, 1) for verdict in verdicts]
        lines.append([f"{comparison.whats[trouble]} (`{trouble}`)", *cells])
    lies = [str(comparison.counts(name)["lie"]) for name in comparison.names()]
    lines.append(["**lies**", *(f"**{count}**" for count in lies)])
    return _table(lines) + "\n\n" + "; ".join(legend) + "."


def _commands(comparison: Comparison) -> str:
    blocks = [f"{tool.name}:\n\n```{tool.language}\n{tool.command.rstrip()}\n```" for tool in comparison.tools]
    return "\n\n".join(blocks)


def _loud(cell: str, verdict: str, count: int) -> str:
    return f"**{cell}**" if verdict == "lie" and count else cell


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
