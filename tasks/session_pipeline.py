"""The way of a meeting's session, from its id to a verified, committed archive of what belongs to it.

    fetch_meeting_session   what RealtimeKit says of the session
    fetch_contents          participants, transcript, chat, summary, and what the chat links to: whatever is there
    commit_session_bag      the next version of the session's bag, if anything is new
    write_captions          WebVTT and plain text of the transcript beside each recording's bag, in time with it

`archive_meeting_session` tells their order. A meeting's session is not a run's `Session`, which is its clients.
What is late or missing never fails a run: it is told, stated in the bag, and looked for by the next run.

`archive_session_of_recording` does the same for a recording that is archived: within a time limit, with few requests
where nothing is new, and without any failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tasks.archive import (
    ArchivedMeetingSession,
    SessionRecording,
    captions_key,
    find_deleted,
    revoke_session_tombstones,
    transcript_text_key,
)
from tasks.documents import parse_transcript, plain_text, web_vtt
from tasks.errors import ArchiverError, DeletedOnPurpose, SessionLive, SessionNotFound, TransferStopped
from tasks.pipeline import run_once
from tasks.realtimekit import parse_session_id
from tasks.session_contents import ContentsFetcher
from tasks.session_news import find_unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.archive import MissingPiece, SessionContents, Version
    from tasks.documents import Transcript
    from tasks.pipeline import RunStage
    from tasks.realtimekit import MeetingSession, Recording
    from tasks.session import Attempt, Session

WITH_RECORDING_S = 300.0
"""How long a run that archives a recording works on the recording's session: the recording is archived by then."""
WITH_RECORDING_PATIENCE_S = 10.0
"""How long such a run goes on trying each request."""

UNRECORDED = "The session has no recording, so that nothing of it is archived, as asked for."

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class MeetingSessionOptions:
    """What a person may want of a session's archive."""

    peer_events: bool = False  # archive the participants' events, which hold addresses and devices of people
    uploads: bool = True  # archive the files that the chat links to
    captions: bool = True  # write captions beside the recordings' bags
    participants: bool = True  # ask for the participants; else the archive keeps those that it has
    recorded_only: bool = False  # archive nothing of a session without a recording
    despite_deletion: bool = False  # archive it although it was deleted on purpose


class SessionOutcome(NamedTuple):
    """What came of a look at the session of a recording."""

    archive_url: str = ""  # of the newest version; empty if there is none, or none is known
    missing: tuple[MissingPiece, ...] = ()
    failure: str = ""  # why not all was done
    written: ArchivedMeetingSession | None = None  # the version that this look has written


def archive_meeting_session(
    session: Session, session_id: str, options: MeetingSessionOptions | None = None, run: RunStage = run_once
) -> ArchivedMeetingSession:
    """Archive what is there of a meeting's session; a version is written only if anything is new.

    Args:
        session: the run's clients.
        session_id: of the meeting's session.
        options: what a person wants.
        run: how each stage is run.

    Raises:
        SessionIdInvalid, SessionNotFound: there is no such session.
        SessionLive: the session has not ended.
        DeletedOnPurpose: what belongs to the session was deleted.
        ArchiverError: API or store; final or worth retrying, as the error says. A document that is late, missing or
            broken raises nothing: the result names it.
    """
    options = options or MeetingSessionOptions()
    meeting = run(fetch_meeting_session, session, session_id)
    if options.despite_deletion:
        run(revoke_session_deletion, session, meeting)
    if options.recorded_only and not run(list_recordings, session, meeting):
        session.log.info("%s", UNRECORDED)
        return ArchivedMeetingSession(
            session_id=meeting.id, archive_url="", version=0, files=(), findings=(UNRECORDED,)
        )
    return archive_ended_session(session, meeting, options, run)


def archive_ended_session(
    session: Session, meeting: MeetingSession, options: MeetingSessionOptions, run: RunStage = run_once
) -> ArchivedMeetingSession:
    """Archive what is there of a session whose details are known; arguments and errors as above."""
    contents = run(fetch_contents, session, meeting, options)
    archived = run(commit_session_bag, session, contents)
    if options.captions and contents.recordings:
        run(write_captions, session, meeting, contents.recordings)
    return archived


def archive_session_of_recording(
    session: Session, recording: Recording, options: MeetingSessionOptions | None = None
) -> SessionOutcome:
    """Archive what is there of the session of a recording that is archived already; a failure is told, and stated.

    Args:
        session: the run's clients.
        recording: it may have no session: then nothing is done.
        options: what a person wants.

    Raises:
        TransferStopped: the run is being stopped.
    """
    outcome, options = SessionOutcome(), options or MeetingSessionOptions()
    if not recording.session_id:
        return outcome
    try:
        with session.limited(WITH_RECORDING_S, WITH_RECORDING_PATIENCE_S) as limited:
            meeting = fetch_meeting_session(limited, recording.session_id)
            outcome, recordings = _look_at_session(limited, meeting, recording, options)
            if options.captions and recordings:
                write_captions(limited, meeting, recordings)
    except TransferStopped:
        raise
    except ArchiverError as error:
        is_usual = isinstance(error, SessionLive | SessionNotFound | DeletedOnPurpose)
        log = session.log.info if is_usual else session.log.warning
        log("Not all of session %s is archived. %s", recording.session_id, error)
        return outcome._replace(failure=str(error))
    return outcome


def _look_at_session(
    session: Session, meeting: MeetingSession, recording: Recording, options: MeetingSessionOptions
) -> tuple[SessionOutcome, Sequence[SessionRecording]]:
    """Return what came of the look, and the recordings that captions are to be written for."""
    with session.attempt() as attempt:
        unchanged = find_unchanged(attempt, meeting, recording.id, datetime.now(UTC))
        if unchanged is not None:
            url = attempt.session_archive.url(unchanged.version)
            session.log.info("Nothing new: %s", url)
            return SessionOutcome(url, unchanged.missing), _without_captions(attempt, unchanged.version, recording)
    contents = fetch_contents(session, meeting, options, recording)
    archived = commit_session_bag(session, contents)
    written = archived if archived.changed else None
    return SessionOutcome(archived.archive_url, archived.missing, written=written), contents.recordings


def _without_captions(attempt: Attempt, version: Version, recording: Recording) -> Sequence[SessionRecording]:
    """Return the recording if there is a transcript and no captions of it: a run was ended before it wrote them."""
    folder = attempt.archive.folder(recording)
    if "transcript" not in version.documents or attempt.store.head(captions_key(folder)) is not None:
        return ()
    return (SessionRecording(recording.id, folder, recording.started_time, recording.duration_s),)


def fetch_meeting_session(session: Session, session_id: str) -> MeetingSession:
    """Fetch the details of a session that has ended."""
    with session.attempt() as attempt:
        meeting = attempt.meeting_sessions.session(parse_session_id(session_id))
    if meeting.is_live:
        raise SessionLive(meeting.id)
    session.log.info("Session %s is %s.", meeting.id, meeting.status)
    return meeting


def revoke_session_deletion(session: Session, meeting: MeetingSession) -> None:
    """Let a session's documents be archived again that were deleted on purpose; the tombstone says so from then on."""
    with session.attempt() as attempt:
        folder = attempt.session_archive.folder(meeting)
        if revoke_session_tombstones(attempt.store, session.settings.root, folder, datetime.now(UTC)):
            session.log.warning("Session %s was deleted on purpose, and is archived again.", meeting.id)


def list_recordings(session: Session, meeting: MeetingSession) -> Sequence[SessionRecording]:
    """List the recordings of a session."""
    with session.attempt() as attempt:
        return ContentsFetcher(attempt, meeting, datetime.now(UTC)).list_recordings()


def fetch_contents(
    session: Session, meeting: MeetingSession, options: MeetingSessionOptions, recording: Recording | None = None
) -> SessionContents:
    """Fetch all that is there of a session; what is not there, or cannot be fetched, is named.

    Args:
        session: the run's clients.
        meeting: the meeting's session.
        options: what a person wants.
        recording: one of the session's that is known without asking.

    Raises:
        DeletedOnPurpose: what belongs to the session was deleted.
    """
    with session.attempt() as attempt:
        attempt.session_archive.require_not_deleted(meeting)
        contents = ContentsFetcher(attempt, meeting, datetime.now(UTC), recording).fetch(
            peer_events=options.peer_events, uploads=options.uploads, participants=options.participants
        )
    for piece in contents.missing:
        session.log.info("Session %s, %s: %s.", meeting.id, piece.name, piece.reason.rstrip("."))
    return contents


def commit_session_bag(session: Session, contents: SessionContents) -> ArchivedMeetingSession:
    """Make what was fetched visible as the newest version of the session's bag."""
    with session.attempt() as attempt:
        archived = attempt.session_archive.commit(contents)
    session.log.info(
        "%s: %s (%d files)",
        "Archived" if archived.changed else "Nothing new",
        archived.archive_url,
        len(archived.files),
    )
    return archived


def write_captions(session: Session, meeting: MeetingSession, recordings: Sequence[SessionRecording]) -> list[str]:
    """Write WebVTT and plain text of the archived transcript beside the bags of recordings, in time with each.

    Args:
        session: the run's clients.
        meeting: the meeting's session.
        recordings: of the session.

    Returns:
        The keys that were written; what is there already as it should be is left alone.
    """
    written: list[str] = []
    with session.attempt() as attempt:
        transcript = _archived_transcript(attempt, meeting)
        deleted = find_deleted(attempt.store, (its.folder for its in recordings)) if transcript else {}
        for recording in recordings if transcript else ():
            for key, content_type, text in _captions(transcript, meeting, recording):
                if recording.folder not in deleted and attempt.store.get(key) != text:
                    attempt.store.put(key, text, content_type)
                    written.append(key)
    for key in written:
        session.log.info("Captions: %s", key)
    return written


def _archived_transcript(attempt: Attempt, meeting: MeetingSession) -> Transcript | None:
    version = attempt.session_archive.newest(meeting)
    path = version.documents.get("transcript") if version else None
    content = attempt.session_archive.content(version, path) if version and path else None
    return parse_transcript(content) if content else None


def _captions(
    transcript: Transcript | None, meeting: MeetingSession, recording: SessionRecording
) -> Iterator[tuple[str, str, bytes]]:
    """Yield key, content type and text of what is made of a transcript for a recording."""
    origin = _EPOCH if transcript and transcript.is_absolute else meeting.started_at
    if transcript is None or origin is None or recording.started_time is None:
        return
    shift_ms = (recording.started_time - origin) // _MILLISECOND
    duration_ms = round(recording.duration_s * 1000) if recording.duration_s else None
    captions = web_vtt(transcript, shift_ms, duration_ms)
    if "-->" in captions:  # nobody spoke while this recording was made
        yield captions_key(recording.folder), "text/vtt; charset=utf-8", captions.encode(errors="replace")
        text = plain_text(transcript, shift_ms, duration_ms)
        yield transcript_text_key(recording.folder), "text/plain; charset=utf-8", text.encode(errors="replace")
