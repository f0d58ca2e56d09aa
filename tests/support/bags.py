"""Archives as strangers see them: copied to a disk, and judged by programs that know nothing of us."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import bagit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving


def bag_of(bench: Archiving, folder: Path) -> Path:
    """Copy the archive out, and have it judged by two programs that know nothing of us."""
    path = bench.copied(folder)
    bagit.Bag(str(path)).validate()
    if sha256sum := shutil.which("sha256sum"):
        command = [sha256sum, "--strict", "--quiet", "-c", "manifest-sha256.txt"]
        subprocess.run(command, cwd=path, check=True)
    return path


def stored_payload(path: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in (path / "data").rglob("*") if file.is_file())


def key_of(bench: Archiving, recording: StandInRecording, name: str) -> str:
    (key,) = [key for key in bench.stored_keys() if f"{recording.id}/{name}" in key]
    return key
