"""Sources that lie, break, hang, expire and vanish: each trouble is one entry of a table, and becomes one scenario."""

from __future__ import annotations

from tests.torture.source import api, drops, expiry, lies, oddities
from tests.torture.source.trouble import SourceTrouble, scenario_of

__all__ = ["SCENARIOS", "TROUBLES", "SourceTrouble"]

TROUBLES: tuple[SourceTrouble, ...] = (
    *lies.TROUBLES,
    *oddities.TROUBLES,
    *drops.TROUBLES,
    *expiry.TROUBLES,
    *api.TROUBLES,
)

SCENARIOS = tuple(scenario_of(trouble) for trouble in TROUBLES)
