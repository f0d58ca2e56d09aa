"""Whatever shape the API's answer has: a URL in it leads to an archive or to a loud error, and never to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.source.api_shapes import SCENARIOS

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Scenario


@pytest.mark.parametrize("scenario", [pytest.param(its, id=its.name) for its in SCENARIOS])
def test_it_ends_as_it_must(scenario: Scenario, rclone: Archiving) -> None:
    assert scenario.failures(scenario.run(rclone, 1)) == []


def test_made_up_shapes_lead_to_archives(rclone: Archiving) -> None:
    made_up = SCENARIOS[-1]
    for seed in range(2, 8):
        assert made_up.failures(made_up.run(rclone, seed)) == []
