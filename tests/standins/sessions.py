"""Sessions as the RealtimeKit API describes them, with the documents that belong to them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from tests.standins.content import DROP, MediaSource
from tests.standins.faults import Answer
from tests.standins.recordings import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATHS = re.compile(
    r"/client/v4/accounts/([^/]+)/realtime/kit/([^/]+)/"
    r"(sessions|meetings)(?:/([^/]+)(?:/(participants|transcript|chat|summary))?)?"
)
NO_SESSION = Answer.refusal(404, "Session not found")
NO_MEETING = Answer.refusal(404, "Meeting not found")
BAD_QUERY = Answer.refusal(400, "Invalid query parameter")
DEFAULT_PER_PAGE = 25

Absence = Literal["404", "null", "no data"]


@dataclass(eq=False)
class StandInDocument:
    """A transcript, chat or summary; everything may be changed while the stand-in runs."""

    source: MediaSource | None = None
    """None: it never comes."""
    name: str = "document.csv"
    """The file's name in its URL."""
    looks_before: int = 0
    """How many requests for its URL find nothing before it is there."""
    absence: Absence = "404"
    """How the API says that it is not there."""

    def look(self) -> bool:
        """Count a request for its URL, and tell whether it finds one."""
        if self.looks_before:
            self.looks_before -= 1
            return False
        return self.source is not None


@dataclass(eq=False)
class StandInSession:
    """A session that the stand-in knows; everything may be changed while it runs."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "ENDED"
    meeting_id: str = ""
    title: str = "Weekly sync"
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=26))
    minutes: float = 31
    participants: list[dict[str, Any]] = field(default_factory=list)
    transcript: StandInDocument = field(default_factory=StandInDocument)
    chat: StandInDocument = field(default_factory=StandInDocument)
    summary: StandInDocument = field(default_factory=StandInDocument)
    uploads: dict[str, MediaSource] = field(default_factory=dict)
    """What participants uploaded in the chat, by name."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Fields of the API's answer to be added or replaced, or left out where DROP."""
    is_nested: bool = False
    """Whether the details are in `data.session`, as the predecessor of the API had it."""
    settings: Mapping[str, object] = field(
        default_factory=lambda: {"transcribe_on_end": True, "summarize_on_end": True, "persist_chat": True}
    )
    """Fields of the meeting's record."""
    largest_page: int = 100
    """More entries than that are not put on a page, whatever is asked for."""
    tells_total: Literal["beside", "within", ""] = "within"
    """Where the list of participants has its paging: beside the data, within it, or nowhere."""

    def __post_init__(self) -> None:
        """Fill in what follows from the rest."""
        self.meeting_id = self.meeting_id or str(uuid.uuid5(uuid.NAMESPACE_URL, f"meeting/{self.id}"))

    @property
    def ended_at(self) -> datetime:
        """When it ended."""
        return self.started_at + timedelta(minutes=self.minutes)

    @property
    def documents(self) -> Mapping[str, StandInDocument]:
        """The documents by kind."""
        return {"transcript": self.transcript, "chat": self.chat, "summary": self.summary}

    def files(self) -> dict[str, MediaSource]:
        """Return the files by their path within the session's folder."""
        named = {f"{kind}/{its.name}": its.source for kind, its in self.documents.items() if its.source is not None}
        return named | {f"uploads/{name}": source for name, source in self.uploads.items()}

    def describe(self) -> dict[str, object]:
        """Return the API's description."""
        began, ended = timestamp(self.started_at), timestamp(self.ended_at)
        described = {
            "id": self.id,
            "associated_id": self.meeting_id,
            "meeting_display_name": self.title,
            "type": "meeting",
            "status": self.status,
            "live_participants": 0,
            "max_concurrent_participants": max(len(self.participants), 1),
            "minutes_consumed": self.minutes,
            "organization_id": "14a396e7-ca44-4937-bf1f-050a69118543",
            "started_at": began,
            "ended_at": ended if self.status == "ENDED" else DROP,
            "created_at": began,
            "updated_at": ended,
            "breakout_rooms": [],
            **self.details,
        }
        return {name: value for name, value in described.items() if value is not DROP}

    def add_participants(self, count: int) -> None:
        """Let so many people take part, with events that hold their addresses."""
        for _ in range(count):
            self.participants.append(_participant(self, len(self.participants)))


def _participant(session: StandInSession, number: int) -> dict[str, Any]:
    its_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"peer/{session.id}/{number}"))
    joined, left = timestamp(session.started_at + timedelta(seconds=number)), timestamp(session.ended_at)
    event = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"event/{its_id}")),
        "event_name": "PEER_JOINING",
        "peer_id": its_id,
        "session_id": session.id,
        "participant_id": its_id,
        "preset_view_type": "GROUP_CALL",
        "minutes_consumed": 0,
        "socket_session_id": "address-canary-192.0.2.7",
        "created_at": joined,
        "updated_at": left,
    }
    return {
        "id": its_id,
        "user_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"user/{its_id}")),
        "custom_participant_id": f"user-{number}",
        "display_name": f"Mary {number}",
        "preset_name": "group_call_host",
        "joined_at": joined,
        "left_at": left,
        "duration": session.minutes,
        "created_at": joined,
        "updated_at": left,
        "peer_events": [event],
    }


class Sessions:
    """The sessions of one app, as the stand-in's API keeps them.

    Args:
        app_id: of the app.
    """

    def __init__(self, app_id: str) -> None:
        self.known: dict[str, StandInSession] = {}
        self._app_id = app_id

    def folder(self, session_id: str) -> str:
        """Return the path that a session's files have on the file server."""
        return f"/realtimekit-sessions/{self._app_id}/{session_id}/"

    def find(self, key: str) -> MediaSource | None:
        """Return the file at a path of the file server; None if there is none."""
        for session in list(self.known.values()):
            folder = self.folder(session.id)
            if key.startswith(folder):
                return session.files().get(key.removeprefix(folder))
        return None

    def answer(
        self, path: re.Match[str], query: Mapping[str, list[str]], link: Callable[[str], str], expiry: datetime
    ) -> Answer:
        """Return the answer to a GET.

        Args:
            path: as `PATHS` has matched it.
            query: of the request.
            link: makes a presigned URL of a path on the file server.
            expiry: of such a URL.
        """
        collection, its_id, part = path[3], path[4], path[5]
        if collection == "meetings":
            return self._meeting(its_id)
        if its_id is None:
            return self._page_of_sessions(query)
        session = self.known.get(its_id)
        if session is None:
            return NO_SESSION
        if part is None:
            described = session.describe()
            return _success({"session": described} if session.is_nested else described)
        if part == "participants":
            return _page_of_participants(session, query)
        return self._document(session, part, link, expiry)

    def _meeting(self, meeting_id: str | None) -> Answer:
        session = next((one for one in self.known.values() if one.meeting_id == meeting_id), None)
        if session is None:
            return NO_MEETING
        created = timestamp(session.started_at - timedelta(minutes=5))
        described = {"id": meeting_id, "title": session.title, "status": "ACTIVE"}
        return _success({**described, "created_at": created, "updated_at": created, **session.settings})

    def _page_of_sessions(self, query: Mapping[str, list[str]]) -> Answer:
        try:
            after = datetime.fromisoformat(_last(query, "start_time", "0001-01-02T00:00:00Z"))
        except ValueError:
            return BAD_QUERY
        chosen = [
            session
            for session in self.known.values()
            if _last(query, "status", session.status) == session.status
            and _last(query, "associated_id", session.meeting_id) == session.meeting_id
            and session.started_at >= after
        ]
        chosen.sort(key=lambda session: session.started_at, reverse=_last(query, "sort_order", "DESC") == "DESC")
        page, paging = _cut([session.describe() for session in chosen], query, 100)
        return Answer.json({"success": True, "data": {"sessions": page}, "paging": paging})

    def _document(self, session: StandInSession, kind: str, link: Callable[[str], str], expiry: datetime) -> Answer:
        document = session.documents[kind]
        is_there = document.look()
        if not is_there and document.absence == "404":
            return Answer.refusal(404, f"{kind} not found")
        if not is_there and document.absence == "no data":
            return _success(None)
        url = link(f"{self.folder(session.id)}{kind}/{document.name}") if is_there else None
        until = timestamp(expiry) if is_there else None
        if kind == "summary":
            return _success({"sessionId": session.id, "summaryDownloadUrl": url, "summaryDownloadUrlExpiry": until})
        named = {f"{kind}_download_url": url, f"{kind}_download_url_expiry": until}
        return _success(named if kind == "chat" else {"sessionId": session.id, **named})


def _page_of_participants(session: StandInSession, query: Mapping[str, list[str]]) -> Answer:
    with_events = query.get("include_peer_events", ["false"])[-1] == "true"
    entries = [
        {name: value for name, value in participant.items() if with_events or name != "peer_events"}
        for participant in session.participants
    ]
    page, paging = _cut(entries, query, session.largest_page)
    within = {"paging": paging} if session.tells_total == "within" else {}
    beside = {"paging": paging} if session.tells_total == "beside" else {}
    return Answer.json({"success": True, "data": {"participants": page, **within}, **beside})


def _cut(
    entries: list[dict[str, Any]], query: Mapping[str, list[str]], largest: int
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return a page of a list, and what the API says of its place; a page past the end is empty."""
    number = int(query.get("page_no", ["1"])[-1])
    size = min(int(query.get("per_page", [str(DEFAULT_PER_PAGE)])[-1]), largest)
    start = (max(number, 1) - 1) * size
    page = entries[start : start + size]
    offsets = {"start_offset": start + 1 if page else 0, "end_offset": start + len(page) if page else 0}
    return page, {"total_count": len(entries), **offsets}


def _last(query: Mapping[str, list[str]], name: str, default: str) -> str:
    return query.get(name, [default])[-1]


def _success(data: object) -> Answer:
    return Answer.json({"success": True, "data": data})
