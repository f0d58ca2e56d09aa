"""Sources that lie, break, hang, expire and vanish: each trouble is one entry of a table, and becomes one scenario."""

from __future__ import annotations

from tests.torture import source_api, source_drops, source_expiry, source_lies, source_oddities
from tests.torture.source_trouble import SourceTrouble, scenario_of

__all__ = ["SCENARIOS", "TROUBLES", "SourceTrouble"]

TROUBLES: tuple[SourceTrouble, ...] = (
    *source_lies.TROUBLES,
    *source_oddities.TROUBLES,
    *source_drops.TROUBLES,
    *source_expiry.TROUBLES,
    *source_api.TROUBLES,
)

SCENARIOS = tuple(scenario_of(trouble) for trouble in TROUBLES)
