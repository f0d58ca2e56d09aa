"""A recording's way goes through its stages in one order, and ends at once where there is nothing left to do."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import pytest

from tasks.errors import NotUploadedInTime
from tasks.pipeline import Options, archive_recording
from tasks.session import Session, StoreAccess
from tests.standins.realtimekit import MediaSource, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.archiving import Archiving

P = ParamSpec("P")
R = TypeVar("R")
LOG = logging.getLogger(__name__)


class Noted:
    """Runs stages as they are, and notes their names."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def __call__(self, stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a stage."""
        self.stages.append(stage.__name__)
        return stage(*args, **kwargs)


@pytest.fixture
def session(rclone: Archiving) -> Iterator[Session]:
    settings = rclone.setup().settings().model_copy(update={"poll_interval": 0.01})
    with closing(Session(settings, LOG, store_access=StoreAccess(settings, rclone.s3))) as opened:
        yield opened


def test_a_recording_goes_through_all_stages_in_order(session: Session, rclone: Archiving) -> None:
    run = Noted()
    outcome = archive_recording(session, rclone.add(100).id, run=run)
    assert run.stages == ["fetch_details", "find_archive", "wait_until_uploaded", "transfer_media", "commit_archive"]
    assert outcome.transferred is not None
    assert outcome.transferred.fetched == 100


def test_what_is_archived_is_found_and_nothing_else_is_done(session: Session, rclone: Archiving) -> None:
    recording, run = rclone.add(100), Noted()
    first = archive_recording(session, recording.id).archived
    again = archive_recording(session, recording.id, run=run)
    assert run.stages == ["fetch_details", "find_archive"]
    assert again.transferred is None
    assert again.archived == first.model_copy(update={"already_archived": True, "lag_s": None})


def test_an_overwrite_does_not_look_for_the_archive_that_it_replaces(session: Session, rclone: Archiving) -> None:
    recording, run = rclone.add(100), Noted()
    archive_recording(session, recording.id)
    outcome = archive_recording(session, recording.id, Options(overwrite=True), run)
    assert run.stages == ["fetch_details", "wait_until_uploaded", "transfer_media", "commit_archive"]
    assert not outcome.archived.already_archived


def test_an_archive_that_another_run_made_during_the_wait_is_found(session: Session, rclone: Archiving) -> None:
    recording, run = rclone.add(100, statuses=("UPLOADING", "UPLOADED")), Noted()

    def run_stage(stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        result = run(stage, *args, **kwargs)
        if stage.__name__ == "wait_until_uploaded":
            archive_recording(session, recording.id)
        return result

    outcome = archive_recording(session, recording.id, Options(wait_timeout_s=20), run_stage)
    assert run.stages == ["fetch_details", "find_archive", "wait_until_uploaded", "find_archive"]
    assert outcome.archived.already_archived


def test_a_recording_that_is_not_uploaded_in_time_ends_the_run_and_tells_when_it_was_begun(
    session: Session, rclone: Archiving
) -> None:
    recording = rclone.add(MediaSource(SyntheticContent(100)), status="RECORDING")
    with pytest.raises(NotUploadedInTime) as raised:
        archive_recording(session, recording.id)
    assert raised.value.begun is not None
    assert abs(raised.value.begun - recording.invoked_time) < timedelta(seconds=1)
