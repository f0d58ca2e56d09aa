"""Versions of a session's bag: none is ever half visible, whoever else is at work and whatever was left behind."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import Month, days_beside, layout
from tasks.errors import ArchiverError
from tests.support.auditing import audited
from tests.support.meddling import WRITES, Between, Failing, refusal
from tests.support.meetings import SUMMARY, Meeting, chat, transcript

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.archiving import Archiving

HELLO = transcript("Hello")


def full(bench: Archiving) -> Meeting:
    """Let a session end with a transcript and a summary, of which an earlier version has the transcript."""
    meeting = Meeting.at(bench)
    meeting.put("transcript", HELLO)
    bench.run().archived_session(meeting.id)
    meeting.put("summary", SUMMARY)
    return meeting


def writes_of(bench: Archiving) -> int:
    """Return how many writes it takes to add a version."""
    count = Between(0, lambda: None)
    bench.run(count).archived_session(full(bench).id)
    return len(count.calls)


def test_whichever_write_fails_what_is_visible_is_whole_and_the_next_run_finishes(bench: Archiving) -> None:
    for number in range(1, writes_of(bench) + 1):
        meeting, failing = full(bench), Failing(number)
        try:
            bench.run(failing).archived_session(meeting.id)
        except ArchiverError:
            assert failing.happened
        assert meeting.wrong() == []
        assert meeting.newest()["data/transcript.csv"] == HELLO
        bench.run().archived_session(meeting.id)
        assert meeting.wrong() == []
        assert meeting.payload() == {"data/transcript.csv": HELLO, "data/summary.md": SUMMARY}


def test_a_whole_run_between_any_two_writes_of_another_loses_nothing(bench: Archiving) -> None:
    for number in range(1, writes_of(bench) + 1):
        meeting = full(bench)

        def other(meeting: Meeting = meeting) -> None:
            meeting.put("chat", chat("hi"))
            bench.run().archived_session(meeting.id)

        between = Between(number, other)
        bench.run(between).archived_session(meeting.id)
        assert between.happened
        assert meeting.wrong() == []
        assert meeting.payload() == {
            "data/transcript.csv": HELLO, "data/summary.md": SUMMARY, "data/chat.json": chat("hi"),
        }  # fmt: skip
        versions = len(meeting.versions())
        assert not bench.run().archived_session(meeting.id).changed
        assert len(meeting.versions()) == versions


def test_runs_that_fetched_different_states_do_not_replace_each_other_without_end(rclone: Archiving) -> None:
    newer = transcript("Hello", "everyone")
    for number in range(1, writes_of(rclone) + 1):
        meeting = full(rclone)

        def other(meeting: Meeting = meeting) -> None:
            meeting.put("transcript", newer)
            rclone.run().archived_session(meeting.id)

        rclone.run(Between(number, other)).archived_session(meeting.id)
        assert meeting.wrong() == []
        assert {files["data/transcript.csv"] for files in meeting.versions().values()} == {HELLO, newer}
        assert len(meeting.versions()) <= 4
        rclone.run().archived_session(meeting.id)
        assert meeting.payload() == {"data/transcript.csv": newer, "data/summary.md": SUMMARY}


def test_runs_that_start_together_end_with_whole_versions(bench: Archiving, tmp_path: Path) -> None:
    meeting, start = full(bench), Barrier(3)

    def archive(_number: int) -> None:
        start.wait()
        bench.run().archived_session(meeting.id)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(archive, range(3)))
    assert meeting.wrong() == []
    assert meeting.payload() == {"data/transcript.csv": HELLO, "data/summary.md": SUMMARY}
    assert not bench.run().archived_session(meeting.id).changed
    assert not [key for key in bench.stored_keys(meeting.folder) if "/unfinished/" in key]
    meeting.validate(tmp_path)


def test_a_version_that_a_killed_run_has_left_is_passed_over_and_no_damage(rclone: Archiving) -> None:
    meeting = full(rclone)

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method.startswith(WRITES) and request["Key"].endswith("v0002/bagit.txt"):
            raise refusal("AccessDenied", 403)
        return send()

    with pytest.raises(ArchiverError):
        rclone.run(meddle).archived_session(meeting.id)
    assert list(meeting.versions()) == [1]
    assert rclone.run().archived_session(meeting.id).version == 3
    later = audited(rclone, later=timedelta(days=2))
    assert (later.findings, later.notices) == ({}, {"half done and forgotten"})


def test_a_lost_marker_is_damage(rclone: Archiving) -> None:
    meeting = full(rclone)
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=f"{meeting.folder}v0001/bagit.txt")
    assert audited(rclone, later=timedelta(days=2)).findings == {
        f"session-{meeting.id}/v0001": [("missing", "bagit.txt")]
    }


def test_credentials_that_may_not_delete_archive_all_the_same(rclone: Archiving, tmp_path: Path) -> None:
    def meddle(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method.startswith("delete_"):
            raise refusal("AccessDenied", 403)
        return send()

    meeting = full(rclone)
    assert rclone.run(meddle).archived_session(meeting.id).version == 2
    assert not rclone.run(meddle).archived_session(meeting.id).changed
    meeting.validate(tmp_path)


def test_keys_of_sessions_are_read_as_they_are_written() -> None:
    day = "14a396e7-ca44-4937-bf1f-050a69118543/2026/11/20/"
    folder = f"{day}session-182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e/"
    version = layout.version_folder(folder, 7)
    key = layout.parse_key(f"{version}data/transcript.csv")
    assert key is not None
    assert (key.folder, key.path) == (version, "data/transcript.csv")
    assert layout.parse_folder(version) == "14a396e7-ca44-4937-bf1f-050a69118543"
    assert (layout.version_of(version), layout.version_of(folder), layout.version_of(day)) == (7, 0, 0)
    assert layout.tag_files(version) == layout.SESSION_TAG_FILES
    assert layout.tag_files(f"{day}182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e/") == layout.TAG_FILES
    assert layout.parse_key(f"{folder}x/data/a") is None
    derived = [f"{day}182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e{end}" for end in (".vtt", ".txt", ".poster.jpg")]
    assert all(map(layout.is_derived, derived))
    assert [layout.is_poster(path) for path in derived] == [False, False, True]


@pytest.mark.parametrize(
    ("month", "days"),
    [
        ("2026-03", ["2026/02/27", "2026/02/28", "2026/04/01"]),
        ("2026-12", ["2026/11/29", "2026/11/30", "2027/01/01"]),
        ("0000-00", []), ("2026-13", []), ("9999-12", []),
    ],
)  # fmt: skip
def test_sessions_of_a_months_recordings_may_lie_two_days_before_the_month_and_one_after(
    month: str, days: list[str]
) -> None:
    assert days_beside(Month("app", month)) == [f"app/{day}" for day in days]


def test_an_upload_has_the_same_path_however_its_url_is_signed_and_no_name_of_a_stranger() -> None:
    path = layout.upload_path("https://a.example/../x/<b>.png?X-Amz-Signature=1", "png")
    assert path == layout.upload_path("https://a.example/../x/<b>.png?X-Amz-Signature=2#y", "png")
    assert path == layout.upload_path("https://a.example/../x/<b>.png?signature=removed", "png")
    one, other = (layout.upload_path(f"https://a.example/file?id={number}", "bin") for number in (1, 2))
    assert one != other
    assert path.removeprefix(layout.UPLOADS).removesuffix(".png").isalnum()
    assert layout.document_name(path) == path
    assert layout.document_name("data/transcript.csv") == "transcript"


def test_what_strangers_wrote_stays_in_its_place(rclone: Archiving, tmp_path: Path) -> None:
    meeting = Meeting.at(rclone, title="x\r\nBag-Group-Identifier: y", participants=0)
    meeting.session.participants.append({"id": "1", "display_name": "../../\x00\u202e<script>"})
    meeting.session.details = {"associated_id": "abcdef-ghijkl"}
    rclone.run().archived_session(meeting.id)
    info = meeting.newest()["bag-info.txt"].decode()
    assert info.count("\nBag-Group-Identifier:") == 1
    assert "\nMeeting-Title: x Bag-Group-Identifier: y\n" in info
    assert "Meeting-Identifier: abcdef-ghijkl\n" in info
    assert json.loads(meeting.newest()["participants.json"])[0]["display_name"].startswith("../../")
    meeting.validate(tmp_path)
