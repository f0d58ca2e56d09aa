"""Very many small bags, put into the folder of a store that keeps plain files: as archived, without archiving."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.archive import bag
from tasks.realtimekit import parse_archived

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FILES = {"data/audio/audio.mp3": b"audi\0", "data/video/video.mp4": b"vide\0"}


def lay_out(folder: Path, count: int, months: int = 11) -> None:
    """Make bags of seven objects each.

    Args:
        folder: of an app, in the folder of the store.
        count: of the bags.
        months: over which they are spread.
    """
    for number in range(count):
        invoked = BEGIN + timedelta(days=30 * months * number / count)
        its_id = str(uuid.UUID(int=number, version=4))
        for name, content in _bag(its_id, invoked).items():
            file = folder / f"{invoked:%Y/%m/%d}" / its_id / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def _bag(its_id: str, invoked: datetime) -> dict[str, bytes]:
    caller = {"caller": {"name": "RealtimeKit_test", "type": "ORGANIZATION"}, "reason": "API_CALL"}
    details = {
        "id": its_id, "status": "UPLOADED", "invoked_time": invoked.isoformat(), "recording_duration": 60,
        "session_id": str(uuid.UUID(int=7)), "meeting": {"id": its_id, "title": f"Réunion {its_id[:8]}"},
        "start_reason": caller, "stop_reason": caller, "started_time": invoked.isoformat(),
    }  # fmt: skip
    recording = parse_archived(json.dumps(details).encode())
    assert recording
    tags = {
        "recording.json": json.dumps(details, indent=2).encode(),
        "bag-info.txt": bag.bag_info(recording, [len(content) for content in FILES.values()], invoked.date()),
        "manifest-sha256.txt": bag.manifest({path: _sha256(content) for path, content in FILES.items()}),
        "bagit.txt": bag.MARKER_TEXT,
    }
    sealed = bag.manifest({name: _sha256(content) for name, content in tags.items()})
    return FILES | tags | {"tagmanifest-sha256.txt": sealed}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
