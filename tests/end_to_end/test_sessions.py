"""What belongs to a session is archived as it comes, and nothing of it is lost again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tasks.errors import SessionIdInvalid, SessionLive, SessionNotFound
from tests.standins.realtimekit import Answer, HtmlPage, MediaSource, StandInDocument
from tests.support.auditing import audited
from tests.support.meetings import SUMMARY, Meeting, chat, transcript

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.archiving import Archiving

HELLO, MORE = transcript("Hello"), transcript("Hello", "everyone")


@pytest.fixture
def meeting(rclone: Archiving) -> Meeting:
    return Meeting.at(rclone)


def test_all_that_is_there_becomes_one_bag_that_a_stranger_takes(bench: Archiving, tmp_path: Path) -> None:
    meeting = Meeting.at(bench)
    recording = meeting.add_recording()
    meeting.put("transcript", HELLO)
    meeting.put("chat", chat("hi", "=1+1"), "chat.csv")
    meeting.put("summary", SUMMARY)
    archived = bench.run().archived_session(meeting.id)
    assert (archived.session_id, archived.version, archived.changed) == (meeting.id, 1, True)
    assert archived.archive_url == f"s3://{bench.bucket}/{meeting.folder}v0001/"
    assert (archived.missing, archived.findings, archived.is_complete) == ((), (), True)
    types = {file.path: file.content_type.partition(";")[0] for file in archived.files}
    assert types == {
        "data/transcript.csv": "text/csv", "data/chat.json": "application/json", "data/summary.md": "text/markdown",
    }  # fmt: skip
    payload = meeting.payload()
    assert payload["data/transcript.csv"] == HELLO
    assert (meeting.wrong(), meeting.findings()) == ([], [])
    meeting.validate(tmp_path)
    info = meeting.newest()["bag-info.txt"].decode()
    assert f"Bag-Group-Identifier: {meeting.id}\n" in info
    assert f"Recording-Identifier: {recording.id}\n" in info
    assert json.loads(meeting.newest()["session.json"])["id"] == meeting.id
    head = bench.s3.head_object(Bucket=bench.bucket, Key=f"{meeting.folder}v0001/data/transcript.csv")
    assert head["ContentType"].startswith("text/csv")


def test_a_recordings_bag_and_its_sessions_bag_are_of_one_group(rclone: Archiving, meeting: Meeting) -> None:
    recording = meeting.add_recording()
    rclone.archived(recording)
    rclone.run().archived_session(meeting.id)
    infos = [body.decode() for key, body in rclone.objects().items() if key.endswith("/bag-info.txt")]
    assert len(infos) == 2
    assert all(f"Bag-Group-Identifier: {meeting.id}\n" in info for info in infos)


def test_each_state_is_a_version_and_nothing_new_is_none(rclone: Archiving, meeting: Meeting, tmp_path: Path) -> None:
    run = rclone.run()
    first = run.archived_session(meeting.id)
    assert [(piece.name, piece.may_come) for piece in first.missing] == [
        ("transcript", True), ("chat", True), ("summary", True),
    ]  # fmt: skip
    assert meeting.payload().keys() == {"data/missing.txt"}
    meeting.put("transcript", HELLO)
    assert (run.archived_session(meeting.id).version, run.archived_session(meeting.id).changed) == (2, False)
    meeting.put("summary", SUMMARY)
    before = rclone.objects()
    assert run.archived_session(meeting.id).version == 3
    assert meeting.payload() == {"data/transcript.csv": HELLO, "data/summary.md": SUMMARY}
    assert before.items() <= rclone.objects().items()
    assert meeting.wrong() == []
    meeting.validate(tmp_path)
    assert meeting.findings() == ["The chat is not here yet."]


def test_what_the_source_hands_out_no_more_is_carried_over(rclone: Archiving, meeting: Meeting) -> None:
    meeting.put("transcript", HELLO)
    rclone.run().archived_session(meeting.id)
    meeting.session.transcript = StandInDocument()
    meeting.put("chat", chat("hi"))
    archived = rclone.run().archived_session(meeting.id)
    assert meeting.payload() == {"data/transcript.csv": HELLO, "data/chat.json": chat("hi")}
    assert [piece.name for piece in archived.missing] == ["summary"]
    meeting.session.chat = StandInDocument()
    assert not rclone.run().archived_session(meeting.id).changed


def test_a_document_that_was_replaced_is_a_new_version_and_the_old_one_stays(
    rclone: Archiving, meeting: Meeting
) -> None:
    meeting.put("transcript", HELLO)
    rclone.run().archived_session(meeting.id)
    meeting.put("transcript", MORE)
    rclone.run().archived_session(meeting.id)
    assert [files["data/transcript.csv"] for files in meeting.versions().values()] == [HELLO, MORE]


@pytest.mark.parametrize("worse", [b"", b"Service unavailable", HELLO[:-3], b"\x00\xff"])
def test_a_doubtful_document_is_kept_and_told_and_never_replaces_one_that_is_none(
    rclone: Archiving, meeting: Meeting, worse: bytes
) -> None:
    meeting.put("transcript", worse)
    archived = rclone.run().archived_session(meeting.id)
    assert list(meeting.payload().values()) == [worse]
    assert "transcript" in {piece.name for piece in archived.missing}
    assert meeting.findings()[0].startswith("The transcript is ")
    meeting.put("transcript", HELLO)
    assert rclone.run().archived_session(meeting.id).version == 2
    assert meeting.payload() == {"data/transcript.csv": HELLO}
    meeting.put("transcript", worse)
    rclone.run().archived_session(meeting.id)
    assert meeting.payload() == {"data/transcript.csv": HELLO}
    assert meeting.findings()[0].endswith("; the one before is kept.")
    assert not rclone.run().archived_session(meeting.id).changed


def test_an_error_page_is_no_document_and_fails_nothing(rclone: Archiving, meeting: Meeting) -> None:
    meeting.session.transcript = StandInDocument(MediaSource(b"<html>Just a moment</html>", "text/csv"), "t.csv")
    meeting.put("summary", SUMMARY)
    archived = rclone.run(patience_s=2).archived_session(meeting.id)
    (reason,) = [piece.reason for piece in archived.missing if piece.name == "transcript"]
    assert "HTML" in reason
    assert meeting.payload() == {"data/summary.md": SUMMARY}


def test_after_the_seven_days_the_bag_states_what_was_not_there_and_not_that_it_never_came(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone, days_ago=8, settings={"summarize_on_end": False, "transcribe_on_end": True})
    meeting.put("chat", chat("hi"))
    archived = rclone.run().archived_session(meeting.id)
    assert archived.is_complete
    assert [(piece.name, piece.expected) for piece in archived.missing] == [("transcript", True), ("summary", False)]
    late = "was not there when somebody first looked after the 7 days that RealtimeKit keeps it"
    assert meeting.findings() == [f"The transcript {late}.", f"The summary {late}."]
    rclone.kit.api_faults = lambda request: Answer(403) if "/meetings/" in request.path else None
    assert not rclone.run().archived_session(meeting.id).changed


def test_an_api_that_fails_between_pages_costs_the_participants_and_nothing_else(
    rclone: Archiving,
) -> None:
    meeting = Meeting.at(rclone, participants=150)
    meeting.put("transcript", HELLO)
    rclone.kit.api_faults = lambda request: Answer(503) if request.query.get("page_no") == ["2"] else None
    archived = rclone.run(patience_s=0.5).archived_session(meeting.id)
    assert "participants" in {piece.name for piece in archived.missing}
    assert json.loads(meeting.newest()["participants.json"]) is None
    rclone.kit.api_faults = []
    rclone.run().archived_session(meeting.id)
    assert len(json.loads(meeting.newest()["participants.json"])) == 150
    rclone.kit.api_faults = lambda request: Answer(503) if request.query.get("page_no") == ["2"] else None
    assert not rclone.run(patience_s=0.5).archived_session(meeting.id).changed


def test_events_of_participants_are_archived_only_if_asked_for(rclone: Archiving, meeting: Meeting) -> None:
    rclone.run().archived_session(meeting.id)
    assert not any(b"address-canary" in body for body in rclone.objects().values())
    rclone.run().archived_session(meeting.id, peer_events=True)
    assert b"address-canary" in meeting.newest()["participants.json"]


def test_no_secret_is_archived(rclone: Archiving, meeting: Meeting) -> None:
    meeting.session.details = {"livestream": {"streamKey": "leak-canary", "stream_key": "leak-canary"}}
    meeting.put("transcript", HELLO)
    rclone.run().archived_session(meeting.id)
    stored = b"".join(rclone.objects().values())
    assert b"leak-canary" not in stored
    assert b"X-Amz" not in stored


def test_nothing_is_made_at_the_source(rclone: Archiving, meeting: Meeting) -> None:
    rclone.run().archived_session(meeting.id)
    assert {request.method for request in rclone.kit.api_requests} == {"GET"}


def test_urls_that_expire_are_refreshed(rclone: Archiving, meeting: Meeting) -> None:
    meeting.put("transcript", HELLO)
    seen: list[str] = []

    def expire(request: object) -> None:
        if not seen:
            seen.append(str(request))
            rclone.kit.expire_all_links()

    rclone.kit.on_file_request = expire
    rclone.run().archived_session(meeting.id)
    assert meeting.payload() == {"data/transcript.csv": HELLO}


def test_what_the_chat_links_to_is_archived_under_names_of_ours(
    rclone: Archiving, meeting: Meeting, tmp_path: Path
) -> None:
    meeting.session.uploads["evil <b> name.PNG"] = MediaSource(b"\x89PNG", "image/png")
    url = rclone.kit.upload_url(meeting.session, "evil <b> name.PNG")
    meeting.put("chat", chat("hi", url, "http://169.254.169.254/latest", "https://127.0.0.1/x.pdf"))
    archived = rclone.run().archived_session(meeting.id)
    (path,) = [path for path in meeting.payload() if path.startswith("data/uploads/")]
    assert re.fullmatch(r"data/uploads/[0-9a-f]{32}\.png", path)
    assert meeting.payload()[path] == b"\x89PNG"
    assert len([piece for piece in archived.missing if piece.name.startswith("data/uploads/")]) == 2
    assert meeting.findings()[-1] == "2 of the files that the chat links to could not be fetched."
    served = len(rclone.kit.file_requests)
    rclone.run().archived_session(meeting.id)
    assert not [one for one in rclone.kit.file_requests[served:] if "uploads" in one.key]
    meeting.validate(tmp_path)


def test_files_that_could_not_be_fetched_are_stated_and_awaited_though_the_chat_does_not_come_again(
    rclone: Archiving, meeting: Meeting
) -> None:
    meeting.put("chat", chat("hi", "https://127.0.0.1/x.pdf?sig=1", "https://127.0.0.1/y.pdf?sig=1"))
    rclone.run().archived_session(meeting.id)
    meeting.session.chat = StandInDocument()
    again = rclone.run().archived_session(meeting.id)
    assert meeting.findings()[-1] == "2 of the files that the chat links to could not be fetched."
    assert len([piece for piece in again.missing if piece.name.startswith("data/uploads/") and piece.may_come]) == 2
    assert not again.changed


def test_captions_are_beside_each_recording_in_time_with_it(rclone: Archiving, meeting: Meeting) -> None:
    early, late = meeting.add_recording(after_s=10), meeting.add_recording(after_s=30)
    meeting.put("transcript", transcript("zero", "ten", "twenty", "thirty"))
    rclone.run().archived_session(meeting.id)
    texts = {key: body.decode() for key, body in rclone.objects().items() if key.endswith((".vtt", ".txt"))}
    beside = rclone.folder(early).rstrip("/")
    assert texts[f"{beside}.txt"] == "[0:00:00] Mary: ten\n[0:00:10] Mary: twenty\n[0:00:20] Mary: thirty\n"
    assert texts[f"{rclone.folder(late).rstrip('/')}.txt"] == "[0:00:00] Mary: thirty\n"
    assert texts[f"{beside}.vtt"].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n<v Mary>ten\n")
    assert not [key for key in meeting.newest() if key.endswith(".vtt")]


def test_an_audit_takes_a_sessions_bag_for_one_of_ours_and_finds_what_is_damaged(
    rclone: Archiving, meeting: Meeting
) -> None:
    rclone.archived(meeting.add_recording())
    meeting.put("transcript", HELLO)
    rclone.run().archived_session(meeting.id)
    whole = audited(rclone)
    assert (whole.findings, whole.notices) == ({}, set())
    assert (whole.report.coverage.recordings, whole.report.sessions.sessions) == (1, 1)
    rclone.s3.put_object(
        Bucket=rclone.bucket, Key=f"{meeting.folder}v0001/data/transcript.csv", Body=HELLO.replace(b"H", b"h")
    )
    assert audited(rclone).findings == {f"session-{meeting.id}/v0001": [("altered", "data/transcript.csv")]}
    (damaged,) = audited(rclone).report.damaged_sessions
    assert (damaged.command, "other versions" in damaged.to_do) == ("", True)


def test_a_newest_version_that_is_damaged_is_passed_over(rclone: Archiving, meeting: Meeting) -> None:
    meeting.put("transcript", HELLO)
    rclone.run().archived_session(meeting.id)
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=f"{meeting.folder}v0001/session.json")
    assert rclone.run().archived_session(meeting.id).version == 2
    assert meeting.newest()["data/transcript.csv"] == HELLO


def test_sessions_that_cannot_be_archived_are_told_apart(rclone: Archiving, meeting: Meeting) -> None:
    meeting.session.status = "LIVE"
    with pytest.raises(SessionLive):
        rclone.run().archived_session(meeting.id)
    with pytest.raises(SessionNotFound):
        rclone.run().archived_session("182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e")
    with pytest.raises(SessionIdInvalid):
        rclone.run().archived_session("../x")
    assert rclone.objects() == {}


def test_recordings_that_cannot_be_listed_hold_nothing_up(rclone: Archiving, meeting: Meeting) -> None:
    meeting.put("transcript", HELLO)
    recording = meeting.add_recording()
    rclone.run().archived_session(meeting.id)
    rclone.kit.api_faults = lambda request: HtmlPage() if request.path.endswith("/recordings") else None
    assert not rclone.run().archived_session(meeting.id).changed
    assert f"Recording-Identifier: {recording.id}\n" in meeting.newest()["bag-info.txt"].decode()


def test_of_a_session_without_a_recording_nothing_is_archived_if_only_recorded_ones_are_wanted(
    rclone: Archiving,
) -> None:
    meeting = Meeting.at(rclone)
    meeting.put("transcript", HELLO)
    left = rclone.run().archived_session(meeting.id, recorded_only=True)
    assert (left.version, left.files, left.changed) == (0, (), False)
    assert rclone.objects() == {}
    meeting.add_recording()
    assert rclone.run().archived_session(meeting.id, recorded_only=True).version == 1
