"""What belongs to a meeting's session, fetched from RealtimeKit: whatever is there, and a name for what is not.

A document that is late, missing or broken stops nothing: each is fetched on its own, and what fails is named.
Documents are kept as they came, but for the signatures of links: who holds one can fetch the file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tasks.archive import (
    MissingPiece,
    SessionContents,
    SessionDocument,
    SessionRecording,
    document_path,
    upload_path_of,
)
from tasks.documents import linked_uploads, recognize_document, recognize_upload, without_signatures
from tasks.download import PresignedUrl, fetch_document, fetch_upload
from tasks.errors import ArchiverError, LinkRefused, SourceMissing, SourceUnavailable, TransferStopped
from tasks.realtimekit import DOCUMENT_KINDS, ExpectedDocuments, without_peer_events
from tasks.retry import Patience
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from typing import Any

    from tasks.realtimekit import DocumentKind, DocumentUrl, MeetingSession, Recording
    from tasks.session import Attempt

DOCUMENT_PATIENCE_S = 60.0
"""How long one document is tried for; the next run tries again."""
UPLOAD_PATIENCE_S = 15.0
UPLOADS_LIMIT_S = 120.0
"""For all uploads of one run: their servers are strangers', and may be as slow as they like."""
MOST_UPLOADS = 500
MOST_UPLOAD_BYTES = 64 * MIB
MOST_UPLOADS_BYTES = 256 * MIB
"""Of one run: they are held in memory until they are committed, and the next run fetches more."""
NEVER_CAME = "never came within the 7 days that RealtimeKit keeps it"
NEVER_FETCHED = "could not be fetched within the 7 days that RealtimeKit keeps it"
NOT_LEFT = "was not there when somebody first looked after the 7 days that RealtimeKit keeps it"
"""The bag states one of these three: sentences that are the same at each look. The first one needs somebody who has
looked in time.
"""
NOT_YET, LEFT = "is not there yet", "is left to a later run"
SERVERS_AWAY = 3
"""Uploads in a row whose server does not answer; the others are left to the next run."""
BEFORE_START = timedelta(days=1)
"""A recording may have been invoked so long before its session's start."""


class ContentsFetcher:
    """Fetches what belongs to one session.

    Args:
        attempt: what this stage works with.
        meeting: the session.
        now: whether the seven days are over is told for this time.
        recording: one of the session's that is known without asking; None if there is none.
    """

    def __init__(
        self, attempt: Attempt, meeting: MeetingSession, now: datetime, recording: Recording | None = None
    ) -> None:
        self._attempt = attempt
        self._meeting = meeting
        self._is_over = meeting.is_over(now)
        self._missing: list[MissingPiece] = []
        self._recording = recording
        self._urls: dict[str, str] = {}  # of documents, by kind
        self._uploaded: list[str] = []  # URLs that the chat links to, with their signatures
        self._servers_away = 0  # uploads in a row whose server does not answer

    def fetch(self, *, peer_events: bool, uploads: bool, participants: bool = True) -> SessionContents:
        """Fetch all of it.

        Args:
            peer_events: fetch the participants' events, which hold addresses and devices of people.
            uploads: fetch the files that the chat links to.
            participants: fetch the participants.
        """
        expected = self._expected()
        documents: list[SessionDocument] = []
        for kind in DOCUMENT_KINDS:
            document = self._document(kind, expected.expects(kind))
            if document is not None:
                documents.append(document)
                if kind == "chat" and uploads:
                    documents += self._uploads()
        if uploads and not any(
            document.path.startswith(document_path("chat", "")) and not document.doubt for document in documents
        ):
            self._miss_uploads_of_archived_chat()
        people = self._participants(peer_events=peer_events) if participants else None
        recordings = self._recordings()
        return SessionContents(self._meeting, people, tuple(documents), tuple(self._missing), recordings)

    def _participants(self, *, peer_events: bool) -> list[Mapping[str, Any]] | None:
        try:
            entries = self._attempt.meeting_sessions.participants(self._meeting.id, peer_events=peer_events)
        except TransferStopped:
            raise
        except ArchiverError as error:
            self._miss("participants", str(error), may_come=True)
            return None
        return entries if peer_events else [without_peer_events(entry) for entry in entries]

    def _expected(self) -> ExpectedDocuments:
        """Return what the meeting's settings ask for; not to know that is no reason to leave anything."""
        if not self._meeting.meeting_id:
            return ExpectedDocuments()
        try:
            return self._attempt.meeting_sessions.expected_documents(self._meeting.meeting_id)
        except TransferStopped:
            raise
        except ArchiverError:
            return ExpectedDocuments()

    def _document(self, kind: DocumentKind, expected: bool | None) -> SessionDocument | None:  # noqa: FBT001 - no choice
        api, session = self._attempt.meeting_sessions, self._attempt.session
        patience = Patience(min(DOCUMENT_PATIENCE_S, session.settings.transfer_patience), self._attempt.stop)
        try:
            url = api.document_url(self._meeting.id, kind)
            if url is None:
                reason = NOT_LEFT if self._is_over else NOT_YET
                self._miss(kind, reason, may_come=not self._is_over, expected=expected)
                return None
            self._urls[kind] = url.url
            refresh = lambda: _link(api.document_url(self._meeting.id, kind))  # noqa: E731 - it is one call
            document = fetch_document(
                session.source_http, kind, PresignedUrl(url.url, url.expires_at), refresh, patience
            )
        except TransferStopped:
            raise
        except ArchiverError as error:
            is_gone = not error.retryable or isinstance(error, SourceMissing | LinkRefused)
            is_final = self._is_over and is_gone
            reason = NEVER_FETCHED if is_final else str(error)
            self._miss(kind, reason, may_come=not is_final, expected=expected)
            return None
        if kind == "chat":
            self._uploaded = linked_uploads(document.content)
        content = without_signatures(document.content)
        recognized = recognize_document(kind, content)
        if recognized.doubt:
            self._miss(kind, recognized.doubt, may_come=not self._is_over, expected=expected)
        path = document_path(kind, recognized.extension)
        return SessionDocument(path, content, recognized.content_type, recognized.doubt)

    def _uploads(self) -> Iterator[SessionDocument]:
        """Yield the files that the chat links to, but for those that are archived already."""
        urls = self._uploaded
        newest = self._attempt.session_archive.newest(self._meeting) if urls else None
        archived = set(newest.checksums) if newest else set[str]()
        seconds = min(UPLOAD_PATIENCE_S, self._attempt.session.settings.transfer_patience)
        patience = Patience(seconds, self._attempt.stop, limit_s=UPLOADS_LIMIT_S)
        left, tried = MOST_UPLOADS_BYTES, 0
        for url in urls:
            path = upload_path_of(url)
            if path in archived:
                continue
            if tried >= MOST_UPLOADS or left <= 0 or self._servers_away >= SERVERS_AWAY or patience.is_over:
                self._miss(path, LEFT, may_come=not self._is_over)
                continue
            tried += 1
            upload = self._upload(path, url, patience, min(left, MOST_UPLOAD_BYTES))
            if upload is not None:
                archived.add(path)
                left -= len(upload.content)
                yield upload

    def _miss_uploads_of_archived_chat(self) -> None:
        """Name the files that the archived chat links to and that are not archived: this time, no chat came."""
        archive = self._attempt.session_archive
        newest = archive.newest(self._meeting)
        path = newest.documents.get("chat") if newest else None
        content = archive.content(newest, path) if newest and path else None
        archived = newest.checksums if newest else {}
        for url in linked_uploads(content) if content else ():
            upload = upload_path_of(url)
            if upload not in archived:
                self._miss(upload, LEFT, may_come=not self._is_over)

    def _upload(self, path: str, url: str, patience: Patience, most: int) -> SessionDocument | None:
        http = self._attempt.session.source_http
        try:
            upload = fetch_upload(http, path, url, self._urls.get("chat", ""), patience, most)
        except TransferStopped:
            raise
        except ArchiverError as error:
            self._servers_away += isinstance(error, SourceUnavailable)
            self._miss(path, str(error), may_come=not self._is_over)
            return None
        patience.progressed()
        self._servers_away = 0
        return SessionDocument(path, upload.content, recognize_upload(url, upload.content_type).content_type)

    def _recordings(self) -> tuple[SessionRecording, ...]:
        """Return the session's recordings; not to find them is no reason to leave anything."""
        known = self._of_session(self._recording) if self._recording else None
        by_id = {recording.id: recording for recording in (*self._listed(), *((known,) if known else ()))}
        return tuple(by_id.values())

    def list_recordings(self) -> tuple[SessionRecording, ...]:
        """List the session's recordings.

        Raises:
            ApiRefused, ApiNonsense, ApiUnavailable: half a list is none.
        """
        if not self._meeting.meeting_id:
            return ()
        since = self._meeting.day - BEFORE_START if self._meeting.day else None
        listed = self._attempt.api.recordings({"meeting_id": self._meeting.meeting_id}, self._of_session, since=since)
        return tuple(recording for recording in listed if recording is not None)

    def _listed(self) -> tuple[SessionRecording, ...]:
        try:
            return self.list_recordings()
        except TransferStopped:
            raise
        except ArchiverError as error:
            self._attempt.session.log.warning("The recordings of session %s are not known. %s", self._meeting.id, error)
            return ()

    def _of_session(self, recording: Recording) -> SessionRecording | None:
        if recording.session_id.lower() != self._meeting.id:
            return None
        folder = self._attempt.archive.folder(recording)
        return SessionRecording(recording.id, folder, recording.started_time, recording.duration_s)

    def _miss(self, name: str, reason: str, *, may_come: bool, expected: bool | None = None) -> None:
        self._missing.append(MissingPiece(name=name, reason=reason, may_come=may_come, expected=expected))


def _link(url: DocumentUrl | None) -> PresignedUrl | None:
    return PresignedUrl(url.url, url.expires_at) if url else None
