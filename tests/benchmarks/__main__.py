"""Ours and what people use today, measured side by side: `uv run --group bench python -m tests.benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ByteSize, TypeAdapter

from tests.benchmarks import audit, cold, contest, growth, idle, many, source, trouble
from tests.benchmarks.figures import Result
from tests.benchmarks.plot import draw
from tests.benchmarks.stage import STORES, Stage, say
from tests.benchmarks.table import markdown, text
from tests.support.marked_section import write_section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCENARIOS: Mapping[str, Callable[[Stage], Result]] = {
    "capped": contest.capped,
    "far": contest.far_away,
    "uncapped": contest.uncapped,
    "tls": contest.encrypted,
    "memory": contest.memory,
    "many": many.many,
    "idle": idle.idle,
    "trouble": trouble.trouble,
    "cold": cold.cold,
    "growth": growth.growth,
    "audit": audit.audit,
}
USUAL = "rclone"
"""The store whose results are called by the scenario alone."""
ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / ".readme"
"""The folder of the figures that the project states."""
DOCUMENT = ROOT / "tests" / "benchmarks" / "README.md"
SECTION = "benchmarks"
"""The section of the document that holds the tables."""


def main() -> int:
    """Measure what is asked for, and write tables, facts and a plot as it goes; return the process's exit code."""
    given = _parser().parse_args()
    if given.list:
        sys.stdout.writelines(f"{name:10} {(run.__doc__ or '').splitlines()[0]}\n" for name, run in SCENARIOS.items())
        return 0
    if given.publish:
        return publish(given.out)
    if source.available() is None:
        say("The source is nginx, which is not here: apt-get install nginx-light")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # as Ctrl-C does it: nothing that runs is left behind
    given.out.mkdir(parents=True, exist_ok=True)
    kept = _kept(given.out)
    failed = []
    with Stage(given.store, given.rounds, given.size, given.quick, given.large) as stage:
        for name in given.only or SCENARIOS:
            say(f"{name} …")
            try:
                result = SCENARIOS[name](stage)
            except Exception:  # noqa: BLE001 - the others are still to be measured
                failed.append(name)
                say(traceback.format_exc())
                continue
            result.about = _about(given) | result.about
            result.scenario = _title(name, given.store)
            kept[result.scenario] = result
            _write(kept, given.out)
            sys.stdout.write(f"{text(result)}\n\n")
            sys.stdout.flush()
    if failed:
        say(f"These did not come to an end: {', '.join(failed)}")
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure ours beside its peers.")
    add = parser.add_argument
    add("--only", action="append", choices=SCENARIOS, metavar="NAME", help="only this scenario; may be repeated")
    add("--rounds", type=int, metavar="N", help="rounds of all contestants; default: 5, or what the scenario says")
    add("--size", type=TypeAdapter(ByteSize).validate_python, metavar="BYTES", help="a recording's, such as 512MiB")
    add("--store", choices=sorted(STORES), default=USUAL, help="default: %(default)s")
    add("--out", type=Path, default=Path("benchmarks"), metavar="DIR",
        help="for benchmarks.json, .md, .png; other scenarios there stay; default: %(default)s/")  # fmt: skip
    add("--quick", action="store_true", help="one round, small sizes: to see that it works")
    add("--large", action="store_true", help="memory: for 10 GB, too; takes an hour, and 22 GB of memory or disk")
    add("--list", action="store_true", help="name the scenarios")
    add("--publish", action="store_true",
        help="measure nothing: write the results in DIR into .readme/ and tests/benchmarks/README.md")  # fmt: skip
    return parser


def _about(given: argparse.Namespace) -> dict[str, str]:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    machine = f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, Linux {platform.release()}"
    quick = {"quick": "only to see that it works"} if given.quick else {}
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "store": given.store, "machine": machine, **quick}


def _title(scenario: str, store: str) -> str:
    """Return by what name a result is kept: each store's beside the others'."""
    return scenario if store == USUAL else f"{scenario} on {store}"


def _kept(folder: Path) -> dict[str, Result]:
    """Return what earlier sessions measured."""
    path = folder / "benchmarks.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return {name: Result.of_facts(facts) for name, facts in found.items()}


def _write(results: Mapping[str, Result], folder: Path) -> None:
    ordered = _ordered(results)
    _write_facts(ordered, folder)
    (folder / "benchmarks.md").write_text(tables(ordered))


def _ordered(results: Mapping[str, Result]) -> dict[str, Result]:
    titles = [_title(name, store) for name in SCENARIOS for store in (USUAL, *sorted(STORES.keys() - {USUAL}))]
    return {title: results[title] for title in titles if title in results}


def _write_facts(results: Mapping[str, Result], folder: Path) -> None:
    facts = {name: result.facts() for name, result in results.items()}
    (folder / "benchmarks.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    draw(results, folder / "benchmarks.png")


def tables(results: Mapping[str, Result]) -> str:
    """Return the tables of all results in Markdown."""
    return "\n".join(markdown(result) for result in results.values())


def publish(measured: Path) -> int:
    """Make measured results the project's figures; published scenarios that were not measured again stay.

    Args:
        measured: the folder that a measurement wrote to; without one, the tables and the plot are written anew.

    Returns:
        The process's exit code: 2 if a result is of `--quick`, and nothing is published.
    """
    results = _kept(measured)
    if quick := [name for name, result in results.items() if "quick" in result.about]:
        say(f"Measured with --quick, and not published: {', '.join(quick)}")
        return 2
    ordered = _ordered(_kept(PUBLISHED) | results)
    _write_facts(ordered, PUBLISHED)
    write_section(DOCUMENT, SECTION, tables(ordered))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
