"""The description of an archived recording's media, and the findings that somebody should hear about.

A finding is no failure: a damaged file is archived as it is, and that is the truth of it. But a person should know.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tasks.media.probe import Stream  # noqa: TC001 - pydantic wants to see it
from tasks.text import clock, code, human_size, literal, safe_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.archive import ArchivedFile
    from tasks.media.sandbox import Examination

TOLERANCE_S = 2.0
TOLERANCE = 0.01
"""Of the duration. The API counts from when recording began, encoders cut at their own frames, and clocks drift."""
ESTIMATE_TOLERANCE = 0.25
"""Where there is no index, FFmpeg guesses from the bit rate of the beginning."""
SUMMARY_LINES = 6
LONGEST_SUMMARY = 20_000
"""Characters of a summary in which its first lines are looked for."""
_CONTAINERS = {
    "video/mp4": "mp4",
    "audio/mp4": "mp4",
    "audio/x-m4a": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/webm": "webm",
    "video/x-matroska": "matroska",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
}
"""One of FFmpeg's names for each content type; others say nothing of the container."""


class MediaFile(BaseModel):
    """What one archived media file is."""

    model_config = ConfigDict(frozen=True)

    path: str  # within the bag
    size: int  # bytes
    sha256: str  # as the bag states it; it is not computed again
    content_type: str
    container: str = ""  # FFmpeg's names of the format; empty if nothing understands the file
    duration_s: float = 0.0  # 0 if nobody knows
    duration_estimated: bool = False
    bit_rate: int = 0  # bits per second, on average; 0 if nobody knows
    streams: tuple[Stream, ...] = ()
    findings: tuple[str, ...] = ()


class Description(BaseModel):
    """What an archived recording's media are, and what somebody should look at."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    archive_url: str
    duration_s: float | None  # as the API had it
    files: tuple[MediaFile, ...]
    findings: tuple[str, ...]  # all of them


def describe_file(file: ArchivedFile, examination: Examination, duration_s: float) -> MediaFile:
    """Return what a file is, and what is odd about it.

    Args:
        file: as archived.
        examination: what was found out about the file.
        duration_s: of the recording, as the API had it; 0 if that is not known.
    """
    facts = examination.facts
    return MediaFile(
        **file.model_dump(),
        container=facts.container,
        duration_s=round(facts.duration_s, 3),
        duration_estimated=facts.estimated,
        bit_rate=round(file.size * 8 / facts.duration_s) if facts.duration_s else 0,
        streams=facts.streams,
        findings=(*examination.troubles, *_oddities(file, examination, duration_s)),
    )


def _oddities(file: ArchivedFile, examination: Examination, duration_s: float) -> Iterator[str]:
    facts = examination.facts
    if not facts.streams:
        return
    content_type = _without_parameters(file.content_type)
    stated = _CONTAINERS.get(content_type, "")
    if stated and stated not in facts.container.split(","):
        yield f"it was sent as {content_type}, but is {facts.container}"
    kind = file.path.split("/")[1]
    if kind in {"video", "audio"} and facts.of(kind) is None:
        yield f"there is no {kind} in it"
    if facts.end_s and facts.end_s < facts.duration_s - _tolerance_s(facts.duration_s):
        yield f"it should be {clock(facts.duration_s)} long, but ends after {clock(facts.end_s)}"
    if not facts.duration_s:
        yield "nobody knows how long it is"
    elif duration_s:
        yield from _of_another_length(kind, facts.duration_s, duration_s, estimated=facts.estimated)


def _of_another_length(kind: str, its_s: float, recording_s: float, *, estimated: bool) -> Iterator[str]:
    tolerance_s = max(_tolerance_s(recording_s), ESTIMATE_TOLERANCE * recording_s if estimated else 0.0)
    difference_s = its_s - recording_s
    # Participants come late and leave early: a track may be as short as it likes.
    if difference_s > tolerance_s or (difference_s < -tolerance_s and kind != "tracks"):
        about = "about " if estimated else ""
        yield f"it is {about}{clock(its_s)} long, but the recording {clock(recording_s)}"


def _tolerance_s(duration_s: float) -> float:
    return max(TOLERANCE_S, TOLERANCE * duration_s)


def compare_files(stated: Sequence[ArchivedFile], archived: Sequence[ArchivedFile]) -> list[str]:
    """Return where an event's list of files is not what the archive holds; an event without a list is none."""
    known = {file.path: file for file in archived}
    announced = {file.path: file for file in stated}
    paths = sorted(known.keys() | announced.keys()) if stated else []
    return [f"{path}: the event and the archive disagree" for path in paths if known.get(path) != announced.get(path)]


def render_markdown(description: Description, poster: bytes, summary: str = "") -> str:
    """Return a description for people: findings first, then a picture and the meeting's summary, then each file.

    Lists and no table: Prefect's UI breaks no line of a table, and one with names as long as these is cut off.

    Args:
        description: what there is to say.
        poster: a JPEG, small enough to be part of the text; empty if there is none.
        summary: of the meeting, as strangers wrote it: its first lines are shown; empty if there is none.
    """
    lines = [f"## Recording {literal(description.recording_id)}", "", code(description.archive_url), ""]
    if description.findings:
        lines += [
            "**Somebody should look at this:**",
            "",
            *(f"- {literal(finding)}" for finding in description.findings),
            "",
        ]
    if poster:
        lines += [f"![A frame of the video](data:image/jpeg;base64,{base64.b64encode(poster).decode()})", ""]
    if shown := _first_lines(summary):
        lines += ["**From the meeting's summary:**", "", *(f"- {literal(line)}" for line in shown), ""]
    return "\n".join([*lines, *(line for file in description.files for line in _lines(file))])


def _first_lines(summary: str) -> list[str]:
    """Return the first lines of a summary, without the marks of its headings and lists, and without secrets."""
    plain = (re.sub(r"^\s{0,40}(?:#{1,6}|[>*+-])\s+", "", line) for line in summary[:LONGEST_SUMMARY].splitlines())
    lines = [line for text in plain if (line := safe_line(text))]
    return [*lines[:SUMMARY_LINES], "…"] if len(lines) > SUMMARY_LINES else lines


def _lines(file: MediaFile) -> Iterator[str]:
    facts = [_format(file) or "of no known format"]
    if file.duration_s:
        facts.append(f"{'about ' * file.duration_estimated}{clock(file.duration_s)} long")
    facts.append(human_size(file.size))
    if file.bit_rate:
        facts.append(f"{file.bit_rate / 1000:,.0f} kbit/s")
    yield from (code(file.path), "", f"- {literal(', '.join(facts))}")
    yield from (f"- {literal(_facts_of(stream))}" for stream in file.streams)
    yield ""


def _format(file: MediaFile) -> str:
    """Return the format's name as it was sent, if it is so, or else all of FFmpeg's for it."""
    stated = _CONTAINERS.get(_without_parameters(file.content_type), "")
    return stated if stated in file.container.split(",") else file.container


def _without_parameters(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _facts_of(stream: Stream) -> str:
    facts = [f"{stream.kind}: {stream.codec or '?'}"]
    if stream.kind == "video":
        facts.append(f"{stream.width} x {stream.height}")
        facts += [f"{stream.frame_rate:g} frames/s"] if stream.frame_rate else []
    if stream.kind == "audio":
        facts += [f"{stream.channels} ch", f"{stream.sample_rate:,} Hz"]
    return ", ".join(facts)
