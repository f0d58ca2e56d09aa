"""The report of an archived recording for people: what, where, and what the transfer took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.text import clock, code, human_size, literal, table_of_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.archive import ArchivedRecording
    from tasks.transfer.models import TransferredFile


@dataclass(frozen=True)
class Transferred:
    """The files that were transferred, and what it took."""

    files: Sequence[TransferredFile]
    fetched: int  # bytes from the source by this run, without those that an earlier one had stored
    seconds: float
    refreshes: int  # fresh URLs in place of expired ones
    resumes: int  # reads that were carried on after a drop

    def __str__(self) -> str:
        rate = human_size(self.fetched / max(self.seconds, 0.001))
        return (
            f"Transferred {human_size(self.fetched)} in {self.seconds:.1f} s ({rate}/s); "
            f"{self.refreshes} fresh URLs, {self.resumes} resumed reads."
        )


def report(archived: ArchivedRecording, transferred: Transferred) -> str:
    """Return what was archived as markdown: where, each file with size and checksum, and what the transfer took."""
    length = "" if archived.duration_s is None else f", {clock(archived.duration_s)} long"
    lines = [
        f"## Recording {archived.recording_id}",
        "",
        f"Archived and verified: {len(archived.files)} files, {human_size(archived.bytes)}{length}, at",
        "",
        code(archived.archive_url),
        "",
        *(f"**Look at this:** {literal(finding)}\n" for finding in archived.findings),
        *table_of_files((file.path, file.size, file.content_type) for file in archived.files),
        "",
        "SHA-256, as `sha256sum` prints and checks it:",
        "",
        *(f"    {file.sha256}  {' '.join(file.path.split())}" for file in archived.files),
        "",
        str(transferred),
    ]
    return "\n".join(lines)
