"""What belongs to a recording's session comes with the recording, and never at the recording's expense."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tasks import pipeline, session_pipeline
from tasks.errors import TransferStopped
from tests.standins.realtimekit import Answer, HtmlPage, MediaSource, Refuse, Stall, StandInDocument
from tests.support.meddling import WRITES, refusal
from tests.support.meetings import SUMMARY, Meeting, chat, transcript
from tests.support.old_archives import WHOLE, old_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.standins.realtimekit import ApiRequest, Fault
    from tests.support.archiving import Archiving

HELLO = transcript("Hello")
TITLE = b"\nMeeting-Title: Weekly sync\n"


@pytest.fixture
def meeting(rclone: Archiving) -> Meeting:
    return Meeting.at(rclone)


def of_sessions(bench: Archiving, since: int = 0) -> list[str]:
    """Return what was asked of sessions and meetings, the last word of each path; `session` for the details."""
    paths = [request.path for request in bench.kit.api_requests[since:] if "/recordings" not in request.path]
    words = [path.rpartition("/")[2] for path in paths]
    return [word if word.isalpha() else path.split("/")[-2][:-1] for word, path in zip(words, paths, strict=True)]


def test_what_is_there_comes_with_the_recording_and_the_rest_with_a_later_run(
    rclone: Archiving, meeting: Meeting, tmp_path: Path
) -> None:
    recording = meeting.add_recording(after_s=0)
    meeting.put("chat", chat("hi"), "chat.json")
    first = rclone.run().archived_with_session(recording.id)
    assert first.archive_url == f"s3://{rclone.bucket}/{meeting.folder}v0001/"
    assert [(piece.name, piece.may_come) for piece in first.missing] == [("transcript", True), ("summary", True)]
    assert first.written is not None
    meeting.put("transcript", HELLO)
    second = rclone.run().archived_with_session(recording.id)
    assert second.archive_url == f"s3://{rclone.bucket}/{meeting.folder}v0002/"
    assert [piece.name for piece in second.missing] == ["summary"]
    assert meeting.payload() == {"data/chat.json": chat("hi"), "data/transcript.csv": HELLO}
    assert f"{rclone.folder(recording).rstrip('/')}.vtt" in rclone.stored_keys()
    assert meeting.wrong() == []
    meeting.validate(tmp_path)


def test_a_look_that_finds_nothing_new_takes_a_request_for_the_session_and_one_for_each_missing_document(
    rclone: Archiving, meeting: Meeting
) -> None:
    recording = meeting.add_recording()
    meeting.put("transcript", HELLO)
    rclone.run().archived_with_session(recording.id)
    stored, served, asked = rclone.objects(), len(rclone.kit.file_requests), len(rclone.kit.api_requests)
    again = rclone.run().archived_with_session(recording.id)
    assert of_sessions(rclone, asked) == ["session", "chat", "summary"]
    assert ([piece.name for piece in again.missing], again.written) == (["chat", "summary"], None)
    meeting.put("chat", chat("hi"))
    meeting.put("summary", SUMMARY)
    rclone.run().archived_with_session(recording.id)
    asked, served = len(rclone.kit.api_requests), len(rclone.kit.file_requests)
    whole = rclone.run().archived_with_session(recording.id)
    assert of_sessions(rclone, asked) == ["session"]
    assert len(rclone.kit.file_requests) == served
    assert (whole.missing, whole.archive_url) == ((), f"s3://{rclone.bucket}/{meeting.folder}v0002/")
    assert stored.items() <= rclone.objects().items()


def test_the_end_of_the_seven_days_is_stated_once_and_then_nothing_is_asked_for(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone, days_ago=6)
    recording = meeting.add_recording()
    rclone.run().archived_with_session(recording.id)
    assert meeting.findings()[0] == "The transcript is not here yet."
    meeting.session.started_at = meeting.session.started_at.replace(microsecond=1)  # the same day
    meeting.session.minutes = -3 * 24 * 60  # and it ended earlier than was known
    over = rclone.run().archived_with_session(recording.id)
    assert [piece.may_come for piece in over.missing] == [False, False, False]
    assert meeting.findings()[0].startswith("The transcript was not there when somebody first looked after the 7 days")
    asked = len(rclone.kit.api_requests)
    assert rclone.run().archived_with_session(recording.id).missing == tuple(
        piece.model_copy(update={"expected": None}) for piece in over.missing
    )
    assert of_sessions(rclone, asked) == ["session"]


def test_a_second_recording_is_named_by_a_new_version_and_gets_its_captions(
    rclone: Archiving, meeting: Meeting
) -> None:
    meeting.put("transcript", HELLO)
    one = meeting.add_recording(after_s=0)
    rclone.run().archived_with_session(one.id)
    other = meeting.add_recording(after_s=0)
    rclone.kit.api_faults = lambda request: Answer(503) if request.path.endswith("/recordings") else None
    rclone.run(patience_s=0.5).archived_with_session(other.id)
    info = meeting.newest()["bag-info.txt"].decode()
    assert all(f"\nRecording-Identifier: {recording.id}\n" in info for recording in (one, other))
    assert json.loads(meeting.newest()["session.json"])["archive"]["recordings"] == sorted([one.id, other.id])
    assert f"{rclone.folder(other).rstrip('/')}.vtt" in rclone.stored_keys()


def test_events_of_participants_that_a_person_asked_for_are_kept_when_more_comes(
    rclone: Archiving, meeting: Meeting
) -> None:
    recording = meeting.add_recording()
    rclone.run().archived_session(meeting.id, peer_events=True)
    meeting.put("transcript", HELLO)
    rclone.run().archived_with_session(recording.id)
    assert meeting.payload() == {"data/transcript.csv": HELLO}
    assert b"address-canary" in meeting.newest()["participants.json"]


def test_captions_that_a_killed_run_did_not_write_are_written_by_the_next(rclone: Archiving, meeting: Meeting) -> None:
    recording = meeting.add_recording(after_s=0)
    meeting.put("transcript", HELLO)
    rclone.run().archived_with_session(recording.id)
    captions = f"{rclone.folder(recording).rstrip('/')}.vtt"
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=captions)
    rclone.run().archived_with_session(recording.id)
    assert captions in rclone.stored_keys()


FAULTS: dict[str, Fault] = {
    "403": Answer.failure(10000, "Authentication error", 403),
    "404": Answer.refusal(404, "Session not found"),
    "500": Answer(500),
    "429": Answer.too_many_requests(300),
    "html": HtmlPage(),
    "reset": Refuse("rst"),
    "nonsense": Answer.json({"success": True, "data": {"id": [5], "status": 7}}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_api_that_refuses_sessions_costs_the_session_and_no_time(
    rclone: Archiving, meeting: Meeting, fault: Fault
) -> None:
    recording = meeting.add_recording()
    rclone.kit.api_faults = lambda request: fault if "/sessions/" in request.path else None
    began = time.monotonic()
    outcome = rclone.run(patience_s=0.3).archived_with_session(recording.id)
    assert time.monotonic() - began < 10
    assert outcome.failure
    assert TITLE not in rclone.objects()[f"{rclone.folder(recording)}bag-info.txt"]
    assert (outcome.archive_url, outcome.written) == ("", None)
    assert "bagit.txt" in rclone.names(recording)
    rclone.kit.api_faults = []
    assert rclone.run().archived_with_session(recording.id).failure == ""


def test_a_store_that_takes_no_session_costs_the_session(rclone: Archiving, meeting: Meeting) -> None:
    recording = meeting.add_recording()

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method.startswith(WRITES) and "/session-" in request["Key"]:
            raise refusal("AccessDenied", 403)
        return send()

    outcome = rclone.run(meddle).archived_with_session(recording.id)
    assert "AccessDenied" in outcome.failure
    assert "bagit.txt" in rclone.names(recording)
    assert not rclone.stored_keys(meeting.folder)


def test_a_session_that_is_live_is_left_for_later(rclone: Archiving, meeting: Meeting) -> None:
    recording = meeting.add_recording()
    meeting.session.status = "LIVE"
    outcome = rclone.run().archived_with_session(recording.id)
    assert "still LIVE" in outcome.failure
    assert not meeting.versions()
    meeting.session.status = "ENDED"
    assert rclone.run().archived_with_session(recording.id).written


def test_a_session_that_takes_too_long_is_ended(
    rclone: Archiving, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = meeting.add_recording()
    monkeypatch.setattr(session_pipeline, "WITH_RECORDING_S", 0.3)
    rclone.kit.api_faults = lambda request: Stall() if request.path.endswith("/participants") else None
    began = time.monotonic()
    outcome = rclone.run(stall_s=20).archived_with_session(recording.id)
    assert time.monotonic() - began < 10
    assert outcome.failure.startswith("It took more than 0.3 s")
    assert not meeting.versions()


def test_a_run_that_is_stopped_stops_at_once_also_within_a_session(rclone: Archiving, meeting: Meeting) -> None:
    recording, run = meeting.add_recording(), rclone.run(stall_s=20)

    def stop(request: ApiRequest) -> None:
        if request.path.endswith("/participants"):
            run.stops.cancel()

    rclone.kit.on_api_request = stop
    with pytest.raises(TransferStopped):
        run.archived_with_session(recording.id)
    assert not meeting.versions()
    assert "bagit.txt" in rclone.names(recording)


def test_a_recording_without_a_session_asks_for_none(rclone: Archiving) -> None:
    recording = rclone.add(100, details={"session_id": None})
    assert rclone.run().archived_with_session(recording.id) == session_pipeline.SessionOutcome()
    assert of_sessions(rclone) == []


def test_a_bag_on_a_disk_names_its_meeting(rclone: Archiving, meeting: Meeting) -> None:
    recording = meeting.add_recording()
    archived = rclone.archived(recording)
    folder = rclone.folder(recording)
    details = json.loads(rclone.objects()[f"{folder}recording.json"])
    assert details["meeting"] == {"id": meeting.session.meeting_id, "title": "Weekly sync"}
    assert TITLE in rclone.objects()[f"{folder}bag-info.txt"]
    assert (archived.title, archived.session_id) == ("Weekly sync", meeting.id)
    meeting.session.title = "Another"
    assert rclone.archived(recording) == archived.model_copy(update={"already_archived": True, "lag_s": None})
    rclone.run().archived_session(meeting.id)
    assert b"\nMeeting-Title: Another\n" in meeting.newest()["bag-info.txt"]


def test_a_title_in_the_recordings_own_details_is_taken_without_asking(rclone: Archiving, meeting: Meeting) -> None:
    recording = meeting.add_recording()
    recording.details = {**recording.details, "meeting": {"title": "By the\r\nBag-Size: list\u202e ", "id": "m"}}
    assert rclone.archived(recording).title == "By the Bag-Size: list"
    info = rclone.objects()[f"{rclone.folder(recording)}bag-info.txt"]
    assert b"\nMeeting-Title: By the Bag-Size: list\n" in info
    assert of_sessions(rclone) == []


@pytest.mark.parametrize("title", ["", "\u202e\x00 \n", "https://h.example/a?sig=leak-canary"])
def test_a_title_that_is_none_or_a_secret_does_no_harm(rclone: Archiving, meeting: Meeting, title: str) -> None:
    meeting.session.title = title
    recording = meeting.add_recording()
    assert rclone.archived(recording).title in {"", "https://h.example/a"}
    assert not any(b"leak-canary" in body for body in rclone.objects().values())


def test_a_title_that_does_not_come_holds_no_recording_up(
    rclone: Archiving, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = meeting.add_recording()
    monkeypatch.setattr(pipeline, "TITLE_S", 0.3)
    rclone.kit.api_faults = lambda request: Stall() if "/sessions/" in request.path else None
    began = time.monotonic()
    archived = rclone.archived(recording, stall_s=20)
    assert time.monotonic() - began < 8
    assert len(of_sessions(rclone)) == 1
    assert (archived.title, archived.already_archived) == ("", False)
    rclone.kit.api_faults = []
    assert rclone.archived(recording).already_archived


def test_an_archive_of_an_older_version_stays_as_it_is_and_its_session_is_archived_beside_it(rclone: Archiving) -> None:
    old = WHOLE[0]
    old_archive().lay_out(rclone)
    before = rclone.objects()
    recording = rclone.kit.add(old.recording(old_archive().media))
    described = recording.describe(lambda path: path, recording.invoked_time)
    meeting = Meeting.at(rclone, id=described["session_id"], meeting_id=recording.meeting_id)
    meeting.session.started_at = recording.invoked_time
    meeting.put("transcript", HELLO)
    found = rclone.archived(recording, **old.options)
    assert (found.already_archived, found.title) == (True, "")
    assert rclone.run(**old.options).archived_with_session(recording.id).written
    assert before.items() <= rclone.objects().items()
    assert not [key for key in rclone.objects().keys() - before.keys() if key.startswith(rclone.folder(recording))]


def test_no_signature_of_a_link_is_archived_and_the_bag_says_so(
    rclone: Archiving, meeting: Meeting, tmp_path: Path
) -> None:
    meeting.session.uploads["a.png"] = MediaSource(b"\x89PNG", "image/png")
    url = rclone.kit.upload_url(meeting.session, "a.png")
    bare = f"{url.partition('?')[0]}?signature=removed"
    meeting.put("chat", chat("hi", url, "https://example.com/search?q=1"))
    meeting.put("summary", f"# Sync\n\nSee {url}\n".encode())
    meeting.put("transcript", transcript(f"look at {url}"))
    archived = rclone.run().archived_session(meeting.id)
    assert not any(b"X-Amz" in body for body in rclone.objects().values())
    assert "https://example.com/search?q=1" in meeting.payload()["data/chat.json"].decode()
    assert json.loads(meeting.payload()["data/chat.json"])[1]["payload"] == bare
    assert meeting.payload()["data/summary.md"] == f"# Sync\n\nSee {bare}\n".encode()
    stated = [f"Signatures of links were removed from data/{name}, in 1 places." for name in
              ("chat.json", "summary.md", "transcript.csv")]  # fmt: skip
    assert archived.redactions == tuple(stated)
    assert all(f"\nArchive-Redaction: {line}\n" in meeting.newest()["bag-info.txt"].decode() for line in stated)
    path = json.loads(meeting.newest()["session.json"])["archive"]["uploads"][bare]
    assert meeting.payload()[path] == b"\x89PNG"
    meeting.validate(tmp_path)


def test_links_that_are_signed_anew_are_nothing_new(rclone: Archiving, meeting: Meeting) -> None:
    meeting.session.uploads["a.png"] = MediaSource(b"\x89PNG", "image/png")
    for version in (1, 1, 2):
        meeting.put("chat", chat("hi", rclone.kit.upload_url(meeting.session, "a.png")))
        if version == 2:
            meeting.session.chat = StandInDocument()
            meeting.put("summary", SUMMARY)
        archived = rclone.run().archived_session(meeting.id)
        assert archived.version == version
        assert len(archived.redactions) == 1, "also of a chat that is carried over"
