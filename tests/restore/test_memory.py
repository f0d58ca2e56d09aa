"""The memory of a restore is bounded, whatever the size of a file."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tasks.archive import bag
from tasks.text import MIB
from tests.clock import python_path
from tests.flows.world import PROJECT
from tests.support.measure import measured
from tests.support.restoring import require_whole

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.archiving import Archiving

SIZE = 512 * MIB
MOST = {"folder": 256 * MIB, "bucket": 384 * MIB}
"""Bytes of memory: ranges that are read ahead, parts on their way, and some 80 MiB of libraries."""


def lay_out(folder: Path, size: int) -> str:
    """Put a bag with a large file, which takes no room, into the folder of a store; return the recording's id."""
    recording_id, zeros = str(uuid.uuid4()), hashlib.sha256()
    place = folder / f"{datetime.now(UTC):%Y/%m/%d}" / recording_id
    video = place / "data" / "video" / "video.mp4"
    video.parent.mkdir(parents=True)
    with video.open("wb") as out:
        out.truncate(size)
    for _ in range(size // MIB):
        zeros.update(bytes(MIB))
    tags = {
        "recording.json": b"{}\n",
        "bag-info.txt": f"Bag-Software-Agent: realtimekit-archiver/0.1.0\nPayload-Oxum: {size}.1\n".encode(),
        "manifest-sha256.txt": bag.manifest({"data/video/video.mp4": zeros.hexdigest()}),
        "bagit.txt": bag.MARKER_TEXT,
    }
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in tags.items()}
    for name, text in (tags | {"tagmanifest-sha256.txt": bag.manifest(sums)}).items():
        (place / name).write_bytes(text)
    return recording_id


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_file_of_any_size_takes_no_more_memory(rclone: Archiving, tmp_path: Path, kind: str) -> None:
    recording_id = lay_out(rclone.server.folder / rclone.bucket / "archive" / "app", SIZE)
    copy = f"copy-{uuid.uuid4().hex[:12]}"
    rclone.s3.create_bucket(Bucket=copy)
    to = {"folder": str(tmp_path / "to"), "bucket": f"s3://{copy}"}[kind]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    settings = {"ARCHIVE_URL": f"s3://{rclone.bucket}/archive", "PYTHONPATH": python_path(PROJECT)}
    environment = inherited | rclone.server.environment() | settings
    command = [sys.executable, "-m", "flows.restore_recording", recording_id, to]
    usage = measured(command, environment, tmp_path, 110)
    assert usage.exit_code == 0, usage.said
    assert usage.peak_rss < MOST[kind]
    if kind == "folder":
        require_whole(tmp_path / "to" / recording_id)
