"""What RealtimeKit says of a session: its details, its participants, and the URLs of its documents.

A session is one meeting that took place. It may have several recordings, or none. Fields are written in snake_case in
one answer and in camelCase in the next, the details come flat or as `session`, and anything may be null or missing.
Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/sessions/
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from tasks.realtimekit.models import RETENTION
from tasks.realtimekit.values import as_name, as_object, as_text, as_time, as_url, as_word
from tasks.text import one_word

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DocumentKind: TypeAlias = Literal["transcript", "chat", "summary"]
DOCUMENT_KINDS: tuple[DocumentKind, ...] = get_args(DocumentKind)
DEEPEST_EVENTS = 20
"""Levels of a participant that are searched for events; the API has two."""

_PEER_EVENTS = frozenset({"peerevents", "peerreport", "peerreports", "peerstats"})
"""Fields that hold addresses and devices of people, as one word in lower case."""
_SETTINGS: Mapping[DocumentKind, str] = {
    "transcript": "transcribe_on_end",
    "chat": "persist_chat",
    "summary": "summarize_on_end",
}


@dataclass(frozen=True)
class MeetingSession:
    """One session; `details` is the API's answer as it came and may hold secrets, so it is kept out of `repr`."""

    id: str
    status: str  # LIVE or ENDED
    meeting_id: str  # a UUID, or a room's name as old meetings have it
    title: str  # of the meeting, as sent but for secrets
    started_at: datetime | None
    ended_at: datetime | None
    created_at: datetime | None
    details: Mapping[str, Any] = field(repr=False)

    @property
    def day(self) -> datetime | None:
        """The time whose UTC day the archive is ordered by; None if the API names no time at all."""
        return self.started_at or self.created_at or self.ended_at

    @property
    def is_live(self) -> bool:
        """Whether the session has not ended."""
        return self.status == "LIVE" and self.ended_at is None

    @property
    def expires(self) -> datetime | None:
        """When RealtimeKit deletes the session's documents, or a little before that; None if nobody can know.

        They are kept for seven days from the session's end.
        """
        last = self.ended_at or self.day
        return last + RETENTION if last else None

    def is_over(self, now: datetime) -> bool:
        """Tell whether RealtimeKit's seven days are over, so that what is missing will never come."""
        return self.expires is not None and now > self.expires


@dataclass(frozen=True)
class DocumentUrl:
    """The presigned URL of a session's document, and when it expires if the API says so."""

    url: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class ExpectedDocuments:
    """Which documents a meeting's settings ask for; None where the API does not say.

    A transcript may also come from live transcription, which a participant's preset asks for, and a summary may be
    asked for by hand. So False means that a document is unlikely, and never that there is none.
    """

    transcript: bool | None = None
    chat: bool | None = None
    summary: bool | None = None

    def expects(self, kind: DocumentKind) -> bool | None:
        """Tell whether the meeting's settings ask for a document."""
        return {"transcript": self.transcript, "chat": self.chat, "summary": self.summary}[kind]


def parse_session(data: Mapping[str, Any]) -> MeetingSession:
    """Read one session from the API's `data`, be it flat or below `session`.

    Args:
        data: the JSON object; unknown fields are kept, fields of an unexpected type count as absent.
    """
    nested = as_object(data.get("session"))
    details = nested if nested and not as_word(data.get("id")) else data
    return MeetingSession(
        id=as_word(details.get("id")).lower(),
        status=as_word(details.get("status")).upper() or "UNKNOWN",
        meeting_id=as_word(details.get("associated_id")),
        title=as_name(details.get("meeting_display_name")),
        started_at=as_time(details.get("started_at")),
        ended_at=as_time(details.get("ended_at")),
        created_at=as_time(details.get("created_at")),
        details=details,
    )


def parse_document_url(kind: DocumentKind, data: object) -> DocumentUrl | None:
    """Return the URL that the API hands out for a document; None if it hands out none.

    Args:
        kind: of the document.
        data: of the API's answer; names of fields may be in snake_case or camelCase.
    """
    fields = {one_word(name): value for name, value in as_object(data).items()}
    url = as_url(fields.get(f"{kind}downloadurl"))
    return DocumentUrl(url, as_time(fields.get(f"{kind}downloadurlexpiry"))) if url else None


def parse_expected(data: object) -> ExpectedDocuments:
    """Read from a meeting's record which documents its settings ask for."""
    record = as_object(data)
    flags = {kind: record.get(name) for kind, name in _SETTINGS.items()}
    return ExpectedDocuments(**{kind: flag for kind, flag in flags.items() if isinstance(flag, bool)})


def without_peer_events(participant: Mapping[str, Any], depth: int = DEEPEST_EVENTS) -> dict[str, Any]:
    """Return a participant without the fields that hold addresses and devices of people."""
    kept = {name: value for name, value in participant.items() if one_word(name) not in _PEER_EVENTS}
    return {name: _cleaned(value, depth - 1) for name, value in kept.items()}


def _cleaned(value: object, depth: int) -> object:
    if depth <= 0:
        return None
    if isinstance(value, list):
        return [_cleaned(item, depth - 1) for item in value]
    return without_peer_events(value, depth) if isinstance(value, dict) else value


def participant_key(participant: Mapping[str, Any]) -> str:
    """Return what tells a participant's stay apart from others: its id, or all that is known of it."""
    return as_text(participant.get("id")) or json.dumps(participant, sort_keys=True, default=str)
