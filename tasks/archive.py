"""Knows the archive: where a recording lies, whether it is there and whole, and how it becomes visible at once.

One BagIt bag per recording; `bagit.txt` is written last and makes it one. Source: RFC 8493.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from tasks import bag
from tasks.checksums import bare
from tasks.errors import ArchiveDamaged, ObjectTooLarge, ReplacementSmaller, StoredWrong
from tasks.read_back import read_back
from tasks.redaction import redacted
from tasks.unfinished import Unfinished
from tasks.units import human_size
from tasks.window import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasks.bucket import Bucket, StoredObject
    from tasks.details import Recording
    from tasks.logs import Log
    from tasks.store import Store

COMMIT_ATTEMPTS = 3
LOOKS = 2
"""How often a bag is looked at before it counts as damaged."""


def _kind(path: str) -> str:
    return path.split("/")[1]


def which(path: str) -> str:
    """Return what tells a payload file from the others: there is one video and one audio, whatever their names."""
    return path if _kind(path) == "tracks" else _kind(path)


class ArchivedFile(BaseModel):
    """One payload file of an archived recording."""

    model_config = ConfigDict(frozen=True)

    path: str  # within the bag
    size: int  # bytes
    sha256: str
    content_type: str


@dataclass(frozen=True)
class StoredFile:
    """A payload file, and which object of its key was proved to hold it."""

    file: ArchivedFile
    etag: str
    findings: tuple[str, ...] = ()  # what a person has to know of it, in sentences


class ArchivedRecording(BaseModel):
    """What is archived, and where: the flow's result, and the event's payload."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    archive_url: str
    files: tuple[ArchivedFile, ...]
    bytes: int  # of all files
    duration_s: float | None
    findings: tuple[str, ...] = ()  # what a person has to know of it, in sentences; the bag states them too
    already_archived: bool = False


class Archive:
    """The archive of one app's recordings.

    Args:
        store: the bucket.
        prefix: within the bucket, without slashes at its ends; may be empty.
        app_id: whose recordings.
        log: told what cannot be cleared away.
    """

    def __init__(self, store: Store, prefix: str, app_id: str, log: Log) -> None:
        self._store = store
        self._log = log
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
        return Unfinished(self._store, self.folder(recording), self._log)

    def find(self, recording: Recording) -> ArchivedRecording | None:
        """Return the recording as it is archived, or None if it is not; no payload byte is read.

        Nothing is changed: uploads beside a bag may be those of a run that is overwriting it just now, and no look can
        tell a slow run from a dead one. What a dead one has left is ended by the next run that commits, and an audit
        tells of it.

        Raises:
            ArchiveDamaged: it is committed but not whole: a file is missing, too much or of another size, or a tag
                file is not what its manifest states.
        """
        whole = self._whole(recording)
        if whole is None:
            return None
        described = self._described(recording, bag.parse_manifest(whole.tags[bag.MANIFEST]))
        archived = self._archived(recording, described, bag.stated_findings(whole.tags[bag.INFO]))
        return archived.model_copy(update={"already_archived": True})

    def commit(
        self,
        recording: Recording,
        stored: Sequence[StoredFile],
        listed: Mapping[str, StoredObject],
        missing: Sequence[str] = (),
    ) -> ArchivedRecording:
        """Make the transferred files visible as the archive of the recording, and prove it the way a stranger would.

        The marker is the last thing written. Two runs that commit the same recording at once state the same; if
        another was faster its bag counts, and should tag files get mixed up all the same, they are written again.

        Args:
            recording: its details go into the bag, redacted.
            stored: the whole payload; other objects below `data/` are left from elsewhere, and are deleted.
            listed: from `listed`, asked for since the last of them was stored.
            missing: what is not in it though the API names it, in sentences: the bag says so.

        Raises:
            StoredWrong: a file is not there as transferred, or other runs kept on writing something else.
            ReplacementSmaller: an interrupted run has left an archive without its marker that has more files.
        """
        files = [one.file for one in stored]
        findings = sorted([*missing, *(finding for one in stored for finding in one.findings)])
        checksums = {file.path: file.sha256 for file in files}
        payload = {path: item for path, item in listed.items() if path.startswith(bag.PAYLOAD)}
        self._require_payload(recording, stored, payload)
        self.unfinished(recording).clear([item.key for item in listed.values()])
        for attempt in range(COMMIT_ATTEMPTS + 1):
            found, lying = self._found(recording)
            if found and checksums.items() <= found.items():
                self._require_payload_still(recording, stored, lying)
                described = files if found == checksums else self._described(recording, found)
                return self._archived(recording, described, findings)
            if found is not None:
                self.withdraw(recording)  # nothing may pass for a bag while its tag files are replaced
                payload = self.listed(recording, bag.PAYLOAD)
            elif bag.MANIFEST in listed:  # of a bag that was withdrawn, or nearly committed
                self._require_kept(recording, set(payload), checksums)
            if attempt < COMMIT_ATTEMPTS:
                self._delete(recording, payload.keys() - checksums.keys())
                tags = _tag_files(recording, files, findings)
                marker = {bag.MARKER: tags.pop(bag.MARKER)}
                self._write(recording, tags)
                self._require_payload_still(recording, stored, self.listed(recording, bag.PAYLOAD))
                self._write(recording, marker)
        raise StoredWrong(self.url(recording), "the bag that was written", "another one")

    def listed(self, recording: Recording, below: str = "") -> dict[str, StoredObject]:
        """Return what is stored of a recording, archived or not, by its paths within the bag.

        Args:
            below: only what is there, such as `data/`.
        """
        folder = self.folder(recording)
        return {item.key.removeprefix(folder): item for item in self._store.list(folder + below)}

    def require_no_loss(self, recording: Recording, paths: Iterable[str], *, by_name: bool = False) -> None:
        """Check that an archive has no more files of any kind than what is to replace it; names may differ.

        Args:
            paths: of the files that are to replace it, within the bag.
            by_name: names of tracks may not differ, as those that have come may be as many as those that have gone.

        Raises:
            ReplacementSmaller: it has.
        """
        self._require_kept(recording, set(self.listed(recording, bag.PAYLOAD)), paths, which if by_name else _kind)

    def _require_kept(
        self, recording: Recording, kept: set[str], paths: Iterable[str], told_by: Callable[[str], str] = _kind
    ) -> None:
        folder = self.folder(recording)
        with suppress(ValueError, ObjectTooLarge):  # where no manifest can say what belongs to it, all of it counts
            kept &= bag.parse_manifest(self._store.get(folder + bag.MANIFEST) or b"").keys()
        lost = Counter(map(told_by, kept)) - Counter(map(told_by, paths))
        if lost:
            told = [what if "/" in what else f"{n} of {what}/" for what, n in lost.items()]
            raise ReplacementSmaller(self.url(recording), ", ".join(told))

    def withdraw(self, recording: Recording) -> None:
        """Take back the marker, so that the folder is no bag while its files are replaced."""
        self._store.delete([self.folder(recording) + bag.MARKER])

    def _require_payload(
        self, recording: Recording, stored: Sequence[StoredFile], found: Mapping[str, StoredObject]
    ) -> None:
        """Check that the payload is what was transferred, as another run may have stored something else since."""
        for its, path, size in ((one, one.file.path, one.file.size) for one in stored):
            item = found.get(path)
            if item is None or item.size != size:
                raise StoredWrong(self.url(recording) + path, f"{size} bytes", f"{item.size if item else 'no'} bytes")
            # Stores may list other ETags than they answer with, and give the same bytes another one.
            if bare(item.etag) != bare(its.etag) and (sha256 := self._sha256(item.key)) != its.file.sha256:
                raise StoredWrong(self.url(recording) + path, f"SHA-256 {its.file.sha256}", sha256)

    def _require_payload_still(
        self, recording: Recording, stored: Sequence[StoredFile], listed: Mapping[str, StoredObject]
    ) -> None:
        """Check it once more, as another run may have replaced it and written tag files between ours."""
        try:
            self._require_payload(recording, stored, listed)
        except StoredWrong:
            found, _ = self._found(recording)
            if found == {} or (found and found.items() >= {one.file.path: one.file.sha256 for one in stored}.items()):
                self.withdraw(recording)  # ours is in it: it states other bytes than it holds
            raise

    def _sha256(self, key: str) -> str:
        head = self._store.head(key)
        return read_back(self._store, head) if head else "nothing"

    def _delete(self, recording: Recording, paths: Iterable[str]) -> None:
        self._store.delete([self.folder(recording) + path for path in paths])

    def _found(self, recording: Recording) -> tuple[dict[str, str] | None, Mapping[str, StoredObject]]:
        """Return the checksums by path that a whole bag states, whoever wrote it, and what lies in its folder.

        There are none if it is damaged, and None without a bag.
        """
        try:
            whole = self._whole(recording)
        except ArchiveDamaged:
            return {}, {}
        return (bag.parse_manifest(whole.tags[bag.MANIFEST]), whole.listed) if whole else (None, {})

    def _write(self, recording: Recording, tags: Mapping[str, bytes]) -> None:
        folder = self.folder(recording)
        for name, content in tags.items():
            content_type = "application/json" if name.endswith(".json") else "text/plain; charset=utf-8"
            self._store.put(folder + name, content, content_type, if_absent=name == bag.MARKER)

    def _whole(self, recording: Recording) -> Whole | None:
        return whole_bag(self._store, self.folder(recording), self.url(recording))

    def _described(self, recording: Recording, checksums: Mapping[str, str]) -> list[ArchivedFile]:
        return [file for file, _ in files_of(self._store, self.folder(recording), self.url(recording), checksums)]

    def _archived(
        self, recording: Recording, files: Sequence[ArchivedFile], findings: Sequence[str]
    ) -> ArchivedRecording:
        return ArchivedRecording(
            recording_id=recording.id,
            archive_url=self.url(recording),
            files=tuple(sorted(files, key=lambda file: file.path)),
            bytes=sum(file.size for file in files),
            duration_s=recording.duration_s,
            findings=tuple(findings),
        )


class Whole(NamedTuple):
    """A committed bag, as far as its tag files and a listing show."""

    tags: dict[str, bytes]  # content by name
    listed: dict[str, StoredObject]  # all that lies in its folder, by path


def whole_bag(bucket: Bucket, folder: str, url: str) -> Whole | None:
    """Return a bag that is whole, as far as its tag files and a listing show; None if there is no bag.

    The marker comes first, as without it there is nothing to list; for a listing, some stores read all files. The
    listing comes last, so that it says what lies there once the tag files were read.

    Args:
        bucket: where it is.
        folder: its key prefix, with a slash at its end.
        url: the same for people.

    Raises:
        ArchiveDamaged: it is committed but not whole.
    """
    findings: list[str] = []
    for _ in range(LOOKS):  # a bag that is being replaced just now looks torn, until its marker is gone or back
        try:
            tags = _tags(bucket, folder)
        except ObjectTooLarge as large:
            findings = [f"{large.target.rpartition('/')[2]} has more than {human_size(large.most)}"]
            continue
        if tags is None:
            return None
        listed = {found.key.removeprefix(folder): found for found in bucket.list(folder)}
        if bag.MARKER not in listed:
            return None
        findings = bag.damage({path: found.size for path, found in listed.items()}, tags)
        if not findings:
            return Whole(tags, listed)
    raise ArchiveDamaged(url, tuple(findings))


def _tags(bucket: Bucket, folder: str) -> dict[str, bytes] | None:
    """Return the content of the tag files that are there, by name; None without the marker."""
    if (marker := bucket.get(folder + bag.MARKER)) is None:
        return None
    names = [name for name in bag.TAG_FILES if name != bag.MARKER]
    read = a_few_at_a_time(lambda name: bucket.get(folder + name), names)
    found = {name: content for name, content in zip(names, read, strict=True) if content is not None}
    return {bag.MARKER: marker} | found


def files_of(
    bucket: Bucket, folder: str, url: str, checksums: Mapping[str, str]
) -> list[tuple[ArchivedFile, StoredObject]]:
    """Return a bag's payload files, and the objects that hold them; no payload byte is read.

    Args:
        bucket: where it is.
        folder: its key prefix, with a slash at its end.
        url: the same for people.
        checksums: SHA-256 by path, as its manifest states.

    Raises:
        ArchiveDamaged: one is missing.
    """

    def described(path: str) -> tuple[ArchivedFile, StoredObject]:
        found = bucket.head(folder + path)
        if found is None:
            raise ArchiveDamaged(url, (f"{path} is missing",))
        sha256, content_type = checksums[path], found.content_type
        return ArchivedFile(path=path, size=found.size, sha256=sha256, content_type=content_type), found

    return a_few_at_a_time(described, checksums)


def _tag_files(recording: Recording, files: Sequence[ArchivedFile], findings: Sequence[str]) -> dict[str, bytes]:
    """Return the content of the tag files in the order they are written: the marker last."""
    tags = {
        bag.DETAILS: json.dumps(redacted(recording.details), indent=2, sort_keys=True).encode() + b"\n",
        bag.INFO: bag.bag_info(recording, [file.size for file in files], datetime.now(UTC).date(), findings),
        bag.MANIFEST: bag.manifest({file.path: file.sha256 for file in files}),
        bag.MARKER: bag.MARKER_TEXT,
    }
    stated = {name: hashlib.sha256(content).hexdigest() for name, content in tags.items()}
    return {bag.TAG_MANIFEST: bag.manifest(stated)} | tags
