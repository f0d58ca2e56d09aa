"""What nothing proves is never silently believed: it is refused, read again, or archived with a finding."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import SizeDisagrees, SourceChanged, SourceLied, SourceUnavailable, VideoEmpty
from tasks.transfer.report import Transferred, report
from tests.standins.lies import IgnoreRange, OtherETag
from tests.standins.media import audio_mp3, track_webm, video_mp4
from tests.standins.oddities import Headers
from tests.standins.realtimekit import AUTO, Answer, MediaSource, SyntheticContent
from tests.support.bags import bag_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standins.realtimekit import FileRequest, StandInRecording
    from tests.support.archiving import Archiving

WHOLE, CUT = audio_mp3(400_000), audio_mp3(400_000)[:-50]


def audio(bench: Archiving, content: bytes, **source: Any) -> StandInRecording:
    return bench.add(audio=MediaSource(content, "audio/mpeg", **source))


def finding_of(bench: Archiving, recording: StandInRecording) -> str:
    (finding,) = bench.archived(recording).findings
    return finding


def test_a_finding_is_logged_and_stated_by_the_bag_and_comes_back_with_every_later_look(
    bench: Archiving, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracks = {"a.webm": track_webm(1)[:-9], "b.webm": track_webm(2), "c.webm": b""}
    recording = bench.add(tracks={"default": {name: MediaSource(data, "audio/webm") for name, data in tracks.items()}})
    with caplog.at_level(logging.WARNING):
        archived = bench.archived(recording)
    assert archived.findings == (
        "data/tracks/default/a.webm may not be whole: its WebM ends 9 bytes early.",
        "data/tracks/default/c.webm is empty: 0 bytes.",
    )
    assert [record.getMessage().partition(". ")[0] + "." for record in caplog.records] == list(archived.findings)
    info = (bag_of(bench, tmp_path) / "bag-info.txt").read_text()
    assert [line for line in info.splitlines() if line.startswith("Archive-Finding: ")] == [
        f"Archive-Finding: {finding}" for finding in archived.findings
    ]
    found = bench.archived(recording)
    assert (found.already_archived, found.findings) == (True, archived.findings)
    assert json.loads(found.model_dump_json())["findings"] == list(archived.findings)
    assert "a.webm may not be whole" in report(archived, Transferred([], 0, 1, 0, 0))


def test_media_that_are_whole_leave_no_finding_with_or_without_ranges(rclone: Archiving) -> None:
    for source in ({}, {"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}):
        assert rclone.archived(audio(rclone, WHOLE, **source)).findings == ()
    video = MediaSource(video_mp4())
    assert rclone.archived(rclone.add(video, file_size=None)).findings == ()


def test_a_video_is_looked_at_although_its_size_is_announced(rclone: Archiving) -> None:
    recording = rclone.add(MediaSource(video_mp4()[:-1000]))
    assert "ends 1,000 bytes early" in finding_of(rclone, recording)
    assert "no container that is known" in finding_of(rclone, rclone.add(1000))


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_an_interrupted_run_stored_is_looked_at_as_well(
    rclone: Archiving,
    overwrite: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    recording = audio(rclone, CUT)
    rclone.kit.file_faults = lambda request: Answer.slow_down(3600) if request.start else None
    with pytest.raises(SourceUnavailable):
        rclone.archived(recording, concurrency=1, overwrite=overwrite)
    rclone.kit.file_faults = []
    run = rclone.run()
    with caplog.at_level(logging.WARNING):
        archived = run.archived(recording.id, overwrite=overwrite)
    assert "ends within a frame" in archived.findings[0]
    assert [record.getMessage().partition(". ")[0] + "." for record in caplog.records] == list(archived.findings)
    assert sum(run.counted.already.values()) == rclone.part


def test_what_is_cut_off_under_a_strong_etag_is_archived_at_once_and_told(rclone: Archiving) -> None:
    recording = audio(rclone, CUT)
    assert "ends within a frame" in finding_of(rclone, recording)
    assert rclone.kit.bytes_served() == len(CUT)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_cut_off_and_says_so_by_its_length_alone_is_read_again_first(
    rclone: Archiving,
    overwrite: bool,  # noqa: FBT001
) -> None:
    recording = audio(rclone, CUT, ranges=False)
    assert "ends within a frame" in rclone.archived(recording, overwrite=overwrite).findings[0]
    assert rclone.kit.bytes_served() == 2 * len(CUT)
    assert rclone.left_over() == []


def test_what_a_proxy_cut_off_once_is_archived_whole(rclone: Archiving) -> None:
    recording = audio(rclone, CUT, etag=None)
    assert recording.audio is not None
    source = recording.audio

    def whole_from_the_third_on(request: FileRequest) -> None:
        if request.number == 3:  # the first tells that there are no ranges, the second reads
            source.replace(WHOLE, etag=None)

    rclone.kit.on_file_request = whole_from_the_third_on
    archived = rclone.archived(recording)
    assert (archived.findings, archived.bytes) == ((), len(WHOLE))


def test_what_is_cut_off_elsewhere_at_each_reading_is_an_error_worth_retrying(rclone: Archiving) -> None:
    recording = audio(rclone, CUT, ranges=False)
    assert recording.audio is not None
    source = recording.audio
    rclone.kit.on_file_request = lambda request: source.replace(CUT[: -request.number])
    with pytest.raises(SourceChanged, match="3 different files"):
        rclone.archived(recording)
    assert "bagit.txt" not in rclone.names(recording)


def test_a_video_without_a_byte_is_no_success_while_audio_without_one_is(rclone: Archiving) -> None:
    recording = rclone.add(0)
    with pytest.raises(VideoEmpty) as caught:
        rclone.archived(recording)
    assert not caught.value.retryable
    assert "bagit.txt" not in rclone.names(recording)
    for etag, ranges in ((AUTO, True), (None, True), (AUTO, False)):
        assert "is empty" in finding_of(rclone, audio(rclone, b"", etag=etag, ranges=ranges))


@pytest.mark.parametrize("oddity", [IgnoreRange(), OtherETag('W/"it"'), OtherETag(None)], ids=str)
def test_a_source_whose_later_ranges_prove_nothing_is_read_as_a_whole_in_the_same_run(
    rclone: Archiving, oddity: Any
) -> None:
    recording = rclone.add(MediaSource(SyntheticContent(3 * rclone.part), etag='"it"'))
    rclone.kit.file_faults = lambda request: oddity if request.start else None
    assert rclone.archived(recording).bytes == 3 * rclone.part
    assert rclone.left_over() == []


def test_two_servers_of_which_one_knows_no_ranges_serve_a_file_together(rclone: Archiving) -> None:
    recording = rclone.add(6 * rclone.part)
    rclone.kit.file_faults = lambda request: IgnoreRange() if request.number % 2 == 0 else None
    assert rclone.archived(recording).bytes == 6 * rclone.part


def test_a_part_that_calls_itself_the_whole_is_not_archived_as_one(rclone: Archiving) -> None:
    content = audio_mp3(3 * rclone.part)
    recording = audio(rclone, content)
    rclone.kit.file_faults = lambda _: Headers("Accept-Ranges", "bytes", 200)
    assert rclone.archived(recording).bytes == len(content)
    recording = audio(rclone, content)
    half = f"bytes 0-{rclone.part - 1}/{len(content)}"
    rclone.kit.file_faults = lambda request: Headers("Content-Range", half, 200) if not request.start else None
    assert rclone.archived(recording).bytes == len(content)
    recording = audio(rclone, content, ranges=False)
    rclone.kit.file_faults = lambda _: Headers("Content-Range", half)
    with pytest.raises(SourceLied):
        rclone.archived(recording)


def test_another_size_than_the_apis_is_archived_if_a_person_accepts_it_and_both_are_stated(
    bench: Archiving, tmp_path: Path
) -> None:
    recording = bench.add(2 * bench.part, file_size=2 * bench.part + 1)
    sizes = f"{2 * bench.part:,} bytes where the API announces {2 * bench.part + 1:,}"
    stated = f"data/video/{recording.video_name} has {sizes}: a person accepted that, and the source held it twice."
    assert stated in bench.archived(recording, accept_size=True).findings
    assert f"Archive-Finding: {stated}\n" in (bag_of(bench, tmp_path) / "bag-info.txt").read_text()
    asked = [request for request in bench.kit.api_requests if request.recording_id]
    assert len(asked) == 2, "the details, and a fresh URL for the second look"
    assert stated in bench.archived(recording).findings, "by a run that accepts nothing, as it is archived"


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_another_size_is_not_accepted_without_a_strong_etag(rclone: Archiving, etag: str | None) -> None:
    recording = rclone.add(MediaSource(SyntheticContent(1000, seed=1), etag=etag), file_size=999)
    with pytest.raises(SizeDisagrees, match="--accept-size"):
        rclone.archived(recording, accept_size=True)
    assert rclone.names(recording) == set()


def test_another_size_is_not_accepted_of_a_file_that_is_another_at_the_second_look(rclone: Archiving) -> None:
    source = MediaSource(SyntheticContent(1000, seed=1))
    recording = rclone.add(source, file_size=999)

    def replace(request: FileRequest) -> None:
        if request.number == 2:
            source.replace(SyntheticContent(1000, seed=2))

    rclone.kit.on_file_request = replace
    with pytest.raises(SourceChanged):
        rclone.archived(recording, accept_size=True)
    assert rclone.names(recording) == set()
