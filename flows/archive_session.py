"""What belongs to a meeting's session besides its recordings: transcript, chat, summary, participants.

uv run python -m flows.archive_session SESSION_ID [--peer-events] [--no-uploads] [--no-captions] [--recorded-only]
    [--app-id ID]
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
from typing import Annotated

from tasks import command
from tasks.app_ids import OptionalAppId
from tasks.archive import ArchivedMeetingSession
from tasks.arguments import Metavar
from tasks.engine import Engine
from tasks.realtimekit import SessionId, parse_session_id
from tasks.session_pipeline import MeetingSessionOptions, archive_meeting_session
from tasks.settings import Settings, load_settings


def archive(
    engine: Engine,
    session_id: SessionId,
    *,
    peer_events: bool = False,
    uploads: bool = True,
    captions: bool = True,
    recorded_only: bool = False,
    app_id: Annotated[OptionalAppId, Metavar("ID")] = "",
    despite_deletion: bool = False,
) -> ArchivedMeetingSession:
    """Archive what is there of a meeting's session, and write a new version only if anything is new.

    RealtimeKit deletes transcript, chat and summary seven days after the meeting. They appear minutes or hours after
    its end: run it again later, and it adds what has come since. It creates nothing at RealtimeKit.

    Args:
        session_id: The session's id, a UUID. A recording's details name it as session_id.
        peer_events: Archive the participants' events, too. They hold the network addresses and devices of people.
        uploads: Archive the files that the chat links to.
        captions: Write captions (WebVTT) and plain text of the transcript beside the archive of each recording.
        recorded_only: Archive nothing of a session that has no recording. The webhook asks for this.
        app_id: The session's app, if it is another RealtimeKit app of the account than that of the settings.
        despite_deletion: Archive it although it was deleted on purpose. The record of the deletion says so.
    """
    settings = load_settings(Settings)
    options = MeetingSessionOptions(
        peer_events=peer_events,
        uploads=uploads,
        captions=captions,
        recorded_only=recorded_only,
        despite_deletion=despite_deletion,
    )
    with engine.open_session(settings) as own:
        archived = archive_meeting_session(
            own.for_app(app_id), parse_session_id(session_id), options, engine.with_retries(settings)
        )
        if archived.changed:
            engine.emit_session_archived(archived)
            engine.publish_session(archived)
        return archived


def main(arguments: list[str] | None = None) -> int:
    """Archive a session from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return command.main(archive, "flows.archive_session:archive_session", Settings, arguments)


if __name__ == "__main__":
    sys.exit(main())


from typing import Any

from tasks import cli
from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow


@flow(name="archive-session", flow_run_name="archive session {session_id}", persist_result=False)
@command.with_signature_of(archive)
def archive_session(*args: Any, **parameters: Any) -> ArchivedMeetingSession:
    """Archive what belongs to a meeting's session."""
    return cli.achieved(archive(PrefectEngine(), *args, **parameters))
