"""Killed runs, and stores that die: a round of each kind here, with other seeds than these in the long mode."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.archive_child import Death
from tests.torture.runs import deaths
from tests.torture.runs.moments import PART
from tests.torture.runs.processes import Processes
from tests.torture.store import deaths as store_deaths

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Scenario

ON_SWIFT = ("store-restarts-at-a-request",)
"""All others are met on rclone alone, which takes a third of the time."""
SHORT = [
    pytest.param(store, scenario, id=f"{scenario.name}-{store}")
    for scenario in (*deaths.SCENARIOS, *store_deaths.SCENARIOS)
    for store in ("rclone", "swift")
    if scenario.short and (store == "rclone" or scenario.name in ON_SWIFT)
]
SEED = 0


@pytest.mark.parametrize(("store", "scenario"), SHORT)
def test_a_death_costs_no_recording_and_little_time(
    request: pytest.FixtureRequest, store: str, scenario: Scenario
) -> None:
    bench: Archiving = request.getfixturevalue(store)
    assert scenario.failures(scenario.run(bench, SEED)) == []


@pytest.mark.parametrize("how", ["before", "within", "after"])
def test_a_process_dies_at_the_write_that_it_was_told_to_die_at(rclone: Archiving, how: str) -> None:
    recording = rclone.add(3 * rclone.part)
    with Processes(rclone, concurrency=1) as processes:
        # The first two writes begin the upload and record it.
        ended = processes.ended(processes.start(recording, death=Death(3, how)))  # type: ignore[arg-type]
    assert ended.killed
    (upload,) = rclone.run().store.uploads("")
    stored = len(rclone.run().store.parts(upload))
    assert stored in {"before": {0}, "within": {0, 1}, "after": {1}}[how]


def test_no_process_outlives_its_bench(rclone: Archiving) -> None:
    rclone.kit.bandwidth_per_connection = 1
    with Processes(rclone) as processes:
        child = processes.start(rclone.add(1000))
        child.send(signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_bytes_that_were_not_under_way_may_not_be_fetched_twice(rclone: Archiving) -> None:
    recording = rclone.add(4 * PART["rclone"])
    found = deaths.Deaths(runs=1, kills=1)
    settings: dict[str, Any] = {"part_size": PART["rclone"], "concurrency": 1}
    rclone.archived(recording, **settings)
    found.count(rclone, recording, concurrency=1)
    assert found.failures == []
    rclone.archived(recording, overwrite=True, **settings)
    found.count(rclone, recording, concurrency=1)
    assert "were fetched twice" in found.failures[0]
