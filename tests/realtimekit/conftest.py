"""What the tests of the API share: RealtimeKit with one recording, and a client of it that never waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn, StandInRecording
from tests.support.calling import ID, TOKEN, client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.realtimekit import RealtimeKit


@pytest.fixture
def kit() -> Iterator[RealtimeKitStandIn]:
    with RealtimeKitStandIn(token=TOKEN) as stand_in:
        stand_in.add(StandInRecording(ID, video=MediaSource(b"12345")))
        yield stand_in


@pytest.fixture
def api(kit: RealtimeKitStandIn) -> Iterator[RealtimeKit]:
    with client(kit) as api:
        yield api
