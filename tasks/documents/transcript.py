"""Transcripts in the forms that RealtimeKit documents: CSV, JSON, SRT and WebVTT.

CSV has no header line and six columns: start, peer id, user id, custom participant id, name, text. The start is in
milliseconds from the session's start; the API's predecessor wrote a time instead.
Source: https://developers.cloudflare.com/realtime/realtimekit/ai/transcription/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from tasks.documents.texts import decode_text, is_json, read_csv, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Form: TypeAlias = Literal["csv", "json", "srt", "vtt"]
COLUMNS = 6
LONGEST_MS = 10**15
"""Milliseconds; more is no time in a meeting, and no time since 1970 either."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMING = re.compile(r"(?:(\d{1,4}):)?(\d{2}):(\d{2})[.,](\d{3})\s*-->\s*(?:(\d{1,4}):)?(\d{2}):(\d{2})[.,](\d{3})\b.*")
_SPEAKER = re.compile(
    # Possessive, as a text of blanks alone would be tried in every division.
    r"(?:<v(?:\.[^\s>]*+)?\s++(?P<voice>[^>]{0,200})>|(?P<name>[^:<>\n]{1,200}):\s)(?P<text>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Utterance:
    """What somebody said."""

    start_ms: int
    end_ms: int | None  # None: the form does not say
    speaker: str  # as sent
    text: str  # as sent


@dataclass(frozen=True)
class Transcript:
    """A transcript, in the order in which its utterances begin."""

    form: Form
    utterances: tuple[Utterance, ...]
    is_absolute: bool = False  # times count from 1970, and not from the session's start


def parse_transcript(content: bytes) -> Transcript | None:
    """Read a transcript in any of the documented forms; None if it is none of them, or has no utterance.

    A file that ends within a quoted field, a JSON value or a cue is none: what was cut short must not pass for whole.
    """
    text = decode_text(content)
    if text is None:
        return None
    if text.startswith("WEBVTT"):
        return _transcript("vtt", list(_cues(text)))
    if is_json(text):
        return _parse_json(text)
    return _parse_csv(text) or _transcript("srt", list(_cues(text)))


def _transcript(form: Form, utterances: Sequence[Utterance | None], *, is_absolute: bool = False) -> Transcript | None:
    whole = [utterance for utterance in utterances if utterance is not None]
    if not whole or len(whole) < len(utterances):
        return None
    return Transcript(form, tuple(sorted(whole, key=lambda utterance: utterance.start_ms)), is_absolute)


def _parse_json(text: str) -> Transcript | None:
    entries = read_json(text)
    return _transcript("json", [_of_json(entry) for entry in entries]) if isinstance(entries, list) else None


def _of_json(entry: object) -> Utterance | None:
    if not isinstance(entry, dict):
        return None
    start, sentence = _milliseconds(entry.get("startTime")), entry.get("sentence")
    if start is None or not isinstance(sentence, str):
        return None
    peer = entry.get("peerData")
    name = peer.get("displayName") if isinstance(peer, dict) else None
    return Utterance(start, _milliseconds(entry.get("endTime")), name if isinstance(name, str) else "", sentence)


def _parse_csv(text: str) -> Transcript | None:
    rows = read_csv(text)
    if rows is None or any(len(row) != COLUMNS for row in rows):
        return None
    if len(rows) > 1 and _milliseconds(rows[0][0]) is None and _moment(rows[0][0]) is None:
        rows = rows[1:]  # a header line, which is not documented
    is_absolute = bool(rows) and _milliseconds(rows[0][0]) is None
    read = _moment if is_absolute else _milliseconds
    return _transcript("csv", [_of_row(row, read(row[0])) for row in rows], is_absolute=is_absolute)


def _of_row(row: Sequence[str], start: int | None) -> Utterance | None:
    return None if start is None else Utterance(start, None, row[4], row[5])


def _cues(text: str) -> Iterator[Utterance | None]:
    """Yield the cues of SRT or WebVTT; None for what has a timing line that is none, or no text."""
    for block in re.split(r"\n[ \t]*\n", re.sub(r"\r\n?", "\n", text)):
        lines = block.strip().split("\n")
        at = next((number for number, line in enumerate(lines) if "-->" in line), None)
        if at is None:
            if not re.match(r"WEBVTT|NOTE|STYLE|REGION|$", lines[0]):
                yield None
            continue
        timing = _TIMING.fullmatch(lines[at].strip())
        yield _of_cue(timing, "\n".join(lines[at + 1 :])) if timing and at <= 1 else None


def _of_cue(timing: re.Match[str], words: str) -> Utterance | None:
    speaker = _SPEAKER.fullmatch(words)
    name = (speaker["voice"] or speaker["name"] or "") if speaker else ""
    text = speaker["text"] if speaker else words
    return Utterance(_clock_ms(timing.groups()[:4]), _clock_ms(timing.groups()[4:]), name, text)


def _clock_ms(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def _milliseconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not re.fullmatch(r"\s*\d{1,16}(\.\d{1,9})?\s*", value, re.ASCII):
        return None
    # Compared before it is converted: JSON has whole numbers that no float holds.
    number = float(value) if isinstance(value, str) else value
    return round(number) if 0 <= number < LONGEST_MS else None


def _moment(value: str) -> int | None:
    """Return a time as milliseconds since 1970."""
    try:
        when = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - _EPOCH) // timedelta(milliseconds=1)
