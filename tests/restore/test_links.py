"""Links to files of archived recordings read these files, until their end, and for nobody who changes them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tasks.errors import NotArchived, NotInBag
from tasks.restore import ChosenBag, Link, find_recordings, make_links, parse_lifetime
from tasks.s3 import PresignedDownloads

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

LOG = logging.getLogger(__name__)
ROOT = "archive/"


def links(bench: Archiving, recording: StandInRecording, *paths: str, lifetime_s: int = 3600) -> list[Link]:
    store = bench.run().store
    (chosen,) = find_recordings(store, ROOT, [recording.id], (), LOG)
    return make_links(store, PresignedDownloads(bench.s3, bench.bucket), ROOT, chosen, paths, lifetime_s)


def test_a_link_reads_the_file_and_no_other(bench: Archiving) -> None:
    recording = bench.add(1000)
    bench.archived(recording)
    (link,) = links(bench, recording)
    content = recording.video.content.read(0, 1000)  # type: ignore[union-attr]
    answer = httpx.get(link.url)
    assert (answer.status_code, answer.content) == (200, content)
    assert httpx.get(link.url, headers={"Range": "bytes=10-19"}).content == content[10:20]
    assert httpx.get(link.url.replace(link.path, "recording.json")).status_code == 403
    assert timedelta(minutes=58) < link.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    (of_details,) = links(bench, recording, "recording.json")
    assert httpx.get(of_details.url).json()["id"] == recording.id


def test_a_file_or_a_recording_that_is_not_there_gets_no_link(rclone: Archiving) -> None:
    recording = rclone.add(1000)
    rclone.archived(recording)
    with pytest.raises(NotInBag, match=rf"no 'data/no.mp4'.*data/video/{recording.id}\.mp4"):
        links(rclone, recording, "data/no.mp4")
    with pytest.raises(NotArchived):
        make_links(
            rclone.run().store,
            PresignedDownloads(rclone.s3, rclone.bucket),
            ROOT,
            ChosenBag("recording", recording.id, ""),
            (),
            60,
        )


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)])
def test_a_lifetime_has_a_unit(text: str, seconds: int) -> None:
    assert parse_lifetime(text) == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [("8d", "7d at most"), ("169h", "7d at most"), ("0d", "such as 2d"), ("2", "such as 2d"), ("-1d", "such as 2d")],
)
def test_a_lifetime_that_no_link_can_have_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_lifetime(text)
