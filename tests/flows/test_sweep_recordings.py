"""The sweep archives what nobody did, soonest expiry first, and says loudly what is in danger."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import ParameterTypeError
from prefect.flow_engine import run_flow

from flows.archive_recording import archive_recording as archive_flow
from flows.sweep_recordings import main
from flows.sweep_recordings import sweep_recordings as sweep_flow
from tasks.archive.partial import read_missing
from tasks.errors import ApiRefused, ApiUnavailable, CannotHandOut, StoreUnavailable, SweepIncomplete
from tasks.s3.client import new_s3_client
from tasks.sweep.report import Sweep, rows
from tests.flows.duty import asked
from tests.flows.running import archive_recording, either_way, sweep_recordings
from tests.flows.world import MIB, World, eventually
from tests.standins.content import BytesContent
from tests.standins.media import video_mp4
from tests.standins.realtimekit import (
    LEAKY_STORAGE_CONFIG,
    Answer,
    MediaSource,
    RealtimeKitStandIn,
    StandInRecording,
    StandInSession,
)
from tests.support.archiving import Run, Setup

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

    from tasks.archive.models import ArchivedRecording
    from tests.standins.requests import ApiRequest

WEEK_H = 7 * 24
NOW = datetime.now(UTC)


def aged(world: World, hours: float, **of_recording: Any) -> StandInRecording:
    """Make a recording known that was stopped so many hours ago."""
    its: dict[str, Any] = {"duration": 0} | of_recording
    return world.add(invoked_time=datetime.now(UTC) - timedelta(hours=hours), **its)


def ids(swept: Any) -> list[str]:
    return [one.recording_id for one in swept]


def keys(world: World) -> set[str]:
    """Return all keys but those of what sweeps know of sessions."""
    pages = world.store.client().get_paginator("list_objects_v2").paginate(Bucket=world.bucket)
    listed = {item["Key"] for page in pages for item in page.get("Contents", ())}
    return {key for key in listed if "/_sessions/" not in key}


def archived(world: World) -> set[str]:
    """Return the ids of the recordings that have a marker."""
    return {key.split("/")[-2] for key in keys(world) if key.endswith("/bagit.txt")}


def incomplete(**parameters: Any) -> tuple[SweepIncomplete, Sweep]:
    """Sweep, and return how it failed, and its result."""
    with pytest.raises(SweepIncomplete) as raised:
        sweep_recordings(**parameters)
    result = raised.value.result
    assert isinstance(result, Sweep)
    return raised.value, result


@either_way
def test_what_is_not_archived_is_archived_soonest_expiry_first(here: World) -> None:
    young, old, middle = (aged(here, hours) for hours in (1, 100, 50))
    coming = [aged(here, 1, status="RECORDING"), aged(here, 1, status="UPLOADING")]
    sweep = sweep_recordings(at_once=1)
    assert ids(sweep.archived) == [old.id, middle.id, young.id]
    assert set(ids(sweep.still_to_come)) == {one.id for one in coming}
    assert archived(here) == {old.id, middle.id, young.id}
    again = sweep_recordings()
    assert (again.already_archived, again.archived) == (3, ())
    assert Sweep.model_validate_json(sweep.model_dump_json()) == sweep


def test_one_broken_recording_stops_no_other_and_is_told_loudly_without_a_secret(here: World) -> None:
    before, broken, after = aged(here, 90), aged(here, 80, file_size=1), aged(here, 70)
    raised, sweep = incomplete(at_once=1)
    assert archived(here) == {before.id, after.id}
    assert ids(sweep.failed) == [broken.id]
    assert "the API announces 1 bytes, the source holds 5,000" in sweep.failed[0].reason
    assert f"1 failed: {broken.id}" in str(raised)
    tables = here.ask_prefect("artifacts", artifacts={"key": {"any_": ["sweep-recordings"]}})
    latest = max(tables, key=lambda table: str(table["created"]))
    assert broken.id in latest["data"]
    assert before.id in latest["data"]
    run = flow_run(here, latest["flow_run_id"])
    assert run["state"]["type"] == "FAILED"
    assert broken.id in run["state"]["message"]
    for told in (str(raised), sweep.model_dump_json(), json.dumps([latest, run])):
        assert not [secret for secret in (here.kit.token, "X-Amz-", *here.kit._links._links) if secret in told]


def flow_run(world: World, run_id: str) -> dict[str, Any]:
    (run,) = world.ask_prefect("flow_runs", flow_runs={"id": {"any_": [run_id]}})
    return dict(run)


@either_way
@pytest.mark.parametrize("sessions", ["recorded", "none"])
def test_sessions_come_after_the_recordings_and_stop_none(here: World, sessions: str) -> None:
    recording, broken = aged(here, 30), aged(here, 31)
    meeting = here.kit.add_session(StandInSession(started_at=NOW - timedelta(hours=30), minutes=1))
    unlucky = str(uuid.uuid4())
    recording.details, broken.details = {"session_id": meeting.id}, {"session_id": unlucky}
    here.kit.api_faults = lambda request: Answer(400) if unlucky in request.path else None
    sweep = sweep_recordings(sessions=sessions)
    assert set(ids(sweep.archived)) == {broken.id, recording.id}
    wanted = sessions == "recorded"
    assert [one.session_id for one in sweep.sessions_archived] == [meeting.id] * wanted
    assert [one.session_id for one in sweep.sessions_failed] == [unlucky] * wanted
    paths = [request.path for request in here.kit.api_requests]
    of_sessions = [number for number, path in enumerate(paths) if path.endswith("/participants")]
    assert bool(of_sessions) == wanted
    if wanted:
        assert not [path for path in paths[of_sessions[0] :] if recording.id in path or broken.id in path]


def test_a_document_that_is_expected_and_has_not_come_fails_one_run_and_stands_in_its_table(here: World) -> None:
    meeting = here.kit.add_session(StandInSession(started_at=NOW - timedelta(days=6, hours=2), minutes=1))
    aged(here, 6 * 24 + 1, details={"session_id": meeting.id})
    sweep_recordings(sessions="none", at_risk_hours=1)
    raised, sweep = incomplete()
    assert f"1 sessions without what is to be there, which expires soon: {meeting.id} (" in str(raised)
    assert [one.session_id for one in sweep.sessions_overdue] == [meeting.id]
    (row, *_) = rows(sweep)
    assert row["outcome"].startswith("OVERDUE")
    assert row["session"] == meeting.id
    assert sweep_recordings().sessions_overdue == ()


def test_each_recording_is_a_task_run_by_its_name_in_the_sweeps_own_flow_run(here: World) -> None:
    recordings = {aged(here, 3).id, aged(here, 2).id}
    sweep_recordings()
    named = {"name": {"any_": list(recordings)}}
    runs = eventually(lambda: len(found := here.ask_prefect("task_runs", task_runs=named)) == 2 and found)
    assert {run["name"] for run in runs} == recordings
    (of_sweep,) = {run["flow_run_id"] for run in runs}
    assert flow_run(here, of_sweep)["name"].startswith("sweep of 20")


@either_way
def test_what_expires_soon_and_is_not_archived_fails_the_run(here: World) -> None:
    urgent = aged(here, WEEK_H - 2, file_size=1)
    later = [aged(here, WEEK_H - 3), aged(here, 5)]
    raised, sweep = incomplete(limit=1)
    assert ids(sweep.failed) == [urgent.id]
    assert ids(sweep.left) == [one.id for one in later]
    assert ids(sweep.at_risk) == [urgent.id, later[0].id]
    assert f"2 at risk, as they expire soon and are not archived: {urgent.id} (20" in str(raised)
    assert archived(here) == set()


@either_way
def test_an_empty_video_and_a_file_that_is_missing_are_at_risk_and_not_lost(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.download.recovery.MISSING_FOR_S", -1.0)
    empty, missing = aged(here, WEEK_H - 2, video=b""), aged(here, WEEK_H - 3)
    here.kit.file_faults = lambda request: Answer(404) if request.name == missing.video_name else None
    raised, sweep = incomplete(at_once=1)
    assert (ids(sweep.failed), ids(sweep.at_risk), ids(sweep.lost)) == (
        [empty.id, missing.id],
        [empty.id, missing.id],
        [],
    )
    assert "there is nothing to watch" in sweep.failed[0].reason
    assert "although the API lists the file" in sweep.failed[1].reason
    assert "2 at risk" in str(raised)


def test_a_dry_run_shows_the_plan_and_touches_nothing(here: World) -> None:
    urgent, young = aged(here, WEEK_H - 1), aged(here, 1)
    sweep = sweep_recordings(dry_run=True, hand_out=True, limit=1)
    assert ids(sweep.left) == [urgent.id, young.id]
    assert ids(sweep.at_risk) == [urgent.id]
    assert keys(here) == set()
    assert here.kit.file_requests == []
    assert here.flow_runs(urgent) == here.flow_runs(young) == []
    plans = here.ask_prefect("artifacts", artifacts={"key": {"any_": ["sweep-plan"]}})
    assert any(urgent.id in plan["data"] for plan in plans)


@either_way
def test_recordings_that_arrive_while_it_pages_hide_none(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.realtimekit.app_api.PAGE_SIZES", (5, 1))
    known = [aged(here, 10 + number) for number in range(18)]
    arriving = [3, 5, 2]

    def arrive(request: ApiRequest) -> None:
        if request.query.get("page_no", ["1"]) != ["1"] and arriving:
            for _ in range(arriving.pop()):
                aged(here, 1)

    here.kit.on_api_request = arrive
    sweep = sweep_recordings(dry_run=True)
    assert {one.id for one in known} <= set(ids(sweep.left))


@either_way
def test_all_recordings_share_one_client_of_the_store(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(connections: int, **of_client: Any) -> Any:
        made.append(connections)
        return new_s3_client(connections, **of_client)

    monkeypatch.setattr("tasks.session.new_s3_client", counted)
    recordings = {aged(here, hours).id for hours in range(1, 5)}
    assert set(ids(sweep_recordings(at_once=4).archived)) == recordings
    assert len(made) == 1, "each takes a tenth of a second to make, and asks for credentials of its own"


@either_way
def test_what_another_run_archived_since_the_plan_was_made_is_found_and_not_moved_again(here: World) -> None:
    first, second = aged(here, 90), aged(here, 80)
    rival = Setup(
        here.kit.base_url, here.kit.account_id, here.kit.app_id, here.kit.token, here.bucket, 5 * MIB, prefix="pre"
    )
    moved: list[ArchivedRecording] = []

    def meddle(request: ApiRequest) -> None:
        if request.recording_id == first.id and not moved:
            moved.append(Run(rival, here.store.client()).archived(second.id))

    here.kit.on_api_request = meddle
    sweep = sweep_recordings(at_once=1)
    assert set(ids(sweep.archived)) == {first.id, second.id}
    assert here.kit.bytes_served(second.video_name) == moved[0].bytes


@either_way
def test_two_sweeps_at_once_archive_everything_between_them(here: World) -> None:
    recordings = {aged(here, 10 + number).id for number in range(4)}
    with ThreadPoolExecutor(2) as threads:
        sweeps = [threads.submit(copy_context().run, sweep_recordings, at_once=2) for _ in range(2)]
        assert all(sweep.result().failed == () for sweep in sweeps)
    assert archived(here) == recordings
    assert not [key for key in keys(here) if "/unfinished/" in key]


def test_a_sweep_that_was_killed_is_finished_by_the_next(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    recordings = [aged(here, 90), aged(here, 80), here.add_large(3, invoked_time=NOW - timedelta(hours=70), duration=0)]
    command = [sys.executable, "-m", "flows.sweep_recordings", "--at-once", "1"]
    with here.gate(passing=3) as gate, subprocess.Popen(command, cwd=here.folder, env=here.environment()) as process:
        try:
            assert gate.reached.wait(90)
        finally:
            process.kill()
    assert archived(here) == {recordings[0].id, recordings[1].id}
    assert main([]) == 0
    sweep = Sweep.model_validate_json(capsys.readouterr().out)
    assert (ids(sweep.archived), sweep.already_archived) == ([recordings[2].id], 2)
    assert archived(here) == {one.id for one in recordings}


@pytest.mark.parametrize("here", ["plainly"], indirect=True)
def test_a_sweep_logs_one_line_of_each_recording_and_its_steps_only_on_demand(
    here: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines_about(recording: StandInRecording) -> list[str]:
        return [line.partition(" | ")[2] for line in capsys.readouterr().err.splitlines() if recording.id in line]

    video = MediaSource(BytesContent(video_mp4()))
    first = aged(here, 90, video=video)
    assert main([]) == 0
    (line,) = lines_about(first)
    assert line.startswith(f"INFO    | Recording {first.id}: archived. s3://{here.bucket}/")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    second = aged(here, 80, video=video)
    assert main([]) == 0
    *steps, line = lines_about(second)
    assert {step.partition(second.id)[0] for step in steps} == {"DEBUG   | Recording "}
    assert any("Transferred" in step for step in steps)
    assert line.startswith("INFO")


def test_prefect_too_has_one_line_of_each_recording(here: World) -> None:
    recording = aged(here, 90, video=MediaSource(BytesContent(video_mp4())))
    sweep_recordings(sessions="none")
    (run,) = here.ask_prefect("task_runs", task_runs={"name": {"any_": [recording.id]}})
    its_flow = run["flow_run_id"]
    (line,) = eventually(lambda: [line for line in here.logged(flow_run_id=its_flow) if recording.id in line])
    assert line.startswith(f"Recording {recording.id}: archived. s3://{here.bucket}/")
    assert run["state"]["type"] == "COMPLETED"
    assert here.logged(task_run_id=run["id"]) == []


def test_on_a_terminal_a_failure_is_1_with_the_result_on_stdout_all_the_same(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, good = aged(here, 90, file_size=1), aged(here, 80)
    assert main(["--at-once", "2", "--meeting-id", broken.meeting_id]) == 1
    stdout, stderr = capsys.readouterr()
    sweep = Sweep.model_validate_json(stdout)
    assert (ids(sweep.failed), sweep.archived) == ([broken.id], ())
    assert stdout.count("\n") == 1
    assert "somebody has to look: 1 failed" in stderr.rpartition("\n\n")[2]
    assert "Traceback" not in stderr
    assert good.id not in stdout


@pytest.mark.parametrize(
    "arguments", [["--at-once", "0"], ["--limit", "-1"], ["--meeting-id", "a b"], ["--app-id", "a/b"], ["more"]]
)
def test_bad_arguments_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


@either_way
def test_what_expired_unarchived_is_loud_for_a_while_and_listed_quietly_after_that(here: World) -> None:
    archived_in_time, kept = aged(here, WEEK_H + 2), aged(here, 1)
    sweep_recordings()
    archived_in_time.expired = True
    quiet = aged(here, WEEK_H + 30, expired=True)
    sweep = sweep_recordings()
    assert (sweep.already_archived, ids(sweep.lost)) == (2, [quiet.id])
    loud = aged(here, WEEK_H + 3, expired=True)
    raised, sweep = incomplete()
    assert ids(sweep.lost) == [quiet.id, loud.id]
    assert f"1 lost, as they expired before they were archived: {loud.id}" in str(raised)
    assert kept.id in archived(here)


@either_way
def test_what_went_straight_to_the_customers_storage_has_its_own_column_and_fails_nothing(here: World) -> None:
    elsewhere = [
        aged(here, hours, bucket_enabled=False, storage_config=LEAKY_STORAGE_CONFIG, expired=hours > WEEK_H)
        for hours in (WEEK_H + 1, WEEK_H - 1, 1)
    ]
    good = aged(here, 2)
    sweep = sweep_recordings()
    assert ids(sweep.not_downloadable) == [one.id for one in elsewhere]
    assert "RealtimeKit's bucket was turned off" in sweep.not_downloadable[1].reason
    assert "your own storage (sftp, bucket customer-bucket)" in sweep.not_downloadable[1].reason
    assert ids(sweep.archived) == [good.id]
    assert "leak-canary" not in sweep.model_dump_json()


def test_what_is_stuck_or_errored_is_told_by_one_sweep_and_listed_by_all(here: World) -> None:
    stuck = aged(here, 3 * 24, status="UPLOADING")
    paused, errored = aged(here, 60, status="PAUSED"), aged(here, 5 * 24, status="ERRORED")
    raised, sweep = incomplete()
    assert (ids(sweep.stuck), ids(sweep.errored)) == ([stuck.id, paused.id], [errored.id])
    assert f"2 stuck, as RealtimeKit does not upload them (ask its support before they are gone): {stuck.id}" in str(
        raised
    )
    assert f"1 ERRORED, of which no file will ever come: {errored.id}" in str(raised)
    again = sweep_recordings()
    assert (ids(again.stuck), ids(again.errored)) == ([stuck.id, paused.id], [errored.id])


@either_way
def test_an_api_that_knows_four_statuses_only_is_swept_all_the_same(here: World) -> None:
    coming, uploaded = aged(here, 1, status="UPLOADING"), aged(here, 2)
    here.kit.statuses -= {"PAUSED", "ERRORED"}
    sweep = sweep_recordings()
    assert (ids(sweep.still_to_come), ids(sweep.archived)) == ([coming.id], [uploaded.id])


@either_way
def test_what_the_filter_of_expired_recordings_forgets_is_archived_all_the_same(here: World) -> None:
    forgotten = aged(here, 20)

    def forget(request: ApiRequest) -> Answer | None:
        return Answer.json({"success": True, "data": []}) if "expired" in request.query else None

    here.kit.api_faults = forget
    assert ids(sweep_recordings().archived) == [forgotten.id]


@either_way
def test_tracks_that_the_list_leaves_out_are_asked_for_one_by_one(here: World) -> None:
    tracks = {"default": {"a.webm": MediaSource(b"\x1a\x45\xdf\xa3track", "audio/webm")}}
    recordings = [aged(here, hours, tracks={} if hours != 40 else tracks) for hours in (50, 45, 40, 35)]
    for one in recordings:
        one.video = None

    def without_tracks(request: ApiRequest) -> Answer | None:
        if not request.path.endswith("/recordings"):
            return None
        entries = [one.describe(lambda path: path, datetime.now(UTC)) | {"download_url": []} for one in recordings]
        wanted = "UPLOADED" in request.query["status"]
        return Answer.json({"success": True, "data": entries if wanted else []})

    here.kit.api_faults = without_tracks
    sweep = sweep_recordings()
    assert ids(sweep.archived) == [recordings[2].id]
    assert len(sweep.not_downloadable) == 3


@either_way
def test_a_list_that_keeps_urls_back_hides_nothing(here: World) -> None:
    recordings = {aged(here, 5).id, aged(here, 6).id}

    def without_urls(request: ApiRequest) -> Answer | None:
        if request.recording_id:
            return None
        listed = recordings if request.query.get("expired") == ["false"] else set()
        data = [{"id": one, "status": "UPLOADED", "invoked_time": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"} for one in listed]
        return Answer.json({"success": True, "data": data, "paging": {"total_count": len(data)}})

    here.kit.api_faults = without_urls
    assert set(ids(sweep_recordings().archived)) == recordings


@either_way
def test_files_that_came_later_are_told_and_not_touched(here: World) -> None:
    recording = aged(here, 5)
    sweep_recordings()
    before = keys(here)
    recording.audio = MediaSource(b"lat\0r", "audio/mpeg")
    sweep = sweep_recordings()
    assert [(one.recording_id, one.reason) for one in sweep.gained_files] == [(recording.id, "1 more of audio/")]
    assert keys(here) == before


def halved(world: World, hours: float) -> StandInRecording:
    """Have a recording of two tracks archived while one of them has no URL."""
    tracks = {f"{name}.webm": MediaSource(b"\x1a\x45\xdf\xa3" + name.encode(), "video/webm") for name in "ab"}
    recording = aged(world, hours, tracks={"default": tracks}, file_size=None, without_url=["default/b.webm"])
    assert len(archive_recording(recording.id, partial=True).files) == 1
    return recording


def test_a_partial_archive_is_listed_and_left_alone_until_the_sweep_can_replace_it_by_the_whole(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "tasks.sweep.plan.read_missing", lambda store, folders: read_missing(store, asked_of(folders, asked))
    )
    recording, whole, gaining = halved(here, 5), aged(here, 6), aged(here, 7)
    sweep_recordings()
    before = keys(here)
    sweep = sweep_recordings()
    assert (ids(sweep.partial), sweep.archived, sweep.already_archived) == ([recording.id], (), 3)
    assert sweep.partial[0].reason.startswith("Without tracks/default/b.webm. ")
    assert keys(here) == before
    assert not [folder for folder in asked if whole.id in folder], "ten thousand are not read"
    monkeypatch.setattr("tasks.sweep.plan.PARTIAL_ASKED", 1)
    gaining.audio = MediaSource(b"lat\0r", "audio/mpeg")
    assert ids(sweep_recordings().partial) == [recording.id], "those that only gained files do not hide it"
    recording.without_url = ()
    sweep = sweep_recordings()
    assert (ids(sweep.archived), sweep.already_archived) == ([recording.id], 2)
    assert (sweep.partial, ids(sweep.gained_files)) == ((), [gaining.id])
    assert keys(here) - before == {key.replace("/a.webm", "/b.webm") for key in before if key.endswith("/a.webm")}
    again = sweep_recordings()
    assert (again.partial, again.already_archived) == ((), 3)


def asked_of(folders: list[str], asked: list[str]) -> list[str]:
    asked += folders
    return folders


@either_way
def test_a_size_that_a_person_accepted_is_not_accepted_by_the_sweep_and_the_partial_archive_stays(here: World) -> None:
    its = {"audio": MediaSource(b"lat\0r", "audio/mpeg"), "details": {"audio_download_url": "not a URL"}}
    recording = aged(here, 5, file_size=1, **its)
    partial = archive_recording(recording.id, accept_size=True, partial=True)
    recording.details, before = {}, keys(here)
    raised, sweep = incomplete()
    assert ids(sweep.failed) == ids(sweep.partial) == [recording.id]
    assert "(--accept-size)" in sweep.failed[0].reason
    assert "a person accepted that" in sweep.partial[0].reason
    assert f"1 failed: {recording.id}" in str(raised)
    beside = keys(here)
    assert {key for key in beside if "/unfinished/" not in key} == before
    incomplete()
    assert keys(here) == beside, "each sweep carries on with what the one before it has left beside the archive"
    assert archive_recording(recording.id, accept_size=True).bytes == partial.bytes + 5
    assert not [key for key in keys(here) if "/unfinished/" in key]


def test_what_a_partial_archive_lacks_is_loud_after_its_time_though_the_api_names_it_no_more(here: World) -> None:
    recording = halved(here, WEEK_H + 2)
    for _ in range(2):
        raised, sweep = incomplete()
        assert f"expired before the API handed them out: {recording.id} (Without tracks/" in str(raised)
        assert (ids(sweep.partial), sweep.lost, sweep.already_archived) == ([recording.id], (), 1)
        recording.expired, recording.details = True, {"download_url": None}


@either_way
def test_several_apps_are_swept_together(here: World) -> None:
    mine = aged(here, 20)
    with RealtimeKitStandIn(app_id="another") as other:
        here.kit.add_app(other)
        theirs = other.add(
            StandInRecording(str(uuid.uuid4()), video=MediaSource(b"\0"), invoked_time=NOW - timedelta(hours=30))
        )
        sweep = sweep_recordings(app_ids=(here.kit.app_id, "another"), at_once=1)
    assert [(one.recording_id, one.app_id) for one in sweep.archived] == [
        (theirs.id, "another"),
        (mine.id, here.kit.app_id),
    ]
    assert {key.split("/")[1] for key in keys(here)} == {here.kit.app_id, "another"}


@either_way
def test_it_looks_only_at_what_it_is_asked_to(here: World) -> None:
    young, old = aged(here, 2), aged(here, 20)
    assert ids(sweep_recordings(dry_run=True, invoked_within_hours=10).left) == [young.id]
    assert ids(sweep_recordings(dry_run=True, meeting_id=old.meeting_id.upper()).left) == [old.id]


def _refused(world: World, _: pytest.MonkeyPatch) -> None:
    world.kit.api_faults = lambda _: Answer.failure(10000, "Authentication error", 401)


def _api_away(world: World, _: pytest.MonkeyPatch) -> None:
    world.kit.api_faults = lambda _: Answer.html(502)


def _store_away(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("prepare", "error", "looks"),
    [(_refused, ApiRefused, 1), (_api_away, ApiUnavailable, 3), (_store_away, StoreUnavailable, 12)],
)
def test_without_api_or_store_there_is_no_plan_and_what_may_pass_is_tried_again(
    here: World, monkeypatch: pytest.MonkeyPatch, prepare: Any, error: type[Exception], looks: int
) -> None:
    monkeypatch.setattr("tasks.orchestration.engine.RETRY_DELAYS_S", [0.0])
    monkeypatch.setenv("TRANSFER_PATIENCE", "0.001")
    monkeypatch.setenv("TASK_RETRIES", "2")
    aged(here, 3)
    prepare(here, monkeypatch)
    with pytest.raises(error):
        sweep_recordings()
    assert len(here.kit.api_requests) == looks


@pytest.fixture
def deployed(here: World) -> World:
    """The world, with a deployment whose runs nobody starts."""
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name("archive-recording"), "on-demand")
    return here


def test_recordings_are_handed_out_once_in_a_while_and_not_once_for_ever(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    urgent, young = aged(deployed, WEEK_H - 2), aged(deployed, 2)
    _, sweep = incomplete(hand_out=True, retry_minutes=10_000)  # at risk, as nobody has archived it yet
    assert ids(sweep.handed_out) == [urgent.id, young.id]
    (run,) = runs_of(deployed, urgent)
    assert (run["parameters"]["recording_id"], run["tags"]) == (urgent.id, ["sweep"])
    assert run["expected_start_time"] <= runs_of(deployed, young)[0]["expected_start_time"]

    _, again = incomplete(hand_out=True, retry_minutes=10_000)
    assert run["id"] in again.handed_out[0].reason
    assert ids(again.under_way) == [young.id]
    assert [len(runs_of(deployed, one)) for one in (urgent, young)] == [1, 1]

    fail(deployed, run)
    raised, failed = incomplete(hand_out=True, retry_minutes=10_000)
    assert f"its run {run['id']} is Failed" in failed.failed[0].reason
    assert urgent.id in str(raised)
    assert len(runs_of(deployed, urgent)) == 1

    monkeypatch.setattr("flows.sweep_recordings.datetime", Later)
    _, next_time = incomplete(hand_out=True, retry_minutes=1)
    assert ids(next_time.handed_out)[:1] == [urgent.id]
    assert len(runs_of(deployed, urgent)) == 2
    assert keys(deployed) == set()


class Later(datetime):
    """A clock that is an hour ahead."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """Return the time in an hour."""
        return datetime.now(tz) + timedelta(hours=1)


def runs_of(world: World, recording: StandInRecording) -> list[dict[str, Any]]:
    return world.flow_runs(recording)


def fail(world: World, run: dict[str, Any], state: str = "FAILED") -> None:
    body = {"state": {"type": state, "name": state.capitalize()}, "force": True}
    asked(world, "POST", f"flow_runs/{run['id']}/set_state", body)


def test_recordings_of_several_apps_are_handed_out_each_with_its_app(deployed: World) -> None:
    with RealtimeKitStandIn(app_id="another") as other:
        deployed.kit.add_app(other)
        mine = aged(deployed, 2)
        theirs = other.add(
            StandInRecording(str(uuid.uuid4()), video=MediaSource(b"\0" * 9), invoked_time=NOW - timedelta(hours=3))
        )
        sweep = sweep_recordings(hand_out=True, app_ids=("*",))
        assert {one.recording_id for one in sweep.handed_out} == {mine.id, theirs.id}
        runs = {one.id: runs_of(deployed, one)[0] for one in (mine, theirs)}
        assert "app_id" not in runs[mine.id]["parameters"]  # so that workers of an earlier version take it, too
        assert runs[theirs.id]["parameters"]["app_id"] == "another"
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(runs[theirs.id]["id"])
        run_flow(archive_flow, flow_run=run, parameters=run.parameters, return_type="state")
    assert {key.split("/")[1] for key in keys(deployed) if key.endswith("/bagit.txt")} == {"another"}


def test_without_the_deployment_nothing_is_handed_out(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.orchestration.run_history.DEPLOYMENT", "archive-recording/nowhere")
    aged(here, 2)
    with pytest.raises(CannotHandOut, match="prefect deploy --all"):
        sweep_recordings(hand_out=True)


def test_it_tells_which_recordings_no_webhook_had_announced_and_leaves_others_work_to_them(here: World) -> None:
    known, unknown, busy = aged(here, 9), aged(here, 8), aged(here, 7)
    started(here, known, "COMPLETED", ["webhook"])
    started(here, unknown, "COMPLETED", [])
    started(here, busy, "RUNNING", ["webhook"])
    sweep = sweep_recordings()
    assert {one.recording_id: one.announced for one in sweep.archived} == {known.id: True, unknown.id: False}
    assert [(one.recording_id, one.announced) for one in sweep.under_way] == [(busy.id, True)]
    assert archived(here) == {known.id, unknown.id}


def started(world: World, recording: StandInRecording, state: str, tags: list[str]) -> None:
    """Have a run of archive-recording on the server, as a webhook's would be."""
    with get_client(sync_client=True) as client:
        body = {
            "flow_id": str(client.create_flow_from_name("archive-recording")),
            "parameters": {"recording_id": recording.id.upper()},
            "tags": tags,
            "state": {"type": "SCHEDULED"},
        }
    fail(world, asked(world, "POST", "flow_runs/", body), state)


def test_without_prefect_to_ask_it_is_not_known_who_was_announced_and_all_else_goes_on(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> None:
        message = "connection refused"
        raise httpx.ConnectError(message)

    monkeypatch.setattr("tasks.orchestration.run_history.get_client", away)
    recording = aged(here, 3)
    assert [(one.recording_id, one.announced) for one in sweep_recordings().archived] == [(recording.id, None)]


def two_sweeps() -> tuple[FlowRun, FlowRun]:
    """Have two runs of a new deployment of the sweep on the server, for somebody to execute."""
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("sweep-recordings")
        deployment = client.create_deployment(flow, f"every-15-minutes-{uuid.uuid4()}")
        first, second = (client.create_flow_run_from_deployment(deployment) for _ in range(2))
    return first, second


def executed(run: FlowRun, world: World) -> dict[str, Any]:
    """Run what a deployment's run asks for, as a worker's process does, and return its state."""
    run_flow(sweep_flow, flow_run=run, parameters=run.parameters, return_type="state")
    return dict(flow_run(world, str(run.id))["state"])


def test_one_run_of_a_deployment_sweeps_and_what_begins_meanwhile_leaves_it_to_that(here: World) -> None:
    recording, (other, ours) = aged(here, 3), two_sweeps()
    fail(here, {"id": other.id}, "RUNNING")
    heard_of(here, other, datetime.now(UTC))
    state = executed(ours, here)
    assert (state["type"], state["name"]) == ("COMPLETED", "Left")
    assert other.name in state["message"]
    assert here.kit.api_requests == []
    assert ids(sweep_recordings().archived) == [recording.id]  # a person's own is none of the deployment's


def test_a_run_that_died_with_its_machine_holds_up_no_sweep(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recording, (dead, ours) = aged(here, 3), two_sweeps()
    fail(here, {"id": dead.id}, "RUNNING")
    monkeypatch.setattr("tasks.orchestration.run_history.SILENT", timedelta(0))
    assert executed(ours, here)["name"] == "Completed"
    assert archived(here) == {recording.id}


def test_of_two_that_begin_at_once_one_sweeps(here: World) -> None:
    recording, both = aged(here, 3), two_sweeps()
    with ThreadPoolExecutor(2) as threads:
        states = list(threads.map(lambda run: executed(run, here)["name"], both))
    assert "Completed" in states
    assert archived(here) == {recording.id}


def heard_of(world: World, run: FlowRun, when: datetime) -> None:
    event = {
        "occurred": when.isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}"},
        "id": str(uuid.uuid4()),
    }
    asked(world, "POST", "events", [event])
    about = {"resource": {"id": [f"prefect.flow-run.{run.id}"]}}
    eventually(lambda: world.ask_prefect("events", filter=about)["events"])


def test_the_form_explains_and_checks_every_parameter() -> None:
    form = sweep_flow.parameters.model_dump()
    shown = form["properties"]
    assert list(shown) == [
        "dry_run", "limit", "at_risk_hours", "invoked_within_hours", "meeting_id", "app_ids", "at_once", "hand_out",
        "retry_minutes", "sessions",
    ]  # fmt: skip
    assert all(len(parameter["description"]) > 20 for parameter in shown.values())
    assert not any("anyOf" in parameter for parameter in shown.values())
    assert not form.get("required")
    assert (shown["at_once"]["minimum"], shown["at_once"]["maximum"]) == (1, 16)


@pytest.mark.parametrize(
    "wrong", [{"at_once": 0}, {"limit": -1}, {"meeting_id": "../x"}, {"app_ids": ("a b",)}, {"app_ids": ("**",)}]
)
def test_code_checks_the_parameters_again(here: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterTypeError):
        sweep_recordings(**wrong)
    assert here.kit.api_requests == []
