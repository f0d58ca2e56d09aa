"""Stores that throttle, break, hang, lie and refuse: each trouble is one entry of a table, and becomes one scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture import store_credentials, store_lies, store_passing, store_refusals, store_storms
from tests.torture.store_trouble import scenario_of

if TYPE_CHECKING:
    from tests.torture.scenario import Scenario

TROUBLES = (*store_passing.TROUBLES, *store_refusals.TROUBLES, *store_lies.TROUBLES)
SCENARIOS: tuple[Scenario, ...] = (
    *(scenario_of(trouble) for trouble in TROUBLES),
    *store_credentials.SCENARIOS,
    *store_storms.SCENARIOS,
)
