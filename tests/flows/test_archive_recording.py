"""The flow brings a recording home, tells what it did, and knows which failures are worth a retry."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING

import pytest
from prefect import flow

from flows.archive_recording import archive
from flows.archive_recording import archive_recording as archive_flow
from tasks.archive.bag import missing_labels
from tasks.archive.models import ArchivedRecording
from tasks.archive.upload_journal import UploadJournal
from tasks.engine import Engine
from tasks.errors import (
    ApiRefused,
    ApiUnavailable,
    ArchiverError,
    NothingToDownload,
    NotUploadedInTime,
    RecordingErrored,
    RecordingIdInvalid,
    RecordingNotFound,
    ReplacementSmaller,
    SizeDisagrees,
    SourceUnavailable,
    StoreRefused,
)
from tasks.s3.client import new_s3_client
from tasks.s3.multipart import Store
from tests.flows.running import archive_recording, either_way
from tests.flows.world import eventually
from tests.standins.realtimekit import Answer, MediaSource, StandInRecording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

from tests.flows.world import World

LOG = logging.getLogger(__name__)
STAGES = {
    "fetch details", "find archive", "wait until uploaded", "transfer media", "commit archive",
    "archive session of recording",
}  # fmt: skip
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def quick_retries(here: World, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - its settings come first
    for engine in ("tasks.engine", "tasks.orchestration.engine"):
        monkeypatch.setattr(f"{engine}.RETRY_DELAYS_S", [0.0])
    monkeypatch.setenv("TASK_RETRIES", "2")


@pytest.fixture
def impatient(quick_retries: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - both are wanted
    """Let each stage give up at its second failure: the pause after it is longer than patience.

    Even less patience would take a good answer that comes a moment late, on a busy machine, for one that trickles.
    """
    monkeypatch.setenv("TRANSFER_PATIENCE", "0.2")


def archived_files(world: World) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of all payload files in the store."""
    payload = {path: body for path, body in world.objects().items() if path.startswith("data/")}
    return {path: (len(body), hashlib.sha256(body).hexdigest()) for path, body in payload.items()}


def test_the_typed_result_is_what_the_store_holds(here: World) -> None:
    recording = here.add(b"vide\0" * 99, audio=MediaSource(b"audi\0" * 9, "audio/mpeg"), duration=12.5)
    archived = archive_recording(recording.id)
    assert {file.path: (file.size, file.sha256) for file in archived.files} == archived_files(here)
    assert {file.path.split("/")[1]: file.content_type for file in archived.files} == {
        "video": "video/mp4",
        "audio": "audio/mpeg",
    }
    assert archived.bytes == 99 * 5 + 9 * 5
    assert archived.duration_s == 12.5
    assert archived.recording_id == recording.id
    assert (
        archived.archive_url
        == f"s3://{here.bucket}/pre/{here.kit.app_id}/{recording.invoked_time:%Y/%m/%d}/{recording.id}/"
    )
    assert not archived.already_archived
    assert "bagit.txt" in here.objects()


def test_a_result_is_json_and_comes_back_from_it_as_it_was(here: World) -> None:
    archived = archive_recording(here.add().id)
    assert ArchivedRecording.model_validate_json(archived.model_dump_json()) == archived
    assert json.loads(archived.model_dump_json()) == archived.model_dump(mode="json")


def test_prefect_shows_the_recording_and_the_stages_by_name(here: World) -> None:
    recording = here.add()
    archive_recording(recording.id)
    (run,) = here.flow_runs(recording)
    assert run["state"]["type"] == "COMPLETED"
    of_run = {"id": {"any_": [run["id"]]}}
    names = eventually(lambda: (found := _names(here, of_run)) >= STAGES and found)
    assert names == STAGES


def _names(world: World, of_run: Mapping[str, object]) -> set[str]:
    return {task_run["name"] for task_run in world.ask_prefect("task_runs", flow_runs=of_run)}


def test_the_event_tells_all_that_post_processing_may_ask_for(here: World) -> None:
    recording = here.add(details={"recording_duration": None})
    archived = archive_recording(recording.id)
    (event,) = eventually(lambda: here.events(recording))
    assert event["event"] == "realtimekit.recording.archived"
    assert event["payload"] == {
        "recording_id": recording.id,
        "archive_url": archived.archive_url,
        "files": [
            {"path": f.path, "size": f.size, "sha256": f.sha256, "content_type": f.content_type} for f in archived.files
        ],
        "bytes": archived.bytes,
        "duration_s": archived.duration_s,
        "findings": list(archived.findings),
        "title": "",
        "session_id": archived.session_id,
        "lag_s": archived.lag_s,
        "refreshes": 0,
        "resumes": 0,
        "retries": 0,
    }


def test_a_finding_is_in_the_result_the_event_and_the_report(here: World) -> None:
    recording = here.add(audio=MediaSource(b"", "audio/mpeg"))
    archived = archive_recording(recording.id)
    assert [finding.partition(" ")[2][:8] for finding in archived.findings] == ["is empty", "begins a"]
    (event,) = eventually(lambda: here.events(recording))
    assert event["payload"]["findings"] == list(archived.findings)
    (artifact,) = here.ask_prefect("artifacts", artifacts={"key": {"any_": [f"archived-{recording.id}"]}})
    assert artifact["data"].count("Look at this") == 2
    assert archive_recording(recording.id).findings == archived.findings


def test_prefect_shows_a_report_of_what_was_archived(here: World) -> None:
    recording = here.add()
    archived = archive_recording(recording.id)
    key = {"key": {"any_": [f"archived-{recording.id}"]}}
    (artifact,) = here.ask_prefect("artifacts", artifacts=key)
    assert artifact["type"] == "markdown"
    assert archived.archive_url in artifact["data"]
    assert archived.files[0].sha256 in artifact["data"]


@either_way
def test_a_second_run_answers_from_the_archive_and_moves_no_byte(here: World) -> None:
    recording = here.add()
    first = archive_recording(recording.id)
    fetched = here.kit.bytes_served()
    second = archive_recording(recording.id)
    assert here.kit.bytes_served() == fetched
    assert second == first.model_copy(update={"already_archived": True, "lag_s": None})


@either_way
def test_finding_an_archive_leaves_what_an_overwrite_under_way_has_in_the_store(here: World) -> None:
    recording = here.add()
    archived = archive_recording(recording.id)
    folder = archived.archive_url.removeprefix(f"s3://{here.bucket}/")
    store = Store(new_s3_client(1), here.bucket, 10)
    upload = UploadJournal(store, folder, LOG).begin(f"{folder}{archived.files[0].path}", {"etag": "another"}, "", {})
    before = here.objects()
    assert archive_recording(recording.id).already_archived
    assert here.objects() == before
    assert store.parts(upload) == {}, "it is still there"


@either_way
def test_overwrite_replaces_the_archive(here: World) -> None:
    source = MediaSource(b"bef\0re")
    recording = here.add(source)
    archive_recording(recording.id)
    source.replace(b"after\0all")
    again = archive_recording(recording.id, overwrite=True)
    assert not again.already_archived
    assert {file.path: (file.size, file.sha256) for file in again.files} == archived_files(here)
    assert b"after\0all" in here.objects().values()


def test_another_flow_calls_it_and_goes_on_with_the_result(here: World) -> None:
    recording = here.add(b"to be described\0")

    @flow
    def describe(recording_id: str) -> dict[str, str]:
        return {file.path: file.sha256 for file in archive_recording(recording_id).files}

    assert set(describe(recording.id).values()) == {hashlib.sha256(b"to be described\0").hexdigest()}


@either_way
def test_it_waits_for_a_recording_that_is_under_way(here: World) -> None:
    recording = here.add(statuses=["RECORDING", "UPLOADING", "UPLOADED"])
    assert archive_recording(recording.id).bytes == 5000


@either_way
def test_an_id_in_capitals_is_the_same_recording(here: World) -> None:
    recording = here.add()
    assert archive_recording(recording.id.upper()).recording_id == recording.id


def _unknown(world: World) -> str:
    world.add()
    return UNKNOWN_ID


def _token_refused(world: World) -> str:
    world.kit.api_faults = lambda _: Answer.failure(10000, "Authentication error", 401)
    return world.add().id


FINAL: list[tuple[Callable[[World], str], type[ArchiverError]]] = [
    (_unknown, RecordingNotFound),
    (_token_refused, ApiRefused),
    (lambda world: world.add(status="ERRORED").id, RecordingErrored),
    (lambda world: world.add(bucket_enabled=False).id, NothingToDownload),
    (lambda world: world.add(file_size=4999).id, SizeDisagrees),
]


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(("prepare", "error"), FINAL, ids=[error.__name__ for _, error in FINAL])
def test_a_final_failure_burns_no_retry(
    here: World, prepare: Callable[[World], str], error: type[ArchiverError]
) -> None:
    with pytest.raises(error):
        archive_recording(prepare(here))
    assert len(here.kit.api_requests) == 1
    assert len(here.kit.file_requests) <= 1
    assert here.objects() == {}


@either_way
@pytest.mark.usefixtures("quick_retries")
def test_files_that_can_be_had_are_stored_though_another_has_no_url(here: World) -> None:
    recording = here.add(audio=MediaSource(b"audi\0", "audio/mpeg"), file_size=None)
    recording.without_url = [recording.video_name]
    recording.details = {"download_url": "not a URL"}
    with pytest.raises(NothingToDownload, match="1 other file is stored"):
        archive_recording(recording.id)
    assert len([request for request in here.kit.api_requests if request.recording_id]) == 1
    assert [path.split("/")[1] for path in archived_files(here)] == ["audio"]
    assert "bagit.txt" not in here.objects()


@either_way
def test_a_run_replaces_a_partial_archive_once_all_files_can_be_had(here: World) -> None:
    tracks = {f"{name}.webm": MediaSource(b"\x1a\x45\xdf\xa3" + name.encode(), "video/webm") for name in "ab"}
    recording = here.add(tracks={"default": tracks}, file_size=None, without_url=["default/b.webm"])
    partial = archive_recording(recording.id, partial=True)
    assert archive_recording(recording.id).files == partial.files
    recording.without_url = ()
    whole = archive_recording(recording.id)
    assert (len(partial.files), len(whole.files), whole.already_archived) == (1, 2, False)
    assert archive_recording(recording.id).already_archived


@either_way
@pytest.mark.usefixtures("quick_retries")
def test_a_partial_archive_may_be_replaced_by_one_that_lacks_less_and_never_by_one_that_lacks_more(here: World) -> None:
    tracks = {f"{name}.webm": MediaSource(b"\x1a\x45\xdf\xa3" + name.encode(), "video/webm") for name in "abc"}
    recording = here.add(tracks={"default": tracks}, file_size=None, without_url=["default/b.webm", "default/c.webm"])
    archive_recording(recording.id, partial=True)
    recording.without_url = ["default/c.webm"]
    with pytest.raises(NothingToDownload):
        archive_recording(recording.id, overwrite=True)
    less = archive_recording(recording.id, overwrite=True, partial=True)
    assert (len(less.files), list(missing_labels(less.findings))) == (2, ["tracks/default/c.webm"])
    recording.without_url = ["default/a.webm"]
    with pytest.raises(ReplacementSmaller, match=r"now: data/tracks/default/a\.webm\."):
        archive_recording(recording.id, overwrite=True, partial=True)
    assert archive_recording(recording.id).files == less.files


@pytest.mark.usefixtures("quick_retries")
def test_waiting_ends_with_its_time_and_burns_no_retry(here: World) -> None:
    with pytest.raises(NotUploadedInTime, match="RECORDING"):
        archive_recording(here.add(status="RECORDING").id, wait_timeout=0)
    assert len(here.kit.api_requests) == 1


@pytest.mark.usefixtures("quick_retries")
def test_a_bucket_that_is_not_there_burns_no_retry(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_URL", "s3://no-such-bucket")
    with pytest.raises(StoreRefused):
        archive_recording(here.add().id)
    assert len(here.kit.api_requests) == 1


def _away(world: World) -> StandInRecording:
    world.kit.api_faults = lambda _: Answer.html(502)
    return world.add()


def _source_away(world: World) -> StandInRecording:
    world.kit.file_faults = lambda _: Answer.internal_error()
    return world.add()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("prepare", "error"), [(_away, ApiUnavailable), (_source_away, SourceUnavailable)])
def test_a_failure_that_may_pass_is_retried_as_often_as_the_settings_say(
    here: World,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[World], StandInRecording],
    error: type[ArchiverError],
) -> None:
    recording, asked = prepare(here), []
    ledger = "api_requests" if error is ApiUnavailable else "file_requests"
    for retries in ("0", "2"):
        monkeypatch.setenv("TASK_RETRIES", retries)
        before = len(getattr(here.kit, ledger))
        with pytest.raises(error):
            archive_recording(recording.id)
        asked.append(len(getattr(here.kit, ledger)) - before)
    assert asked[1] == 3 * asked[0] > 0


@pytest.mark.usefixtures("impatient")
def test_a_retry_brings_home_what_the_first_attempt_could_not(here: World) -> None:
    recording = here.add()
    here.kit.file_faults = [Answer.internal_error(), Answer.internal_error()]
    assert archive_recording(recording.id).bytes == 5000


def test_the_form_explains_and_checks_every_parameter() -> None:
    shown = archive_flow.parameters.model_dump()["properties"]
    wanted = {"recording_id", "wait_timeout", "overwrite", "accept_size", "partial", "session", "app_id"}
    assert set(shown) == wanted | {"despite_deletion"}
    assert all(len(parameter["description"]) > 20 for parameter in shown.values())
    assert (shown["app_id"]["type"], shown["app_id"]["default"]) == ("string", "")
    assert shown["recording_id"]["pattern"].startswith("^[0-9a-fA-F]{8}-")
    assert (shown["wait_timeout"]["minimum"], shown["wait_timeout"]["maximum"]) == (0, 86_400)
    assert shown["wait_timeout"]["default"] == 600
    for name in ("overwrite", "accept_size", "partial", "despite_deletion"):
        assert shown[name] == shown[name] | {"type": "boolean", "default": False}
    assert shown["session"] == shown["session"] | {"type": "boolean", "default": True}
    assert archive_flow.parameters.model_dump()["required"] == ["recording_id"]


def test_a_person_may_accept_another_size_and_a_missing_file_and_the_event_says_so(here: World) -> None:
    recording = here.add(file_size=4999, details={"audio_download_url": "not a URL"})
    archived = archive_recording(recording.id, accept_size=True, partial=True)
    told = "\n".join(archived.findings)
    assert "audio is missing: the API hands out no usable URL for it." in told
    assert "has 5,000 bytes where the API announces 4,999: a person accepted that" in told
    (event,) = eventually(lambda: here.events(recording))
    assert event["payload"]["findings"] == list(archived.findings)


def test_code_checks_the_id_again() -> None:
    with pytest.raises(RecordingIdInvalid):
        archive(Engine(), "../secrets")
