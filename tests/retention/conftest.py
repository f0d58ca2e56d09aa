"""An archive whose recordings are deleted, and a meeting in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.expiring import Expiring
from tests.support.meetings import Meeting, transcript

if TYPE_CHECKING:
    from tests.support.archiving import Archiving


@pytest.fixture
def expiring(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> Expiring:
    return Expiring(rclone, monkeypatch)


@pytest.fixture
def meeting(rclone: Archiving) -> Meeting:
    meeting = Meeting.at(rclone)
    meeting.put("transcript", transcript("Hello"))
    return meeting
