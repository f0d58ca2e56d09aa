"""Chats: CSV with a header line or JSON, and the files that their messages link to.

Source: https://developers.cloudflare.com/realtime/realtimekit/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tasks.documents.texts import decode_text, is_json, read_csv, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ChatForm: TypeAlias = Literal["csv", "json"]
COLUMNS = (
    "id", "participantId", "sessionId", "meetingId", "displayName", "pinned", "isEdited", "payloadType", "payload",
    "createdAt",
)  # fmt: skip
"""As documented; a file without a header line has them in this order."""
DEEPEST_PAYLOAD = 8
"""Levels of a message's payload that are searched for links."""

_WITH_UPLOAD = re.compile(r"image|file|attachment", re.IGNORECASE)


def parse_chat(content: bytes) -> tuple[ChatForm, list[Mapping[str, Any]]] | None:
    """Return a chat's form and messages, of which there may be none; None if it is in neither form."""
    text = decode_text(content)
    if text is None:
        return None
    if is_json(text):
        messages = _of_json(text)
        return None if messages is None else ("json", messages)
    rows = _of_csv(text)
    return None if rows is None else ("csv", rows)


def linked_uploads(content: bytes) -> list[str]:
    """Return the http(s) URLs of the images and files that a chat's messages link to, each once, in their order."""
    parsed = parse_chat(content)
    messages = parsed[1] if parsed else []
    named = [url for message in messages if _has_upload(message) for url in _urls_in(_payload_of(message))]
    return list(dict.fromkeys(named))


def _of_json(text: str) -> list[Mapping[str, Any]] | None:
    parsed = read_json(text)
    if isinstance(parsed, dict):  # the messages below some name, such as `messages`
        lists = [value for value in parsed.values() if isinstance(value, list)]
        parsed = lists[0] if len(lists) == 1 else None
    if not isinstance(parsed, list) or not all(isinstance(message, dict) for message in parsed):
        return None
    return parsed


def _of_csv(text: str) -> list[Mapping[str, Any]] | None:
    rows = read_csv(text)
    if rows is None:
        return None
    has_header = bool(rows) and {"payload", "payloadtype"} <= {_one_word(name) for name in rows[0]}
    header = rows.pop(0) if has_header else list(COLUMNS)
    if any(len(row) != len(header) for row in rows) or not (rows or has_header):
        return None
    return [dict(zip(header, row, strict=True)) for row in rows]


def _has_upload(message: Mapping[str, Any]) -> bool:
    kinds = [value for name, value in message.items() if _one_word(name) in {"payloadtype", "type"}]
    return any(isinstance(kind, str) and _WITH_UPLOAD.search(kind) for kind in kinds)


def _payload_of(message: Mapping[str, Any]) -> object:
    """Return a message's payload; without one, the message, whose link may stand beside its type."""
    return next((value for name, value in message.items() if _one_word(name) == "payload"), dict(message))


def _urls_in(payload: object, depth: int = DEEPEST_PAYLOAD) -> Iterator[str]:
    """Yield the URLs in a payload: a URL, JSON in a string, or an object."""
    if depth <= 0:
        return
    if isinstance(payload, dict):
        payload = list(payload.values())
    if isinstance(payload, list):
        for item in payload:
            yield from _urls_in(item, depth - 1)
    elif isinstance(payload, str) and re.match(r"https?://\S+$", text := payload.strip(), re.IGNORECASE):
        yield text
    elif isinstance(payload, str) and is_json(payload):
        yield from _urls_in(read_json(payload), depth - 1)


def _one_word(name: object) -> str:
    return re.sub(r"[^a-z]", "", str(name).lower())
