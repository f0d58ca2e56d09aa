"""The torture suite: `python -m tests.torture --help`."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.report import Totals, machine, markdown, table, terminal
from tests.torture.runner import run_all, turns
from tests.torture.stage import STORES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.torture.report import Result
    from tests.torture.scenario import Scenario

SHORT_SEED = 1
GROUPS = ("source", "store", "deaths", "together", "environment", "api", "sessions")
USAGE = 2


def options(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m tests.torture", description="Let everything go wrong, and look.")
    parser.add_argument("--long", action="store_true", help="all scenarios, and a random seed")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="these alone, short or not")
    parser.add_argument("--group", choices=GROUPS, action="append", help="scenarios of this group; may be repeated")
    parser.add_argument("--store", choices=list(STORES), help="on this store alone")
    parser.add_argument("--seed", type=int, help=f"of the first round (short: {SHORT_SEED}, long: random)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="repeat all, each round with the next seed")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all there is to know there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--peers", action="store_true", help="let other tools meet the source's troubles (on Swift)")
    parser.add_argument(
        "--publish", action="store_true", help="with --peers: make the results those of tests/torture/README.md"
    )
    its = parser.parse_args(words)
    if its.publish and (its.only or not its.peers):
        parser.error("--publish takes --peers, and all sources of it: no --only")
    if its.seed is None:
        its.seed = random.randrange(2**31) if its.long else SHORT_SEED
    return its


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line asks for, and return the exit code: 1 if any scenario failed, 2 for wrong usage."""
    its = options(words)
    if its.peers:
        return _compare(its)
    from tests.torture.catalogue import GROUPS as catalogue  # noqa: N811, PLC0415 - it takes longer than `--help` may

    known = {scenario.name for scenarios in catalogue.values() for scenario in scenarios}
    if unknown := set(its.only) - known:
        sys.stderr.write(f"no such scenario: {', '.join(sorted(unknown))} (see --list)\n")
        return USAGE
    chosen = choose(catalogue, its)
    if its.list:
        show(chosen)
        return 0
    return run(chosen, its)


def choose(catalogue: Mapping[str, Sequence[Scenario]], its: argparse.Namespace) -> dict[str, list[Scenario]]:
    """Return the scenarios that are asked for, by group."""
    return {
        group: [one for one in scenarios if (one.name in its.only if its.only else its.long or one.short)]
        for group, scenarios in catalogue.items()
        if not its.group or group in its.group
    }


def show(chosen: Mapping[str, Sequence[Scenario]]) -> None:
    """Name scenarios, a line each."""
    for group, scenarios in chosen.items():
        for one in scenarios:
            say(f"{group:<9} {one.name:<40} {one.expect:<16} {one.what}")


def run(chosen: Mapping[str, Sequence[Scenario]], its: argparse.Namespace) -> int:
    """Run scenarios, tell of each and of all, and return the exit code."""
    say(f"seed {its.seed}")
    planned = turns(chosen, [its.store] if its.store else list(STORES), its.seed, its.rounds)
    results = run_all(planned, lambda result: say(result.line()), its.jobs)
    tell(results, its)
    return int(Totals.of(results).failed > 0 or not results)


def tell(results: Sequence[Result], its: argparse.Namespace) -> None:
    """Print what failed and the table, and write the files that are asked for."""
    for result in results:
        if result.failures:
            say(f"\nFAILED {result.told()}")
    rows = table(results)
    say(f"\n{terminal(rows)}")
    if its.markdown:
        its.markdown.write_text(f"{markdown(rows)}\n")
    if its.json:
        its.json.write_text(f"{machine(results, its.seed)}\n")


def say(text: str) -> None:
    """Print a line at once: a long run is watched."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _compare(its: argparse.Namespace) -> int:
    from tests.torture.peers.peers import compare  # noqa: PLC0415 - it needs tools that need not be here

    its.store = its.store or "swift"  # files of several parts, as its parts are of 5 MiB
    return compare(its)


if __name__ == "__main__":
    sys.exit(main())
