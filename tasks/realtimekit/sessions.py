"""RealtimeKit's sessions: details, participants over all pages, URLs of documents, and what a meeting asks for.

Only GET is used. A POST to a session's summary would make one, and cost its owner money.
Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/sessions/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tasks.errors import AnswerWithoutData, ApiNonsense, SessionNotFound
from tasks.realtimekit.app_api import AppApi, total_of
from tasks.realtimekit.session_models import (
    ExpectedDocuments,
    parse_document_url,
    parse_expected,
    parse_session,
    participant_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tasks.realtimekit.api_client import Params
    from tasks.realtimekit.session_models import DocumentKind, DocumentUrl, MeetingSession

MOST_ENTRIES = 100_000
"""Entries of a list that are read: far more than a session has participants, or an app sessions within some days."""

_JOINED: Params = {"sort_by": "joinedAt", "sort_order": "ASC", "view": "raw"}
_NEWEST: Params = {"sort_by": "createdAt", "sort_order": "DESC"}


class MeetingSessions(AppApi):
    """The sessions of one app."""

    not_found = SessionNotFound
    kind = "session"

    def session(self, session_id: str) -> MeetingSession:
        """Fetch the details of one session.

        Raises:
            SessionNotFound, ApiRefused, ApiNonsense: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        data = self._api.get(self._session_url(session_id), {"include_breakout_rooms": True})["data"]
        session = parse_session(data) if isinstance(data, dict) else None
        if session is None or session.id != session_id.lower():
            raise ApiNonsense("details of another session than the one asked for, or of none")
        return session

    def participants(self, session_id: str, *, peer_events: bool = False) -> list[Mapping[str, Any]]:
        """Fetch all participants of a session, as sent, in the order in which they joined; a rejoin is another entry.

        Args:
            session_id: of the session.
            peer_events: ask for events, which hold addresses and devices of people.

        Raises:
            SessionNotFound, ApiRefused, ApiNonsense: final.
            ApiUnavailable: the API stayed away for all of the patience; half a list would be none.
        """
        asked = {**_JOINED, "include_peer_events": peer_events}
        return list(self._entries(f"{self._session_url(session_id)}/participants", asked, "participants"))

    def document_url(self, session_id: str, kind: DocumentKind) -> DocumentUrl | None:
        """Return a freshly presigned URL of a document; None if it does not exist: not yet, or never.

        Raises:
            ApiRefused, ApiNonsense: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        try:
            data = self._api.get(f"{self._session_url(session_id)}/{kind}", {})["data"]
        except (SessionNotFound, AnswerWithoutData):
            return None
        return parse_document_url(kind, data)

    def expected_documents(self, meeting_id: str) -> ExpectedDocuments:
        """Return which documents a meeting's settings ask for; of a meeting that the API does not know, nothing.

        Raises:
            ApiRefused, ApiNonsense, ApiUnavailable: as for one session.
        """
        try:
            return parse_expected(self._api.get(f"{self._app_url}/meetings/{quote(meeting_id, safe='')}", {})["data"])
        except (SessionNotFound, AnswerWithoutData):
            return ExpectedDocuments()

    def newest(self) -> MeetingSession | None:
        """Return the newest session; None if there is none.

        Raises:
            ApiRefused, ApiNonsense, ApiUnavailable: as for one session.
        """
        envelope = self._api.get(f"{self._app_url}/sessions", {**_NEWEST, "per_page": 1, "page_no": 1})
        return next((parse_session(entry) for entry in _page(envelope["data"], "sessions")), None)

    def ended_sessions(self, since: datetime, *, meeting_id: str = "") -> list[MeetingSession]:
        """List the sessions that have ended, newest first, each once.

        Args:
            since: the API's `start_time`.
            meeting_id: of the meeting whose sessions are wanted; empty for all.

        Raises:
            ApiRefused, ApiNonsense, ApiUnavailable: as for one session.
        """
        filters = {"status": "ENDED", "start_time": since.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        of_meeting = {"associated_id": meeting_id} if meeting_id else {}
        entries = self._entries(f"{self._app_url}/sessions", {**_NEWEST, **filters, **of_meeting}, "sessions")
        sessions = [parse_session(entry) for entry in entries]
        return [session for session in sessions if session.id and not session.is_live]

    def _session_url(self, session_id: str) -> str:
        return f"{self._app_url}/sessions/{quote(session_id, safe='')}"

    def _entries(self, url: str, params: Params, member: str) -> Iterator[Mapping[str, Any]]:
        """Yield the entries of a list over all pages, each once.

        A page may be shorter than asked for because the API caps its size. So a list without a total ends only with a
        page that is empty or brings nothing new.
        """
        seen: set[str] = set()
        received = 0
        for envelope in self._pages(url, params):
            page = _page(envelope["data"], member)
            new = {participant_key(entry): entry for entry in page}
            new = {key: entry for key, entry in new.items() if key not in seen}
            seen |= new.keys()
            received += len(page)
            yield from new.values()
            if not new or 0 <= _total(envelope) <= received:
                return
            if len(seen) > MOST_ENTRIES:
                raise ApiNonsense(f"a list of more than {MOST_ENTRIES:,} {member}")


def _page(data: object, member: str) -> Sequence[Mapping[str, Any]]:
    """Return the entries of a page, be it a list or an object that holds one; entries that are none are left out."""
    listed = data.get(member) if isinstance(data, dict) else data
    if listed is None and isinstance(data, dict) and member in data:
        return ()
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if not isinstance(listed, list) or (listed and not entries):
        raise ApiNonsense(f"a list of {member} that is none")
    return entries


def _total(envelope: Mapping[str, Any]) -> int:
    """Return how many entries there are on all pages, -1 if it is not told: `paging` is beside the data, or in it."""
    data = envelope["data"]
    beside, inside = total_of(envelope.get("paging")), total_of(data.get("paging") if isinstance(data, dict) else None)
    return inside if beside == -1 else beside
