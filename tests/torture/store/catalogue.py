"""Stores that throttle, break, hang, lie and refuse: each trouble is one entry of a table, and becomes one scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.store import credentials, lies, passing, refusals, storms
from tests.torture.store.trouble import scenario_of

if TYPE_CHECKING:
    from tests.torture.scenario import Scenario

TROUBLES = (*passing.TROUBLES, *refusals.TROUBLES, *lies.TROUBLES)
SCENARIOS: tuple[Scenario, ...] = (
    *(scenario_of(trouble) for trouble in TROUBLES),
    *credentials.SCENARIOS,
    *storms.SCENARIOS,
)
