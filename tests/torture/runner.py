"""Runs scenarios one after another, or a few at a time in processes of their own; none that crashes ends the rest."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from tests.torture.report import Result
from tests.torture.stage import Stage, open_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.torture.scenario import Outcome, Scenario

LONGEST_CRASH = 2000
"""Characters of a traceback: its end says most."""


@dataclass(frozen=True)
class Turn:
    """One scenario that is to be run once, on one store."""

    group: str
    scenario: Scenario
    store: str
    seed: int


def turns(groups: Mapping[str, Sequence[Scenario]], stores: Sequence[str], seed: int, rounds: int = 1) -> list[Turn]:
    """Return what is to be run, one store after the other.

    Args:
        groups: scenarios by the name of their group.
        stores: on which of the stores that make sense for a scenario.
        seed: of the first round; each round has the next one.
        rounds: how often each scenario is run.
    """
    return [
        Turn(group, scenario, store, seed + number)
        for store in stores
        for number in range(rounds)
        for group, scenarios in groups.items()
        for scenario in scenarios
        if store in scenario.stores
    ]


def run_all(planned: Sequence[Turn], tell: Callable[[Result], None], jobs: int = 1) -> list[Result]:
    """Run scenarios and return what came of each.

    Args:
        planned: see `turns`.
        tell: given each result as it comes.
        jobs: how many processes, each with stores of its own; if several, scenarios are those of the catalogue.
    """
    results = []
    for result in _one_by_one(planned) if jobs == 1 else _in_processes(planned, jobs):
        tell(result)
        results.append(result)
    return results


def _one_by_one(planned: Sequence[Turn]) -> Iterator[Result]:
    with ExitStack() as stack:
        stages: dict[str, Stage] = {}
        for turn in planned:
            yield _on_stage(turn, stack, stages)


def _on_stage(turn: Turn, stack: ExitStack, stages: dict[str, Stage]) -> Result:
    if turn.store not in stages:
        logging.getLogger().addHandler(logging.NullHandler())  # what runs warn of is part of their trouble
        stages[turn.store] = stack.enter_context(open_stage(turn.store))
    outcome, failures = run_once(turn.scenario, stages[turn.store], turn.seed)
    return Result(turn.group, turn.scenario, turn.store, turn.seed, outcome, failures)


def run_once(scenario: Scenario, stage: Stage, seed: int) -> tuple[Outcome | None, tuple[str, ...]]:
    """Run one scenario, and return what came of it and what is wrong with that; a crash is the scenario's failure."""
    try:
        with stage.bench() as bench:
            outcome = scenario.run(bench, seed)
    except Exception:  # noqa: BLE001 - whatever it is, the others are still to be run
        crash = traceback.format_exc()[-LONGEST_CRASH:].rstrip()
        return None, (f"the scenario itself crashed:\n{crash}",)
    return outcome, tuple(scenario.failures(outcome))


def _in_processes(planned: Sequence[Turn], jobs: int) -> Iterator[Result]:
    # Spawned, as a fork would inherit threads' locks; and what scenarios are made of does not pickle: names do.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        asked = {pool.submit(_by_name, turn.group, turn.scenario.name, turn.store, turn.seed): turn for turn in planned}
        for future in as_completed(asked):
            turn = asked[future]
            yield Result(turn.group, turn.scenario, turn.store, turn.seed, *future.result())


_stages: dict[str, Stage] = {}
"""Those of a process that runs what it is told."""
_stack = ExitStack()


def _by_name(group: str, name: str, store: str, seed: int) -> tuple[Outcome | None, tuple[str, ...]]:
    if not _stages:
        atexit.register(_stack.close)
    catalogue = import_module("tests.torture.catalogue").GROUPS[group]
    scenario = next(scenario for scenario in catalogue if scenario.name == name)
    result = _on_stage(Turn(group, scenario, store, seed), _stack, _stages)
    return result.outcome, result.failures
