"""What a person is told of an archived recording says what, where, and what it took."""

from __future__ import annotations

from tasks.archive.models import ArchivedFile, ArchivedRecording
from tasks.transfer.report import Transferred, report

FILES = (
    ArchivedFile(path="data/audio/a|b`.mp3", size=1_000, sha256="a" * 64, content_type="audio/mpeg"),
    ArchivedFile(path="data/video/v.mp4", size=123_456_789, sha256="b" * 64, content_type="video/mp4"),
)
ARCHIVED = ArchivedRecording(
    recording_id="one", archive_url="s3://bucket/one/", files=FILES, bytes=123_457_789, duration_s=3723.4
)


def test_a_report_names_the_place_each_file_and_what_the_transfer_took() -> None:
    text = report(ARCHIVED, Transferred([], fetched=50_000_000, seconds=2.0, refreshes=3, resumes=4))
    assert "`s3://bucket/one/`" in text
    assert "| `data/video/v.mp4` | 123,456,789 | video/mp4 |" in text
    assert f"    {'b' * 64}  data/video/v.mp4" in text
    assert "1:02:03 long" in text
    assert "in 2.0 s" in text
    assert "3 fresh URLs, 4 resumed reads" in text


def test_a_file_name_breaks_out_of_no_cell() -> None:
    text = report(ARCHIVED, Transferred([], 0, 0.0, 0, 0))
    assert r"| `data/audio/a\|b'.mp3` | 1,000 | audio/mpeg |" in text


def test_a_recording_of_unknown_length_is_reported_without_one() -> None:
    assert "long" not in report(ARCHIVED.model_copy(update={"duration_s": None}), Transferred([], 0, 0.0, 0, 0))
