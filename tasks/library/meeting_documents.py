"""What belongs to a recording's meeting, as the pages show it: people, chat, summary, and the transcript in time.

All of it was written by strangers, and is bounded here and escaped by the templates.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.archive import PARTICIPANTS, SESSION_DETAILS, document_path, upload_path
from tasks.documents import linked_uploads, parse_chat, parse_transcript
from tasks.errors import ObjectTooLarge
from tasks.library.recording_facts import Media
from tasks.realtimekit.values import as_time
from tasks.text import MIB, clock, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tasks.archive import SessionBag
    from tasks.s3 import Bucket

LARGEST_DOCUMENT = 8 * MIB
MOST_LINES, MOST_MESSAGES, MOST_PEOPLE = 20_000, 2_000, 1_000
LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class Line:
    """Something that was said."""

    seconds: float  # from the beginning of the recording
    speaker: str
    text: str

    @property
    def clock(self) -> str:
        """When it was said, as people write it."""
        return clock(self.seconds)


@dataclass(frozen=True)
class SpokenLines:
    """What was said, as far as a page shows it."""

    lines: tuple[Line, ...] = ()
    total: int = 0  # of the whole transcript
    is_too_large: bool = False  # to be read here


@dataclass(frozen=True)
class ChatMessage:
    """A message of the chat."""

    sender: str
    text: str
    at: str = ""  # as people write it
    file: str = ""  # the path of what was uploaded with it, within the session's bag


@dataclass(frozen=True)
class Person:
    """Somebody who took part."""

    name: str
    role: str = ""
    joined: str = ""
    left: str = ""


@dataclass(frozen=True)
class MeetingDocuments:
    """What is archived of a session."""

    session_id: str
    title: str = ""
    started: str = ""
    ended: str = ""
    began_ms: int = 0  # since 1970; 0 if that is not known
    version: int = 0
    archive_url: str = ""
    folder: str = ""  # the key prefix of the version
    people: tuple[Person, ...] = ()
    chat: tuple[ChatMessage, ...] = ()
    summary: str = ""
    files: tuple[Media, ...] = ()
    more: tuple[str, ...] = field(default=())  # what is not shown, in sentences


def read_captions(bucket: Bucket, key: str) -> SpokenLines:
    """Return the lines of a recording's captions; none if there are no captions, or none that can be read."""
    # Captions are WebVTT, in which three characters are escaped.
    return _read_lines(bucket, key, lambda text: html.unescape(text).strip())


def read_transcript(bucket: Bucket, meeting: MeetingDocuments) -> SpokenLines:
    """Return the lines of a session's transcript, in time with the session; none if none can be read."""
    paths = {media.path for media in meeting.files}
    forms = (document_path("transcript", extension) for extension in ("csv", "json", "srt", "vtt"))
    path = next((path for path in forms if path in paths), "")
    return _read_lines(bucket, meeting.folder + path, _text, meeting.began_ms) if path else SpokenLines()


def _read_lines(bucket: Bucket, key: str, plain: Callable[[str], str], began_ms: int = 0) -> SpokenLines:
    """Return the lines of a transcript.

    Args:
        bucket: where it is.
        key: of the object.
        plain: makes a text fit to be shown.
        began_ms: when the session began, in milliseconds since 1970, for transcripts that count from then.
    """
    try:
        transcript = parse_transcript(bucket.get(key, LARGEST_DOCUMENT) or b"")
    except ObjectTooLarge:
        return SpokenLines(is_too_large=True)
    if transcript is None:
        return SpokenLines()
    begin_ms = (began_ms or transcript.utterances[0].start_ms) if transcript.is_absolute else 0
    lines = (
        Line(max(utterance.start_ms - begin_ms, 0) / 1000, plain(utterance.speaker), plain(utterance.text))
        for utterance in transcript.utterances[:MOST_LINES]
    )
    return SpokenLines(tuple(lines), len(transcript.utterances))


def read_meeting(bucket: Bucket, session_id: str, newest: SessionBag) -> MeetingDocuments:
    """Return what a session's bag holds.

    Args:
        bucket: where it is.
        session_id: the session's id.
        newest: the newest version of the bag.

    Raises:
        StoreRefused, StoreUnavailable: the store.
    """
    details = _object(_json(newest.bag.tags.get(SESSION_DETAILS, b"")))
    listed, checksums = newest.bag.listed, newest.bag.checksums
    files = tuple(Media(path, listed[path].size, checksums[path]) for path in sorted(checksums) if path in listed)
    paths = {media.path for media in files}
    people = _people(_json(newest.bag.tags.get(PARTICIPANTS, b"")))
    chat = _first(bucket, newest, paths, "chat", ("csv", "json"))
    summary = _first(bucket, newest, paths, "summary", ("md", "txt"))
    messages = parse_chat(chat) if chat else None
    sent = messages[1] if messages else []
    hidden = [
        f"{len(all_of) - most:,} more {name} are in the archive."
        for name, all_of, most in (("people", people, MOST_PEOPLE), ("messages", sent, MOST_MESSAGES))
        if len(all_of) > most
    ]
    return MeetingDocuments(
        session_id,
        title=_text(details.get("meeting_display_name")),
        started=_time(details.get("started_at")),
        ended=_time(details.get("ended_at")),
        began_ms=round(began.timestamp() * 1000) if (began := as_time(details.get("started_at"))) else 0,
        version=newest.version,
        archive_url=f"s3://{bucket.bucket}/{newest.folder}",
        folder=newest.folder,
        people=tuple(people[:MOST_PEOPLE]),
        chat=tuple(_message(message, paths) for message in sent[:MOST_MESSAGES]),
        summary=_text(summary.decode(errors="replace"), 20 * LONGEST_TEXT),
        files=files,
        more=tuple(hidden),
    )


def _first(bucket: Bucket, newest: SessionBag, paths: set[str], kind: str, extensions: Sequence[str]) -> bytes:
    """Return the content of a document, in whichever form it is there; empty if there is none."""
    forms = [path for extension in extensions if (path := document_path(kind, extension)) in paths]
    return _read(bucket, newest.folder + forms[0]) if forms else b""


def _read(bucket: Bucket, key: str) -> bytes:
    try:
        return bucket.get(key, LARGEST_DOCUMENT) or b""
    except ObjectTooLarge:
        return b""


def _people(entries: object) -> list[Person]:
    people = [_object(entry) for entry in entries] if isinstance(entries, list) else []
    return [
        Person(
            _text(person.get("display_name")) or _text(person.get("custom_participant_id")) or "Without a name",
            _text(person.get("preset_name")).replace("_", " "),
            _time(person.get("joined_at")),
            _time(person.get("left_at")),
        )
        for person in people
    ]


def _message(message: Mapping[str, Any], paths: set[str]) -> ChatMessage:
    sender = _text(message.get("displayName")) or "Somebody"
    at, payload = _time(message.get("createdAt")), message.get("payload")
    uploads = linked_uploads(json.dumps([dict(message)]).encode())
    if uploads:
        file = next((path for url in uploads for path in _stored_uploads(url, paths)), "")
        return ChatMessage(sender, "" if file else "A file that is not in the archive", at, file)
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return ChatMessage(sender, _text(text), at)


def _stored_uploads(url: str, paths: set[str]) -> list[str]:
    """Return the paths of an uploaded file, whatever its extension."""
    stem = upload_path(url, "")
    return [path for path in paths if path.startswith(stem)]


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text that may be shown: of whole characters, and without secrets."""
    if not isinstance(value, str):
        return ""
    return redact(value[:longest].encode(errors="replace").decode()).strip()


def _time(value: object) -> str:
    """Return a time in UTC as people write it; empty if it is none."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        if time is None:
            return ""
        return f"{time.astimezone(UTC) if time.tzinfo else time:%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return ""
