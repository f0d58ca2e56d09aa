"""Whether a session's archive lacks anything that RealtimeKit has by now: asked with few requests.

Most looks at a session find nothing new. Such a look takes one request for the session's details, and one for each
document that is not archived yet; nothing is downloaded, and nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasks.archive import UPLOADS_MISSING, MissingPiece
from tasks.errors import ArchiverError, TransferStopped
from tasks.realtimekit import DOCUMENT_KINDS
from tasks.session_contents import NEVER_CAME, NEVER_FETCHED, NOT_LEFT, NOT_YET

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.archive import Version
    from tasks.realtimekit import DocumentKind, MeetingSession
    from tasks.session import Attempt


class Unchanged(NamedTuple):
    """A session of which the newest version has all that there is."""

    version: Version
    missing: tuple[MissingPiece, ...]


def find_unchanged(attempt: Attempt, meeting: MeetingSession, recording_id: str, now: datetime) -> Unchanged | None:
    """Return the newest version of a session's bag if it has all that there is; None if a whole look is worth it.

    A document that is archived without a doubt is not asked for again, though it may have been replaced: the command
    archive-session takes a whole look.

    Args:
        attempt: what this stage works with.
        meeting: the session, as it is now.
        recording_id: of a recording that the version has to name.
        now: whether the seven days are over is told for this time.
    """
    newest = attempt.session_archive.newest(meeting)
    if newest is None or not newest.describes(meeting, recording_id):
        return None
    missing: list[MissingPiece] = []
    for finding in newest.findings:
        kind = next((kind for kind in DOCUMENT_KINDS if finding.startswith(f"The {kind} ")), None)
        reason = next((reason for reason in (NEVER_CAME, NEVER_FETCHED, NOT_LEFT) if reason in finding), None)
        if kind and reason:
            missing.append(MissingPiece(name=kind, reason=reason, may_come=False))
        elif finding.endswith(UPLOADS_MISSING) and meeting.is_over(now):
            continue
        elif kind is None or meeting.is_over(now):
            return None
        elif (piece := _still_missing(attempt, meeting, kind)) is not None:
            missing.append(piece)
        else:
            return None
    return Unchanged(newest, tuple(missing))


def _still_missing(attempt: Attempt, meeting: MeetingSession, kind: DocumentKind) -> MissingPiece | None:
    """Return what is to be said of a document that is not there; None if it is there by now."""
    try:
        if attempt.meeting_sessions.document_url(meeting.id, kind) is not None:
            return None
    except TransferStopped:
        raise
    except ArchiverError as error:
        return MissingPiece(name=kind, reason=str(error), may_come=True)
    return MissingPiece(name=kind, reason=NOT_YET, may_come=True)
