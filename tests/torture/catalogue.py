"""All scenarios there are, by the group that they are asked for."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from tests.torture.runs import deaths, environment, flow_deaths, together
from tests.torture.sessions import catalogue as sessions
from tests.torture.source import api_shapes
from tests.torture.source import catalogue as source
from tests.torture.store import catalogue as store
from tests.torture.store import deaths as store_deaths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.torture.scenario import Scenario


def _distinct(*catalogues: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    """Join catalogues; a scenario that is in several counts once."""
    return tuple({scenario.name: scenario for scenario in chain(*catalogues)}.values())


GROUPS: Mapping[str, tuple[Scenario, ...]] = {
    "source": source.SCENARIOS,
    "store": _distinct(store.SCENARIOS, store_deaths.SCENARIOS),
    "deaths": _distinct(deaths.SCENARIOS, flow_deaths.SCENARIOS),
    "together": together.SCENARIOS,
    "environment": environment.SCENARIOS,
    "api": api_shapes.SCENARIOS,
    "sessions": sessions.SCENARIOS,
}
