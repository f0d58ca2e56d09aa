"""A session is found by its id and the days on which it may have begun: its newest version that is whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tasks.archive import find_session
from tests.support.meetings import Meeting, chat

if TYPE_CHECKING:
    from tests.support.archiving import Archiving


def test_the_newest_version_that_is_whole_is_found(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone)
    meeting.put("chat", chat("Hello"), "chat.json", "application/json")
    rclone.run().archived_session(meeting.id)
    meeting.put("chat", chat("Hello", "Bye"), "chat.json", "application/json")
    rclone.run().archived_session(meeting.id)
    day, bucket = meeting.session.started_at.date(), rclone.run().store

    def version(*days_after: int) -> int:
        days = [day + timedelta(days=days) for days in days_after]
        found = find_session(bucket, "archive/", rclone.kit.app_id, meeting.id, days)
        assert found is None or found.folder == f"{meeting.folder}v{found.version:04}/"
        return found.version if found else 0

    assert version(0) == version(1, 0, -1) == 2
    assert version(1, 2) == version() == 0
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=f"{meeting.folder}v0002/data/chat.json")
    assert version(0) == 1
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=f"{meeting.folder}v0001/bagit.txt")
    assert version(0) == 0
