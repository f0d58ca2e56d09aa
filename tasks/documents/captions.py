"""Captions made from a transcript, in time with a recording: WebVTT for players, and plain text for people.

Source of the format: https://www.w3.org/TR/webvtt1/
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from tasks.text import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.documents.transcript import Transcript

SHORTEST_MS, LONGEST_MS = 1_000, 10_000
"""How long a caption is shown whose end the transcript does not tell, at least and at most."""
READ_MS_PER_CHARACTER = 70
"""Somewhat slower than people read."""
LONGEST_SPEAKER = 80
"""Characters of a name."""


@dataclass(frozen=True)
class _Caption:
    """An utterance in a recording's own time, fit to be shown."""

    start_ms: int
    end_ms: int
    speaker: str
    text: str


def web_vtt(transcript: Transcript, shift_ms: int, duration_ms: int | None = None) -> str:
    """Return a transcript as WebVTT.

    Args:
        transcript: of the session.
        shift_ms: where in the transcript's time the recording begins.
        duration_ms: of the recording; captions after its end are left out. None if it is not known.
    """
    cues = [_cue(caption) for caption in _captions(transcript, shift_ms, duration_ms)]
    return "\n".join(["WEBVTT\n", *cues])


def plain_text(transcript: Transcript, shift_ms: int, duration_ms: int | None = None) -> str:
    """Return a transcript as lines such as `[0:01:05] Mary: Hello`; arguments as for `web_vtt`."""
    captions = _captions(transcript, shift_ms, duration_ms)
    return "".join(f"[{clock(caption.start_ms // 1000)}] {_introduced(caption)}\n" for caption in captions)


def _introduced(caption: _Caption) -> str:
    return f"{caption.speaker}: {caption.text}" if caption.speaker else caption.text


def _captions(transcript: Transcript, shift_ms: int, duration_ms: int | None) -> Iterator[_Caption]:
    """Yield what falls into the recording, cut to fit where it begins before it or ends after it."""
    utterances = transcript.utterances
    followers = [utterance.start_ms for utterance in utterances[1:]]
    for utterance, following in zip_longest(utterances, followers):
        text = _one_line(utterance.text)
        start, end = utterance.start_ms, utterance.end_ms
        if end is None or end <= start:
            read_ms = min(max(len(text) * READ_MS_PER_CHARACTER, SHORTEST_MS), LONGEST_MS)
            end = start + read_ms if following is None or following <= start else min(start + read_ms, following)
        start, end = max(start - shift_ms, 0), end - shift_ms
        end = end if duration_ms is None else min(end, duration_ms)
        if text and start < end:
            yield _Caption(start, end, _one_line(utterance.speaker)[:LONGEST_SPEAKER], text)


def _cue(caption: _Caption) -> str:
    voice = f"<v {_escaped(caption.speaker)}>" if caption.speaker else ""
    return f"{_stamp(caption.start_ms)} --> {_stamp(caption.end_ms)}\n{voice}{_escaped(caption.text)}\n"


def _stamp(milliseconds: int) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{thousandths:03}"


def _escaped(text: str) -> str:
    """Return a text in which nothing is markup; an arrow would end the cue, and goes with it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    """Return a text without line breaks, and without characters that change how others are shown."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c)[0] != "C")
