"""One recording, from its id to a verified, committed archive.

uv run python -m flows.archive_recording RECORDING_ID [--wait-timeout SECONDS] [--overwrite] [--accept-size] [--partial]
    [--no-session] [--app-id ID] [--despite-deletion]
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks import command, pipeline
from tasks.app_ids import OptionalAppId
from tasks.archive import ArchivedRecording
from tasks.arguments import Metavar
from tasks.engine import Engine
from tasks.errors import ArchiverError, TransferStopped
from tasks.pipeline import Options
from tasks.realtimekit import RecordingId, parse_recording_id
from tasks.session_pipeline import SessionOutcome, archive_session_of_recording
from tasks.settings import Settings, load_settings
from tasks.transfer import report

if TYPE_CHECKING:
    from tasks.realtimekit import Recording
    from tasks.session import Session

WAIT_TIMEOUT_S = 600
LONGEST_WAIT_S = 86_400


def archive(
    engine: Engine,
    recording_id: RecordingId,
    *,
    wait_timeout: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S), Metavar("SECONDS")] = WAIT_TIMEOUT_S,
    overwrite: bool = False,
    accept_size: bool = False,
    partial: bool = False,
    session: bool = True,
    app_id: Annotated[OptionalAppId, Metavar("ID")] = "",
    despite_deletion: bool = False,
) -> ArchivedRecording:
    """Bring one recording home: wait until it is uploaded, transfer and verify its files, archive them.

    Args:
        recording_id: The recording's id, a UUID as the RealtimeKit dashboard shows it.
        wait_timeout: How many seconds to wait for a recording that is not uploaded yet. After that, a run that was
            started from here ends, and one that looks again is scheduled for later.
        overwrite: Archive it again, although it is archived. The old archive stays until the new one is complete.
        accept_size: Archive a video although the API announces another size, if the source holds the same file at two
            looks. The archive states both sizes.
        partial: Archive the files that can be downloaded, although the API names others without a usable URL. The
            archive states what is missing, and is replaced by the next run or sweep that can have all files. With
            overwrite, an archive is replaced that has no file that the new one has not.
        session: Archive what is there of the recording's session, too: transcript, chat, summary, participants. That
            comes after the recording, and never fails the run. Run it again later for what has come since.
        app_id: The recording's app, if it is another RealtimeKit app of the account than that of the settings.
        despite_deletion: Archive it although it was deleted on purpose. The record of the deletion says so.
    """
    recording_id = parse_recording_id(recording_id)
    settings = load_settings(Settings)
    options = Options(wait_timeout, overwrite, accept_size, partial, despite_deletion=despite_deletion)
    with engine.open_session(settings) as own:
        clients = own.for_app(app_id)
        outcome = pipeline.archive_recording(clients, recording_id, options, engine.with_retries(settings))
        archived, transferred, recording = outcome
        if transferred is not None:
            archived = archived.model_copy(update={"retries": engine.retries})
            engine.emit_archived(archived)
            publish_report(engine, archived.recording_id, report(archived, transferred))
        return _with_session(engine, clients, archived, recording) if session else archived


def _with_session(
    engine: Engine, clients: Session, archived: ArchivedRecording, recording: Recording
) -> ArchivedRecording:
    """Archive what is there of the recording's session, and state in the result what came of it, be it a failure."""
    if not recording.session_id:
        return archived
    try:
        outcome = engine.run_once(archive_session_of_recording, clients, recording)
    except TransferStopped:
        raise
    except engine.own_errors as error:  # of Prefect's, or what nobody foresaw
        outcome = SessionOutcome(failure=str(error) if isinstance(error, ArchiverError) else type(error).__name__)
        engine.log.warning("Session %s is not archived: %s", recording.session_id, outcome.failure)
    if outcome.written is not None:
        engine.emit_session_archived(outcome.written)
        engine.publish_session(outcome.written)
    return archived.model_copy(
        update={
            "session_url": outcome.archive_url,
            "session_missing": outcome.missing,
            "session_failure": outcome.failure,
        }
    )


def publish_report(engine: Engine, recording_id: str, text: str) -> None:
    """Leave a report of an archived recording in Prefect's UI."""
    engine.publish_markdown("report", f"archived-{recording_id}", text, "What was archived, and where")


def main(arguments: list[str] | None = None) -> int:
    """Archive one recording from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return command.main(archive, "flows.archive_recording:archive_recording", Settings, arguments)


if __name__ == "__main__":
    sys.exit(main())


from typing import Any

from prefect import State

from tasks import cli
from tasks.errors import NotUploadedInTime
from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow
from tasks.orchestration.reschedule import reschedule


@flow(name="archive-recording", flow_run_name="archive {recording_id}", persist_result=False)
@command.with_signature_of(archive)
def archive_recording(*args: Any, **parameters: Any) -> ArchivedRecording | State[None]:
    """Archive one recording; a deployment's run that is too early starts a later one, and ends as Postponed."""
    engine = PrefectEngine()
    try:
        return cli.achieved(archive(engine, *args, **parameters))
    except NotUploadedInTime as too_early:
        if postponed := reschedule(too_early, load_settings(Settings).poll_interval, engine.log):
            return postponed
        raise
