"""What it takes in requests: each one to API, source and store for a small recording, and those of a sweep of many."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.standins.realtimekit import MediaSource, StandInRecording

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving

FOR_A_SMALL_RECORDING = (
    ("get_object bagit.txt", "it is not archived yet"),
    ("get_object _deleted/", "it was not deleted on purpose, so that the transfer is not in vain"),
    ("head_object data/video/", "no earlier run has stored the file"),
    ("head_object bagit.txt", "the file that is about to be written is in no bag of another run"),
    ("put_object data/video/", "the file"),
    ("head_object data/video/", "the store has the file, with its size, metadata and checksum"),
    ("get_object bagit.txt", "no other run was faster: its bag would count"),
    ("list_objects_v2 ", "the files lie there; what else does is left from earlier runs"),
    ("list_multipart_uploads ", "uploads that earlier runs have left, and that cost money"),
    ("get_object bagit.txt", "no other run was faster meanwhile"),
    ("put_object recording.json", "the details"),
    ("put_object bag-info.txt", "the description of the bag"),
    ("put_object manifest-sha256.txt", "the checksums"),
    ("put_object tagmanifest-sha256.txt", "the checksums of these"),
    ("list_objects_v2 data/", "no other run has replaced a file since it was verified"),
    ("get_object _deleted/", "nobody has deleted it on purpose meanwhile"),
    ("put_object bagit.txt", "the marker"),
    ("get_object _deleted/", "nor just before there was a marker, which a deletion would have taken away"),
    ("get_object bagit.txt", "the bag is read as a stranger would read it"),
    ("get_object bag-info.txt", "of two runs at once, no tag file is of the other"),
    ("get_object manifest-sha256.txt", "the same"),
    ("get_object recording.json", "the same"),
    ("get_object tagmanifest-sha256.txt", "the same"),
    ("list_objects_v2 ", "what the bag states lies there, and nothing else"),
)
"""Requests to the store, with what no promise could be kept without."""
DELETED = "_deleted/"
FILES = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "recording.json", "tagmanifest-sha256.txt",
         "data/audio/audio.mp3", "data/video/video.mp4")  # fmt: skip


class Requests:
    """Notes the requests to the store, by method and what is below a recording's folder."""

    def __init__(self, folder: str) -> None:
        self.made: list[str] = []
        self._folder = folder

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Note one, and let it pass."""
        path = str(request.get("Key", request.get("Prefix", ""))).removeprefix(self._folder)
        if path.startswith("data/"):
            path = f"{path.rpartition('/')[0]}/"
        elif DELETED in path:
            path = DELETED
        self.made.append(f"{method} {path}")
        return send()


def test_a_small_recording_takes_no_request_that_no_promise_needs(rclone: Archiving) -> None:
    recording = rclone.add(1000)
    requests = Requests(rclone.folder(recording))
    run = rclone.run(requests)
    run.archived(recording.id)
    assert sorted(requests.made) == sorted(request for request, _ in FOR_A_SMALL_RECORDING)
    assert len(rclone.kit.api_requests) == 2  # the details; the session's, for the title of the meeting
    assert len(rclone.kit.file_requests) == 1


@pytest.mark.parametrize("count", [210])
def test_a_sweep_of_archived_recordings_asks_for_pages_only(rclone: Archiving, count: int) -> None:
    now = datetime.now(UTC)
    lay_out(rclone, count, now)
    requests = Requests("")
    plan = rclone.run(requests).planned(now)
    assert (plan.already, plan.to_archive) == (count, ())
    days = 8  # of a week that begins in the middle of a day
    assert len(requests.made) <= len(FILES) * count / 1000 + days
    assert len(rclone.kit.api_requests) <= -(-count // 100) + 3  # not uploaded yet; about to expire; expired


def lay_out(rclone: Archiving, count: int, now: datetime) -> None:
    """Make recordings of a week known, and put files where their bags would be."""
    video, audio = MediaSource(b"vide\0"), MediaSource(b"audi\0", "audio/mpeg")
    for number in range(count):
        invoked = now - timedelta(hours=2 + 165 * number / count)
        recording = StandInRecording(str(uuid.uuid4()), video=video, audio=audio, invoked_time=invoked, duration=60)
        rclone.kit.add(recording)
        bag = rclone.server.folder / rclone.bucket / rclone.folder(recording)
        for name in FILES:
            (bag / name).parent.mkdir(parents=True, exist_ok=True)
            (bag / name).write_bytes(b"\n")
