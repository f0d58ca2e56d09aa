"""What was measured, and what is made of it: medians, ratios pair by pair, and how they are kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIB = 1024 * 1024


@dataclass(frozen=True)
class Metric:
    """One thing that is measured."""

    key: str
    head: str
    """As the column's head, with its unit."""
    scale: float = 1
    """By how much a value is divided to be shown."""
    digits: int = 2
    compared: bool = False
    """Whether rows are compared by it."""

    def shown(self, value: float) -> str:
        """Return a value as people read it."""
        return f"{value / self.scale:,.{self.digits}f}"


WALL = Metric("wall_s", "wall s", compared=True)
CPU = Metric("cpu_s", "CPU s", compared=True)
RSS = Metric("peak_rss", "peak RSS MiB", MIB, 0)


@dataclass
class Row:
    """What was measured of one contestant or case, a sample per round; a round that failed has None."""

    name: str
    samples: dict[str, list[float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, **values: float | None) -> None:
        """Note a round's values, by the metrics' keys."""
        for key, value in values.items():
            self.samples.setdefault(key, []).append(value)

    def values(self, key: str) -> list[float]:
        """Return the values of the rounds that succeeded."""
        return [value for value in self.samples.get(key, ()) if value is not None]

    def median(self, key: str) -> float | None:
        """Return the median over the rounds that succeeded, None if there is none."""
        values = self.values(key)
        return median(values) if values else None


def ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """Return the median of the ratios ours/theirs, each of one round; None if no round has both."""
    pairs = zip(ours, theirs, strict=False)
    ratios = [mine / other for mine, other in pairs if mine is not None and other]
    return median(ratios) if ratios else None


@dataclass
class Result:
    """What came of one scenario."""

    scenario: str
    what: str
    metrics: tuple[Metric, ...] = ()
    rows: list[Row] = field(default_factory=list)
    references: tuple[str, ...] = ()
    """The names of the rows that all others are compared with: reference ÷ other, smaller is better for us."""
    about: dict[str, str] = field(default_factory=dict)
    """Date, machine, store, versions and the like."""
    skipped: str = ""
    """Why it was not run; empty if it was."""

    def row(self, name: str) -> Row | None:
        """Return a row by its name."""
        return next((row for row in self.rows if row.name == name), None)

    def ratio(self, reference: str, other: Row, key: str) -> float | None:
        """Return by how much a reference needs more (>1) or less (<1) than another row."""
        ours = self.row(reference)
        return ratio(ours.samples.get(key, ()), other.samples.get(key, ())) if ours else None

    def facts(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return asdict(self)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Result:
        """Make it of what `facts` returned."""
        metrics = tuple(Metric(**metric) for metric in facts["metrics"])
        rows = [Row(**row) for row in facts["rows"]]
        rest = {name: facts[name] for name in ("scenario", "what", "about", "skipped")}
        return cls(**rest, metrics=metrics, rows=rows, references=tuple(facts["references"]))
