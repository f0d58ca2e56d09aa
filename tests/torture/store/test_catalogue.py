"""The store fails in every way we know of, at every stage: nothing false is archived, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.store.catalogue import SCENARIOS

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Scenario

ON_SWIFT = {
    "small-corrupted",
    "complete-lost",
    "marker-lost",
    "read-back-corrupted",
    "part-listed-though-missing",
    "listing-lacks-marker",
}
"""Swift takes ten times as long as rclone: of it, those in which the two behave differently."""


def _short() -> list[tuple[Scenario, str]]:
    short = [(scenario, store) for scenario in SCENARIOS if scenario.short for store in scenario.stores]
    return [(scenario, store) for scenario, store in short if store == "rclone" or scenario.name in ON_SWIFT]


@pytest.mark.parametrize(
    ("scenario", "store"), [pytest.param(its, store, id=f"{its.name}-{store}") for its, store in _short()]
)
def test_it_ends_as_it_must(scenario: Scenario, store: str, request: pytest.FixtureRequest) -> None:
    bench: Archiving = request.getfixturevalue(store)
    failures = scenario.failures(scenario.run(bench, 1))
    assert not failures, failures


def test_names_are_unique_and_what_is_to_run_on_swift_is_there() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(names) == len(set(names))
    assert {scenario.name for scenario, store in _short() if store == "swift"} == ON_SWIFT
