"""What a run leaves in Prefect's UI while it moves files is text, whatever the files are called."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

from tasks.orchestration.artifacts import ProgressArtifacts
from tasks.transfer.progress import FileProgress

if TYPE_CHECKING:
    import pytest


def test_a_participants_name_is_no_link_in_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def create(percent: float, key: str, description: str) -> uuid.UUID:
        assert (percent, key) == (50.0, "transfer-tracks-one")
        told.append(description)
        return uuid.uuid4()

    monkeypatch.setattr("tasks.orchestration.artifacts.create_progress_artifact", create)
    named, other = "data/tracks/[me](javascript_x).webm", "data/tracks/b"
    files = [FileProgress(named, 1000, 0, done=1000, since=0.0), FileProgress(other, 1000, 0, done=0, since=0.0)]
    ProgressArtifacts("one", logging.getLogger(__name__)).show(files)
    first, second = told[0].split("\n")
    assert "](" not in first
    assert "[me" in first
    assert second.startswith("data/tracks/b: 0 bytes of")
