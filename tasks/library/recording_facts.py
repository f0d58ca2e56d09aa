"""What the page says of a recording, from its row of the catalog: texts for people, and the files with their kinds.

The texts come from anybody, and are escaped by the templates. A row may come from anybody, too, who can write to the
catalog: what it names outside of the archive is not handed out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from tasks.archive import PAYLOAD, parse_folder, session_days
from tasks.catalog import recorded_at
from tasks.text import clock, human_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from tasks.catalog import Row

UNTITLED = "Untitled meeting"
PLAYABLE = ("video/", "audio/")
_BY_EXTENSION = {
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/x-matroska",
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "ogg": "audio/ogg", "opus": "audio/ogg",
    "wav": "audio/wav", "pdf": "application/pdf", "txt": "text/plain; charset=utf-8", "png": "image/png",
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
}  # fmt: skip
"""Types that a browser may show: it runs nothing of them. All others are saved as plain bytes."""
PLAIN_BYTES = "application/octet-stream"
_SHOWN = frozenset({*_BY_EXTENSION.values(), "audio/webm"})


@dataclass(frozen=True)
class Media:
    """A file of a bag."""

    path: str  # within the bag
    size: int | None
    sha256: str | None
    stated_type: str | None = None  # as the archive has it

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rpartition("/")[2]

    @property
    def content_type(self) -> str:
        """What browsers are told it is: a type of those that do no harm, or plain bytes."""
        known = _BY_EXTENSION.get(self.name.rpartition(".")[2].lower(), PLAIN_BYTES)
        stated = (self.stated_type or "").partition(";")[0].strip().lower()
        # A track of sound may have the extension of a film; the archive knows better.
        return stated if stated in _SHOWN and stated.startswith(PLAYABLE) else known

    @property
    def kind(self) -> str:
        """What it is for people."""
        folder = self.path.removeprefix(PAYLOAD).partition("/")[0]
        return {"video": "Video", "audio": "Sound", "tracks": "Track"}.get(folder, "File")

    @property
    def element(self) -> str:
        """The element that plays it; empty if a browser cannot be expected to."""
        if self.kind == "Track" and "video" not in self.name.lower() and self.content_type.startswith(PLAYABLE):
            return "audio"
        return self.content_type.partition("/")[0] if self.content_type.startswith(PLAYABLE) else ""

    @property
    def human_size(self) -> str:
        """Its size as people say it."""
        return human_size(self.size) if self.size is not None else "missing"

    @property
    def is_stated(self) -> bool:
        """Whether the bag's manifest lists it, within the payload; nothing else is handed out."""
        return bool(self.sha256) and self.path.startswith(PAYLOAD) and ".." not in self.path.split("/")


@dataclass(frozen=True)
class RecordingFacts:
    """A row of the catalog, as the templates show it."""

    row: Row

    def __getattr__(self, name: str) -> Any:
        """Return the value of a column."""
        try:
            return self.row[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def address(self) -> str:
        """Its page."""
        return f"/recordings/{self.row['recording_id']}"

    @property
    def heading(self) -> str:
        """The title, or what there is in its place."""
        meeting_id = self.row["meeting_id"]
        return self.row["title"] or (f"Meeting {meeting_id[:8]}" if meeting_id else UNTITLED)

    @property
    def at(self) -> datetime | None:
        """When it was recorded."""
        return recorded_at(self.row)

    @property
    def day(self) -> str:
        """The day on which it was recorded."""
        return f"{self.at:%a} {self.at.day}" if self.at else ""

    @property
    def month_name(self) -> str:
        """The month in which it was recorded."""
        return f"{self.at:%B %Y}" if self.at else "Without a date"

    @property
    def long_date(self) -> str:
        """The date on which it was recorded."""
        return f"{self.at:%A}, {self.at.day} {self.at:%B %Y}" if self.at else "Without a date"

    @property
    def time(self) -> str:
        """The time of day at which it was recorded, in UTC."""
        return f"{self.at:%H:%M}" if self.at else ""

    @property
    def length(self) -> str:
        """How long it is."""
        seconds = self.row["duration_s"]
        return clock(seconds) if seconds is not None and isfinite(seconds) else ""

    @property
    def seconds(self) -> float:
        """How long it is; 0 if nothing tells, or what no recording can be."""
        seconds = self.row["duration_s"] or 0.0
        return max(seconds, 0.0) if isfinite(seconds) else 0.0

    @property
    def size(self) -> str:
        """How large its media are."""
        return human_size(self.row["bytes"] or 0)

    @property
    def people(self) -> str:
        """Who started or stopped it."""
        return ", ".join(dict.fromkeys(name for name in (self.row["started_by"], self.row["stopped_by"]) if name))

    @property
    def media(self) -> list[Media]:
        """Its files."""
        return [Media(file["path"], file["size"], file["sha256"], file["content_type"]) for file in self.row["files"]]

    @property
    def what(self) -> str:
        """Which kinds of files there are."""
        kinds = [media.kind for media in self.media if media.kind != "File"]
        counted = {kind: kinds.count(kind) for kind in ("Video", "Sound", "Track") if kind in kinds}
        texts = [f"{count} tracks" if kind == "Track" and count > 1 else kind for kind, count in counted.items()]
        return ", ".join(texts).capitalize()

    @property
    def players(self) -> list[Media]:
        """The files that a browser plays, the one to begin with first."""
        playable = [media for media in self.media if media.element and media.is_stated and media.size]
        return sorted(playable, key=lambda media: ("Video", "Sound", "Track", "File").index(media.kind))

    @property
    def warning(self) -> str:
        """What is wrong with it, in a word or two; empty if nothing is known to be."""
        condition, fixity = self.row["condition"], self.row["fixity_outcome"]
        if condition == "damaged" or fixity == "damaged":
            return "damaged"
        if condition == "unreadable" or fixity == "unread":
            return "not readable"
        return {"partial": "files missing", "foreign": "other program"}.get(condition or "", "")

    @property
    def fixity(self) -> str:
        """What the last audit found, in words."""
        outcome = str(self.row["fixity_outcome"])
        return "some files are in an archived storage class now" if outcome == "archived class" else outcome

    @property
    def is_damaged(self) -> bool:
        """Whether its bag is not whole, so that no whole bag can be handed out."""
        return self.row["condition"] in {"damaged", "unreadable"}

    @property
    def findings(self) -> list[str]:
        """What a person has to know of it."""
        return [*self.row["findings"], *self.row["fixity_findings"], *self.row["media_findings"]]

    @property
    def session_days(self) -> list[date]:
        """The days on one of which its session may have begun, the likeliest first."""
        return session_days(self.at.date()) if self.at else []

    def folder(self, root_url: str, root: str) -> str:
        """Return the key prefix of its bag; empty if it lies elsewhere than in this archive.

        Args:
            root_url: where the archive is, s3://…/ with a slash at its end.
            root: the key prefix of the archive.
        """
        url = self.row["archive_url"] or ""
        path = url.removeprefix(root_url)
        is_here = url.startswith(root_url) and parse_folder(path) and path.endswith(f"/{self.row['recording_id']}/")
        return root + path if is_here else ""


def find_file(files: Sequence[Media], path: str) -> Media | None:
    """Return a file that may be handed out; None if the bag's manifest does not list it."""
    return next((media for media in files if media.path == path and media.is_stated), None)
