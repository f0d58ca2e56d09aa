"""An archive as version 0.1.0 wrote it, in `standins/archives/`: those who have one count on being understood.

    uv run python -m tests.support.old_archives

writes it anew with the code of today. Nobody needs that: what was written once stays. A layout that changes gets a
folder of its own, and this one has to be understood still.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import SourceUnavailable
from tests.standins.media import AUDIO_FRAME_BYTES, audio_mp3, track_webm
from tests.standins.realtimekit import (
    APP_ID,
    Answer,
    MediaSource,
    RealtimeKitStandIn,
    StandInRecording,
    SyntheticContent,
)
from tests.support.archiving import Archiving
from tests.support.auditing import audited
from tests.support.media_files import vp9
from tests.torture.stage import open_bench

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.standins.realtimekit import FileRequest

FOLDER = Path(__file__).parents[1] / "standins" / "archives" / "0.1.0"
OBJECTS, INDEX = FOLDER / "objects", FOLDER / "index.json"
OLDER_APP_ID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
"""As some older accounts have them."""
INVOKED = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
AUDITED = datetime(2026, 11, 21, 12, tzinfo=UTC)
SMALL_PART, PART = 128 * 1024, 5 * 1024 * 1024


@dataclass(frozen=True)
class Old:
    """One recording, and how it was archived."""

    name: str
    files: Mapping[str, str] = field(default_factory=dict)  # the names of its media by `video`, `audio` and track
    details: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    app_id: str = APP_ID

    @property
    def id(self) -> str:
        """The recording's id."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"old/{self.name}"))

    def recording(self, media: Mapping[str, bytes]) -> StandInRecording:
        """Return the recording as RealtimeKit has it."""
        types = {"video": "video/mp4", "audio": "audio/mpeg"}
        files = {at: MediaSource(media[name], types.get(at, "audio/webm")) for at, name in self.files.items()}
        named: dict[str, Any] = {at: files.pop(at) for at in types if at in files}
        tracks = {"default": files} if files else None
        return StandInRecording(self.id, tracks=tracks, invoked_time=INVOKED, **named, **self.details)


WHOLE = (
    Old("video and audio in parts", {"video": "picture", "audio": "long tone"}),
    Old("tracks", {"ann.webm": "first track", "bob.webm": "second track"}),
    Old("accepted size", {"video": "picture"}, {"file_size": 1_000_000}, {"accept_size": True}),
    Old(
        "one file missing",
        {"ann.webm": "second track", "bob.webm": "second track"},
        {"without_url": ("default/ann.webm",)},
        {"partial": True},
    ),
    Old("older app", {"audio": "short tone"}, app_id=OLDER_APP_ID),
)
"""What was archived."""
CUT_SHORT = Old("cut short", options={"part_size": PART, "concurrency": 1})
"""Of this one a run had begun an upload, and died."""
CUT_SHORT_VIDEO = SyntheticContent(PART + 1000, seed=6)


def media() -> dict[str, bytes]:
    """Return the media that were archived, by name."""
    return {
        "picture": vp9(50),
        "short tone": audio_mp3()[: 40 * AUDIO_FRAME_BYTES],
        "long tone": audio_mp3(150_000)[: 720 * AUDIO_FRAME_BYTES],
        "first track": track_webm(1),
        "second track": track_webm(2),
    }


def cut_short() -> StandInRecording:
    """Return the recording whose upload is unfinished."""
    return StandInRecording(CUT_SHORT.id, video=MediaSource(CUT_SHORT_VIDEO), invoked_time=INVOKED)


@dataclass(frozen=True)
class OldArchive:
    """The archive as it lies in this folder."""

    index: Mapping[str, Any]

    @cached_property
    def objects(self) -> dict[str, bytes]:
        """What it holds, by key."""
        return {key: (OBJECTS / key).read_bytes() for key in self.index["objects"]}

    @property
    def media(self) -> dict[str, bytes]:
        """The media by name, as they were then: encoders may make other bytes of them by now."""
        return {name: self.objects[key] for name, key in self.index["media"].items()}

    def lay_out(self, bench: Archiving) -> None:
        """Store all of it in a bucket."""
        for key, its in self.index["objects"].items():
            named = {"ContentType": its["content_type"], "Metadata": its["metadata"]}
            bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=self.objects[key], **named)


def old_archive() -> OldArchive:
    """Return the archive."""
    return OldArchive(json.loads(INDEX.read_text(encoding="utf-8")))


def described(bench: Archiving) -> dict[str, dict[str, Any]]:
    """Return the content types and user metadata of all objects of a bucket, by key; stores differ in their case."""
    heads = {key: bench.s3.head_object(Bucket=bench.bucket, Key=key) for key in bench.stored_keys()}
    metadata = {key: {name.lower(): value for name, value in head["Metadata"].items()} for key, head in heads.items()}
    return {key: {"content_type": heads[key]["ContentType"], "metadata": metadata[key]} for key in heads}


def of_older_app(bench: Archiving, kit: RealtimeKitStandIn) -> Archiving:
    """Return the same bucket for the app of another RealtimeKit."""
    return Archiving(kit, bench.server, bench.s3, bench.bucket)


def archive_all(bench: Archiving, older: Archiving, media: Mapping[str, bytes], **options: Any) -> dict[str, Any]:
    """Archive what was archived then, and return what each run returned, by the recording's id.

    Args:
        bench: the app's of today.
        older: the same bucket for the older app.
        media: by name.
        options: of all runs.
    """
    results = {}
    for old in WHOLE:
        its = bench if old.app_id == APP_ID else older
        archived = its.archived(its.kit.add(old.recording(media)), **{**options, **old.options})
        results[old.id] = archived.model_dump(mode="json", exclude={"archive_url"})
    return results


def begin_to_archive(bench: Archiving) -> None:
    """Let a run die in the middle of an upload: its record stays."""
    recording = bench.kit.add(cut_short())

    def gone(request: FileRequest) -> Answer | None:
        return Answer.slow_down(3600) if request.start >= PART else None

    bench.kit.file_faults = gone
    with pytest.raises(SourceUnavailable):
        bench.archived(recording, **CUT_SHORT.options)
    bench.kit.file_faults = []


def put_description(bench: Archiving) -> None:
    """Put beside the first bag what `flows.describe_recording` does, as far as it matters there."""
    key = f"{bench.folder(WHOLE[0].recording(media())).rstrip('/')}.description.json"
    body = json.dumps({"recording_id": WHOLE[0].id, "files": [], "findings": []}).encode()
    bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=body, ContentType="application/json")


def _write() -> None:
    made = media()
    with open_bench("rclone") as bench, RealtimeKitStandIn(app_id=OLDER_APP_ID) as kit:
        results = archive_all(bench, of_older_app(bench, kit), made, part_size=SMALL_PART)
        audited(bench, later=AUDITED - datetime.now(UTC))
        begin_to_archive(bench)
        put_description(bench)
        objects, about = bench.objects(), described(bench)
    for key, body in objects.items():
        path = OBJECTS / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    keys = {name: next(key for key, body in objects.items() if body == data) for name, data in made.items()}
    index = {"media": keys, "results": results, "objects": about}
    INDEX.write_text(json.dumps(index, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
