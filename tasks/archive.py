"""Knows the archive: where a recording lies, whether it is there and whole, and how it becomes visible at once.

One BagIt bag per recording; `bagit.txt` is written last and makes it one. Source: RFC 8493.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tasks import bag
from tasks.details import redacted
from tasks.errors import ArchiveDamaged, StoredWrong
from tasks.unfinished import Unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.details import Recording
    from tasks.store import Store

COMMIT_ATTEMPTS = 3


class ArchivedFile(BaseModel):
    """One payload file of an archived recording."""

    model_config = ConfigDict(frozen=True)

    path: str  # within the bag
    size: int  # bytes
    sha256: str
    content_type: str


class ArchivedRecording(BaseModel):
    """What is archived, and where: the flow's result, and the event's payload."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    archive_url: str
    files: tuple[ArchivedFile, ...]
    bytes: int  # of all files
    duration_s: float | None
    already_archived: bool = False


class Archive:
    """The archive of one app's recordings.

    Args:
        store: the bucket.
        prefix: within the bucket, without slashes at its ends; may be empty.
        app_id: whose recordings.
    """

    def __init__(self, store: Store, prefix: str, app_id: str) -> None:
        self._store = store
        self._root = "/".join(part for part in (prefix, app_id) if part)

    def folder(self, recording: Recording) -> str:
        """Return the key prefix of a recording's bag, with a slash at its end.

        A recording without any time lies under the year 0000: better found late than not kept.
        """
        day = recording.day.strftime("%Y/%m/%d") if recording.day else "0000/00/00"
        return f"{self._root}/{day}/{recording.id}/"

    def url(self, recording: Recording) -> str:
        """Return where the recording's bag is, for people and for events."""
        return f"s3://{self._store.bucket}/{self.folder(recording)}"

    def unfinished(self, recording: Recording) -> Unfinished:
        """Return the uploads under way for a recording."""
        return Unfinished(self._store, self.folder(recording))

    def find(self, recording: Recording) -> ArchivedRecording | None:
        """Return the recording as it is archived, or None if it is not; no payload byte is read.

        Raises:
            ArchiveDamaged: it is committed but not whole: a file is missing, too much or of another size, or a tag
                file is not what its manifest states.
        """
        checksums = self._checked(recording)
        if checksums is None:
            return None
        described = [self._described(recording, path, sha256) for path, sha256 in checksums.items()]
        return self._archived(recording, described).model_copy(update={"already_archived": True})

    def commit(self, recording: Recording, files: Sequence[ArchivedFile]) -> ArchivedRecording:
        """Make the transferred files visible as the archive of the recording, and prove it the way a stranger would.

        Two runs that commit the same recording at once write the same; should their tag files get mixed up all the
        same, they are written again.

        Args:
            recording: its details go into the bag, redacted.
            files: the whole payload; other objects below `data/` are left from elsewhere, and are deleted.

        Raises:
            StoredWrong: a file is not there as transferred; nothing became visible.
            ArchiveDamaged: the bag is not whole; it was made invisible again.
        """
        self._settle_payload(recording, {file.path: file.size for file in files})
        tags = _tag_files(recording, files)
        for attempt in range(1, COMMIT_ATTEMPTS + 1):
            self._write(recording, tags)
            try:
                self._checked(recording)
                break
            except ArchiveDamaged:
                if attempt == COMMIT_ATTEMPTS:
                    self.withdraw(recording)
                    raise
        self.unfinished(recording).clear()
        return self._archived(recording, files)

    def withdraw(self, recording: Recording) -> None:
        """Take back the marker, so that the folder is no bag while its files are replaced."""
        self._store.delete([self.folder(recording) + bag.MARKER])

    def _settle_payload(self, recording: Recording, sizes: Mapping[str, int]) -> None:
        folder = self.folder(recording)
        found = {item.key.removeprefix(folder): item.size for item in self._store.list(f"{folder}data/")}
        for path, size in sizes.items():
            if found.get(path) != size:
                raise StoredWrong(f"{self.url(recording)}{path}", f"{size} bytes", f"{found.get(path, 'no')} bytes")
        self._store.delete([folder + path for path in found if path not in sizes])

    def _write(self, recording: Recording, tags: Mapping[str, bytes]) -> None:
        folder = self.folder(recording)
        for name, content in tags.items():
            content_type = "application/json" if name.endswith(".json") else "text/plain; charset=utf-8"
            self._store.put(folder + name, content, content_type, if_absent=name == bag.MARKER)

    def _checked(self, recording: Recording) -> dict[str, str] | None:
        """Return the checksums by path that a committed bag states, None if there is no bag."""
        folder = self.folder(recording)
        listed = {found.key.removeprefix(folder): found.size for found in self._store.list(folder)}
        if bag.MARKER not in listed:
            return None
        tags = {name: self._store.get(folder + name) or b"" for name in bag.TAG_FILES if name in listed}
        findings = bag.damage(listed, tags)
        if findings:
            raise ArchiveDamaged(self.url(recording), tuple(findings))
        return bag.parse_manifest(tags[bag.MANIFEST])

    def _described(self, recording: Recording, path: str, sha256: str) -> ArchivedFile:
        found = self._store.head(self.folder(recording) + path)
        if found is None:
            raise ArchiveDamaged(self.url(recording), (f"{path} is missing",))
        return ArchivedFile(path=path, size=found.size, sha256=sha256, content_type=found.content_type)

    def _archived(self, recording: Recording, files: Sequence[ArchivedFile]) -> ArchivedRecording:
        return ArchivedRecording(
            recording_id=recording.id,
            archive_url=self.url(recording),
            files=tuple(sorted(files, key=lambda file: file.path)),
            bytes=sum(file.size for file in files),
            duration_s=recording.duration_s,
        )


def _tag_files(recording: Recording, files: Sequence[ArchivedFile]) -> dict[str, bytes]:
    """Return the content of the tag files in the order they are written: the marker last."""
    tags = {
        bag.DETAILS: json.dumps(redacted(recording.details), indent=2, sort_keys=True).encode() + b"\n",
        bag.INFO: bag.bag_info(recording, [file.size for file in files], datetime.now(UTC).date()),
        bag.MANIFEST: bag.manifest({file.path: file.sha256 for file in files}),
        bag.MARKER: bag.MARKER_TEXT,
    }
    stated = {name: hashlib.sha256(content).hexdigest() for name, content in tags.items()}
    return {bag.TAG_MANIFEST: bag.manifest(stated)} | tags
