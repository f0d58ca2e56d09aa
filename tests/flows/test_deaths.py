"""The whole flow, ended from outside in mid-work: a round of each kind here, more in the torture suite's long mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.runs.flow_deaths import GIVEN, SCENARIOS

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Scenario

pytestmark = pytest.mark.duty
SEED = 2


@pytest.mark.parametrize("scenario", [its for its in SCENARIOS if its.short], ids=lambda its: its.name)
def test_a_flow_that_is_ended_costs_no_recording(
    scenario: Scenario, rclone: Archiving, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GIVEN, prefect_api)
    assert scenario.failures(scenario.run(rclone, SEED)) == []
