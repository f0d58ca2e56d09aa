"""A hold wins in every path: over requests, over what has begun, and for what a held recording shares with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.errors import PolicyInvalid
from tests.support.expiring import WHO, Expiring

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

COURT = {"meeting": {"id": "0a1b2c3d-6e1a-4fe4-a799-aa6d9a6ab26e"}}
HOLD = f'keep_days = 90\n[[holds]]\nmeeting_id = "{COURT["meeting"]["id"]}"\nreason = "case"'


@pytest.fixture
def expiring(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> Expiring:
    return Expiring(rclone, monkeypatch)


def test_a_meetings_id_in_capitals_holds_what_a_request_asks_for(expiring: Expiring) -> None:
    recording = expiring.old(1, details=COURT)
    expiring.policy(HOLD.replace(COURT["meeting"]["id"], COURT["meeting"]["id"].upper()))
    report, _ = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert [its.id for its in report.held] == [recording.id]
    assert "bagit.txt" in expiring.bench.names(recording)


def test_a_hold_that_means_nothing_stops_a_request_too(expiring: Expiring) -> None:
    recording = expiring.old(1, details=COURT)
    expiring.policy(HOLD.replace("0a1b2c3d", "0a1b2c3e"))
    before = expiring.rest()
    with pytest.raises(PolicyInvalid, match="nothing in the archive is like that"):
        expiring.run(recording_ids=(recording.id,), **WHO)
    assert expiring.rest() == before
