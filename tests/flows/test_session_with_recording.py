"""The command that archives a recording tells what came of the recording's session, and fails for none of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows import archive_recording
from flows.archive_recording import archive
from flows.describe_recording import describe
from tasks.engine import ARCHIVED, SESSION_ARCHIVED, Engine
from tests.flows.world import eventually
from tests.standins.realtimekit import Answer, StandInSession
from tests.support.meetings import SUMMARY, document, transcript
from tests.support.witness import Witness

if TYPE_CHECKING:
    from tests.flows.world import World
    from tests.standins.realtimekit import ApiRequest, StandInRecording

Captured = pytest.CaptureFixture[str]


def add_meeting(world: World) -> tuple[StandInRecording, StandInSession]:
    """Let a session end yesterday that has a recording and a transcript."""
    started = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)
    session = world.kit.add_session(StandInSession(started_at=started))
    session.transcript = document(transcript("Hello"))
    return world.add(meeting_id=session.meeting_id, details={"session_id": session.id}), session


def printed(code: int, capsys: Captured) -> dict[str, Any]:
    """Return the line of JSON that the command printed."""
    stdout, stderr = capsys.readouterr()
    assert code == 0, stderr
    result: dict[str, Any] = json.loads(stdout)
    return result


def test_the_result_says_where_the_session_is_and_what_of_it_is_missing(plain_here: World, capsys: Captured) -> None:
    recording, session = add_meeting(plain_here)
    first = printed(archive_recording.main([recording.id]), capsys)
    assert list(first)[-9:-4] == ["title", "session_id", "session_url", "session_missing", "session_failure"]
    assert (first["title"], first["session_id"], first["session_failure"]) == ("Weekly sync", session.id, "")
    assert first["session_url"].endswith(f"/session-{session.id}/v0001/")
    assert [piece["name"] for piece in first["session_missing"]] == ["chat", "summary"]
    session.summary = document(SUMMARY)
    again = printed(archive_recording.main([recording.id]), capsys)
    assert (again["already_archived"], again["files"]) == (True, first["files"])
    assert again["session_url"].endswith("/v0002/")


def test_who_wants_no_session_gets_none(plain_here: World, capsys: Captured) -> None:
    recording, _ = add_meeting(plain_here)
    result = printed(archive_recording.main([recording.id, "--no-session"]), capsys)
    assert (result["session_url"], result["session_missing"], result["session_failure"]) == ("", [], "")
    assert not [path for path in plain_here.objects() if "v0001" in path]


@pytest.mark.parametrize(("status", "level"), [(403, "WARNING"), (404, "INFO"), (503, "WARNING")])
def test_an_api_without_sessions_is_told_and_fails_nothing(
    plain_here: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch, status: int, level: str
) -> None:
    recording, session = add_meeting(plain_here)
    monkeypatch.setenv("TRANSFER_PATIENCE", "0.5")
    refused = Answer.failure(7003, "refused here", status)
    plain_here.kit.api_faults = lambda request: refused if "/sessions/" in request.path else None
    assert archive_recording.main([recording.id]) == 0
    stdout, stderr = capsys.readouterr()
    assert "refused here" in json.loads(stdout)["session_failure"]
    (line,) = [line for line in stderr.splitlines() if f"Not all of session {session.id} is archived." in line]
    assert f"| {level}" in line
    assert plain_here.kit.token not in stderr


def test_the_event_and_the_report_of_a_recording_wait_for_no_session(plain_here: World) -> None:
    recording, session = add_meeting(plain_here)
    witness, seen = Witness(), list[list[str]]()

    def look(request: ApiRequest) -> None:
        if request.path.endswith("/transcript"):
            seen.append([event for event, *_ in witness.emitted] + [key for key, _ in witness.published])

    plain_here.kit.on_api_request = look
    archived = archive(witness, recording.id)
    assert seen[0] == [ARCHIVED, f"archived-{recording.id}"]
    (_, _, of_recording), (_, about, of_session) = witness.emitted
    assert of_recording.keys() == {
        "recording_id", "archive_url", "files", "bytes", "duration_s", "findings", "title", "session_id",
        "lag_s", "refreshes", "resumes", "retries",
    }  # fmt: skip
    assert about == f"session.{session.id}"
    assert (of_session["archive_url"], of_session["version"]) == (archived.session_url, 1)
    assert [event for event, *_ in witness.emitted] == [ARCHIVED, SESSION_ARCHIVED]
    assert [key for key, _ in witness.published] == [f"archived-{recording.id}", f"archived-session-{session.id}"]
    assert "missing: `summary`" in witness.published[1][1]
    archive(witness, recording.id)
    assert len(witness.emitted) == 2, "nothing is new"


def test_what_nobody_foresaw_of_a_session_fails_no_run(plain_here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recording, _ = add_meeting(plain_here)

    def fail(*_: object) -> None:
        raise ValueError("https://h.example/a?sig=leak-canary")

    monkeypatch.setattr("tasks.session_pipeline.find_unchanged", fail)
    archived = archive(Engine(), recording.id)
    assert archived.session_failure.startswith("ValueError, which nobody foresaw")
    assert "leak-canary" not in archived.session_failure
    assert "bagit.txt" in plain_here.objects()


def test_a_person_who_interrupts_it_within_a_session_is_heard_at_once(
    plain_here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, _ = add_meeting(plain_here)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.session_pipeline.find_unchanged", interrupt)
    assert archive_recording.main([recording.id]) == 130


def test_a_description_shows_how_the_summary_begins(plain_here: World) -> None:
    recording, session = add_meeting(plain_here)
    session.started_at -= timedelta(hours=20)  # the day before that of the recording, maybe
    session.summary = document(b"# Weekly sync\n\n[x](https://evil.example)\n")
    archived, witness = archive(Engine(), recording.id), Witness()
    describe(witness, recording.id, archived.archive_url)
    ((_, text),) = witness.published
    assert "- Weekly sync\n- \\[x\\](" in text


def test_a_recording_without_a_summary_is_described_all_the_same(plain_here: World) -> None:
    recording = plain_here.add()
    archived, witness = archive(Engine(), recording.id), Witness()
    describe(witness, recording.id, archived.archive_url)
    assert "summary" not in witness.published[0][1]


def test_prefect_shows_the_session_of_a_recording(here: World) -> None:
    recording, session = add_meeting(here)
    archived = archive_recording.archive_recording(recording.id)
    about = {"resource": {"id": [f"realtimekit.session.{session.id}"]}}
    (event,) = eventually(lambda: here.ask_prefect("events", filter=about)["events"])
    assert event["event"] == "realtimekit.session.archived"
    assert event["payload"]["archive_url"] == archived.session_url  # type: ignore[union-attr]
    (artifact,) = here.ask_prefect("artifacts", artifacts={"key": {"any_": [f"archived-session-{session.id}"]}})
    assert event["payload"]["archive_url"] in artifact["data"]
    (run,) = here.flow_runs(recording)
    assert run["state"]["type"] == "COMPLETED"
