"""Sessions under trouble: a round of each kind here, with other seeds than these in the long mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.sessions.catalogue import SCENARIOS

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Scenario

ON_SWIFT = {"session-at-once", "session-killed"}
"""All others are met on rclone alone, which takes a third of the time."""
SHORT = [
    pytest.param(store, scenario, id=f"{scenario.name}-{store}")
    for scenario in SCENARIOS
    for store in ("rclone", "swift")
    if scenario.short and (store == "rclone" or scenario.name in ON_SWIFT)
]
SEED = 0


@pytest.mark.parametrize(("store", "scenario"), SHORT)
def test_whatever_happens_no_state_is_half_and_nothing_is_lost(
    request: pytest.FixtureRequest, store: str, scenario: Scenario
) -> None:
    bench: Archiving = request.getfixturevalue(store)
    assert scenario.failures(scenario.run(bench, SEED)) == []
