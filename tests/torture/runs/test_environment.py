"""However badly a machine is set up: a command archives, or says in a paragraph what to do, and shows no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.runs.environment import SCENARIOS

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Scenario


@pytest.mark.parametrize("scenario", [pytest.param(its, id=its.name) for its in SCENARIOS if its.short])
def test_it_ends_as_it_must(scenario: Scenario, rclone: Archiving) -> None:
    assert scenario.failures(scenario.run(rclone, 1)) == []
