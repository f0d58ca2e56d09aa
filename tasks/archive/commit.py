"""The archive of an app: its recordings' bags are found, committed, and withdrawn to be replaced.

One BagIt bag per recording; `bagit.txt` is written last and makes it one. Source: RFC 8493.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.archive import bag, layout
from tasks.archive.lookup import describe_files, find_bag
from tasks.archive.models import ArchivedFile, ArchivedRecording
from tasks.archive.retention import lock_all, put_marker, require_lockable, require_unlocked
from tasks.archive.tombstones import require_not_deleted
from tasks.archive.upload_journal import UploadJournal
from tasks.archive.verify import read_back
from tasks.errors import ArchiveDamaged, ObjectTooLarge, ReplacementSmaller, StoredWrong
from tasks.realtimekit import parse_archived
from tasks.s3 import UNLOCKED, bare_etag
from tasks.text import redact_details

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.archive.lookup import InspectedBag
    from tasks.archive.models import StoredFile
    from tasks.realtimekit import Recording
    from tasks.s3 import Retention, Store, StoredObject
    from tasks.text import Log

COMMIT_ATTEMPTS = 3


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
        self._prefix = prefix
        self._app_id = app_id

    def folder(self, recording: Recording) -> str:
        """Return the key prefix of a recording's bag, with a slash at its end."""
        return layout.recording_folder(self._prefix, self._app_id, recording)

    def url(self, recording: Recording) -> str:
        """Return where the recording's bag is, for people and for events."""
        return f"s3://{self._store.bucket}/{self.folder(recording)}"

    def journal(self, recording: Recording) -> UploadJournal:
        """Return the uploads under way for a recording."""
        return UploadJournal(self._store, self.folder(recording), self._log)

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
        described = self._described(recording, whole.checksums)
        archived = self._archived(recording, described, bag.stated_findings(whole.tags[layout.INFO]))
        stated = parse_archived(whole.tags[layout.DETAILS])
        title = stated.title if stated else ""
        return archived.model_copy(update={"already_archived": True, "title": title})

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
            DeletedOnPurpose: the recording was deleted meanwhile.
            ArchiveLocked: another run has committed other files, and locked them.
        """
        files = [item.file for item in stored]
        findings = sorted([*missing, *(finding for item in stored for finding in item.findings)])
        checksums = {file.path: file.sha256 for file in files}
        payload = {path: item for path, item in listed.items() if path.startswith(layout.PAYLOAD)}
        self._require_payload(recording, stored, payload)
        self.journal(recording).clear([item.key for item in listed.values()])
        for attempt in range(COMMIT_ATTEMPTS + 1):
            committed, lying = self._committed(recording)
            if committed and checksums.items() <= committed.items():
                self._require_payload_still(recording, stored, lying)
                described = files if committed == checksums else self._described(recording, committed)
                return self._archived(recording, described, findings)
            if committed is not None:
                if committed:  # what is damaged is mended all the same: its locked versions stay below
                    self.require_unlocked(recording)
                self.withdraw(recording)  # nothing may pass for a bag while its tag files are replaced
                payload = self.listed(recording, layout.PAYLOAD)
            elif layout.MANIFEST in listed:  # of a bag that was withdrawn, or nearly committed
                self._require_kept(recording, set(payload), checksums)
            if attempt < COMMIT_ATTEMPTS:
                self._delete(recording, payload.keys() - checksums.keys())
                tags = _tag_files(recording, files, findings)
                marker = {layout.MARKER: tags.pop(layout.MARKER)}
                self._write(recording, tags)
                retention = UNLOCKED if missing else self._lock(recording, [*checksums, *tags])
                self._require_payload_still(recording, stored, self.listed(recording, layout.PAYLOAD))
                require_not_deleted(self._store, self.folder(recording))
                self._write(recording, marker, retention)
                require_not_deleted(self._store, self.folder(recording), self.folder(recording) + layout.MARKER)
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
        self._require_kept(recording, set(self.listed(recording, layout.PAYLOAD)), paths, by_name=by_name)

    def _require_kept(
        self, recording: Recording, kept: set[str], paths: Iterable[str], *, by_name: bool = False
    ) -> None:
        folder = self.folder(recording)
        with suppress(ValueError, ObjectTooLarge):  # where no manifest can say what belongs to it, all of it counts
            kept &= bag.parse_manifest(self._store.get(folder + layout.MANIFEST) or b"").keys()
        name_of = layout.identity_of if by_name else layout.kind_of
        lost = Counter(map(name_of, kept)) - Counter(map(name_of, paths))
        if lost:
            names = [what if "/" in what else f"{n} of {what}/" for what, n in lost.items()]
            raise ReplacementSmaller(self.url(recording), ", ".join(names))

    def require_lockable(self) -> None:
        """Check that what is to be locked can be locked; see `tasks.archive.retention`."""
        require_lockable(self._store)

    def require_unlocked(self, recording: Recording) -> None:
        """Check that the store keeps no archive of the recording from being replaced.

        Raises:
            ArchiveLocked: it does.
        """
        folder, paths = self.folder(recording), [layout.MARKER]
        with suppress(ValueError, ObjectTooLarge):
            paths += bag.parse_manifest(self._store.get(folder + layout.MANIFEST) or b"")
        require_unlocked(self._store, self.url(recording), [folder + path for path in paths])

    def withdraw(self, recording: Recording) -> None:
        """Take back the marker, so that the folder is no bag while its files are replaced."""
        self._store.delete([self.folder(recording) + layout.MARKER])

    def _require_payload(
        self, recording: Recording, stored: Sequence[StoredFile], listed: Mapping[str, StoredObject]
    ) -> None:
        """Check that the payload is what was transferred, as another run may have stored something else since."""
        for transferred, path, size in ((item, item.file.path, item.file.size) for item in stored):
            item = listed.get(path)
            if item is None or item.size != size:
                raise StoredWrong(self.url(recording) + path, f"{size} bytes", f"{item.size if item else 'no'} bytes")
            # Stores may list other ETags than they answer with, and give the same bytes another one.
            if (
                bare_etag(item.etag) != bare_etag(transferred.etag)
                and (sha256 := self._sha256(item.key)) != transferred.file.sha256
            ):
                raise StoredWrong(self.url(recording) + path, f"SHA-256 {transferred.file.sha256}", sha256)

    def _require_payload_still(
        self, recording: Recording, stored: Sequence[StoredFile], listed: Mapping[str, StoredObject]
    ) -> None:
        """Check it once more, as another run may have replaced it and written tag files between ours."""
        try:
            self._require_payload(recording, stored, listed)
        except StoredWrong:
            committed, _ = self._committed(recording)
            if committed == {} or (
                committed and committed.items() >= {item.file.path: item.file.sha256 for item in stored}.items()
            ):
                self.withdraw(recording)  # ours is in it: it states other bytes than it holds
            raise

    def _sha256(self, key: str) -> str:
        head = self._store.head(key)
        return read_back(self._store, head) if head else "nothing"

    def _delete(self, recording: Recording, paths: Iterable[str]) -> None:
        self._store.delete([self.folder(recording) + path for path in paths])

    def _committed(self, recording: Recording) -> tuple[dict[str, str] | None, Mapping[str, StoredObject]]:
        """Return the checksums by path that a whole bag states, whoever wrote it, and what lies in its folder.

        There are none if it is damaged, and None without a bag.
        """
        try:
            whole = self._whole(recording)
        except ArchiveDamaged:
            return {}, {}
        return (whole.checksums, whole.listed) if whole else (None, {})

    def _write(self, recording: Recording, tags: Mapping[str, bytes], retention: Retention = UNLOCKED) -> None:
        folder = self.folder(recording)
        for name, content in tags.items():
            if name == layout.MARKER:
                put_marker(self._store, folder + name, content, bag.tag_type(name), retention)
            else:
                self._store.put(folder + name, content, bag.tag_type(name))

    def _lock(self, recording: Recording, paths: Iterable[str]) -> Retention:
        return lock_all(self._store, [self.folder(recording) + path for path in paths])

    def _whole(self, recording: Recording) -> InspectedBag | None:
        return find_bag(self._store, self.folder(recording), self.url(recording))

    def _described(self, recording: Recording, checksums: Mapping[str, str]) -> list[ArchivedFile]:
        return [file for file, _ in describe_files(self._store, self.folder(recording), self.url(recording), checksums)]

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
            title=recording.title,
            session_id=recording.session_id,
        )


def _tag_files(recording: Recording, files: Sequence[ArchivedFile], findings: Sequence[str]) -> dict[str, bytes]:
    """Return the content of the tag files in the order they are written: the marker last."""
    tags = {
        layout.DETAILS: bag.json_tag(redact_details(recording.details)),
        layout.INFO: bag.bag_info(recording, [file.size for file in files], datetime.now(UTC).date(), findings),
        layout.MANIFEST: bag.manifest({file.path: file.sha256 for file in files}),
    }
    return bag.seal(tags)
