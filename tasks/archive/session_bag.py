"""The archive of an app's sessions: one BagIt bag per state of a session, of which the newest committed one counts.

A session's documents arrive late, one after the other. Each state that is visible is a bag of its own, complete and
never changed again: `v0001`, `v0002` and so on. What an earlier version holds and the source hands out no more is
carried over, so that the newest version has everything.

Two runs may archive the same session at once. Each claims its version first: it writes a record below `unfinished/` in
the version's folder, lists the session, and leaves the version alone if another record is there. Of two runs at least
one sees the other's record, so that no two write to the same folder; where both see it, both try the next time.
A run that is killed leaves a claimed folder without a marker, which is no bag: the next run takes the next number.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.archive import bag, layout
from tasks.archive.models import ArchivedFile
from tasks.archive.retention import lock_all, put_marker, require_lockable
from tasks.archive.session_lookup import committed_versions, find_newest, list_versions
from tasks.archive.session_models import ArchivedMeetingSession
from tasks.archive.session_versions import merge, read_versions
from tasks.archive.tombstones import require_session_not_deleted
from tasks.errors import StoredWrong, StoreRefused, TransferStopped
from tasks.s3 import bare_etag

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from threading import Event

    from tasks.archive.session_models import SessionContents
    from tasks.archive.session_pieces import Piece
    from tasks.archive.session_versions import SessionState, Version
    from tasks.realtimekit import MeetingSession
    from tasks.s3 import Store
    from tasks.text import Log

ATTEMPTS = 20
"""At a version that no other run claims at the same time, and at one that is whole."""
LONGEST_PAUSE_S = 1.0
CLAIM = b"{}"


@dataclass(frozen=True)
class _Look:
    """What lies in a session's folder."""

    versions: list[Version]  # whole, newest first
    numbers: Mapping[int, AbstractSet[str]]  # paths of all objects within a version's folder, by the version

    @property
    def committed(self) -> set[int]:
        """The versions that have the marker, be they whole or not."""
        return set(committed_versions(self.numbers))


class SessionArchive:
    """The archive of one app's sessions.

    Args:
        store: the bucket.
        prefix: within the bucket, without slashes at its ends; may be empty.
        app_id: whose sessions.
        stop: set to end all waiting at once.
        log: told of versions that are damaged, and of what cannot be cleared away.
    """

    def __init__(self, store: Store, prefix: str, app_id: str, stop: Event, log: Log) -> None:
        self._store = store
        self._prefix = prefix
        self._app_id = app_id
        self._stop = stop
        self._log = log

    def folder(self, session: MeetingSession) -> str:
        """Return the key prefix of a session's versions, with a slash at its end."""
        return layout.session_folder(self._prefix, self._app_id, session)

    def newest(self, session: MeetingSession) -> Version | None:
        """Return the newest version that is committed and whole; None if there is none."""
        return find_newest(self._store, self.folder(session), self._log)

    def require_not_deleted(self, session: MeetingSession, marker: str = "") -> None:
        """Check that the session's documents were not deleted on purpose; see `tombstones.require_not_deleted`."""
        require_session_not_deleted(self._store, self.folder(session), marker)

    def content(self, version: Version, path: str) -> bytes | None:
        """Return a payload file of a version; None if it is not there, or is not what the version's manifest states."""
        return version.content(self._store, path)

    def commit(self, contents: SessionContents) -> ArchivedMeetingSession:
        """Make what was fetched visible as the newest version, unless the newest version has all of it already.

        After a version was written, the session is looked at once more: the version has to be whole for a reader that
        knows nothing of this run, and what another run has committed meanwhile is joined to it.

        Raises:
            StoredWrong: no version could be written that is whole.
            DeletedOnPurpose: the session's documents were deleted.
            StoreRefused, StoreUnavailable: the store.
            LocksUnsupported: versions are to be locked, and the bucket has no Object Lock.
        """
        require_lockable(self._store)
        numbers: set[int] = set()  # of the versions that this run has written
        for _ in range(ATTEMPTS):
            look = self._look(contents.session)
            is_written = any(version.number in numbers for version in look.versions)
            state = merge(contents, look.versions, self._store, is_written=is_written)
            newest = look.versions[0] if look.versions else None
            if newest is not None and state.is_in(newest, with_tags=not is_written):
                self._release_old_claims(contents.session, look)
                return self._archived(contents, state, newest, changed=bool(numbers))
            number = max(look.numbers, default=0) + 1
            claim = self._claim(contents.session, number, look)
            if claim is None:
                self._pause()
                continue
            self._write(contents.session, number, state)
            self._release(claim)
            numbers.add(number)
        raise StoredWrong(self._url(contents.session), "a version that is whole", f"none in {ATTEMPTS} attempts")

    def _look(self, session: MeetingSession) -> _Look:
        folder = self.folder(session)
        numbers = list_versions(self._store, folder)
        return _Look(read_versions(self._store, folder, committed_versions(numbers), self._log), numbers)

    def _claim(self, session: MeetingSession, number: int, before: _Look) -> str | None:
        """Claim a version; return the record's key, or None if another run is at work on it, or has just committed."""
        folder = layout.version_folder(self.folder(session), number)
        claim = f"{layout.unfinished_folder(folder)}{uuid.uuid4().hex}.json"
        self._store.put(claim, CLAIM, "application/json")
        now = _Look([], list_versions(self._store, self.folder(session)))
        is_alone = now.numbers.get(number) == {claim.removeprefix(folder)} and max(now.numbers) == number
        if is_alone and now.committed == before.committed:
            return claim
        self._release(claim)
        return None

    def _release(self, claim: str) -> None:
        """Take a claim back; where these credentials may not delete, it stays, and does no harm beside a marker."""
        try:
            self._store.delete([claim])
        except StoreRefused as refused:
            self._log.warning("The store does not let these credentials clear away %s (%s).", claim, refused.code)

    def _release_old_claims(self, session: MeetingSession, look: _Look) -> None:
        """Take back the claims that killed runs have left in versions that they had committed."""
        folder = self.folder(session)
        left = [
            f"{layout.version_folder(folder, number)}{path}"
            for number in look.committed
            for path in look.numbers[number]
            if layout.is_unfinished(path)
        ]
        with suppress(StoreRefused):  # credentials that may not delete: that was told when the claim was to be released
            self._store.delete(left)

    def _write(self, session: MeetingSession, number: int, state: SessionState) -> None:
        """Write a version: payload, tag files, their locks, and the marker once all of it is proved to be there."""
        folder = layout.version_folder(self.folder(session), number)
        sent = {path: self._put_piece(folder, session, piece) for path, piece in state.pieces.items()}
        tags = state.tag_files()
        marker = tags.pop(layout.MARKER)
        for name, content in tags.items():
            sent[name] = _md5(content)
            self._store.put(folder + name, content, bag.tag_type(name))
        retention = lock_all(self._store, [folder + path for path in sent])
        self._require_stored(folder, state, tags, sent)
        self.require_not_deleted(session)
        marker_key = folder + layout.MARKER
        put_marker(self._store, marker_key, marker, bag.tag_type(layout.MARKER), retention)
        self.require_not_deleted(session, marker_key)

    def _put_piece(self, folder: str, session: MeetingSession, piece: Piece) -> str:
        content = piece.read(self._store)
        metadata = {"session-id": session.id, "sha256": piece.sha256}
        self._store.put(folder + piece.path, content, piece.content_type, metadata)
        return _md5(content)

    def _require_stored(
        self, folder: str, state: SessionState, tags: Mapping[str, bytes], sent: Mapping[str, str]
    ) -> None:
        """Check that the folder holds what was sent, and nothing else, before it becomes a bag.

        A store's ETag of what came in one piece is its MD5. Where it is another, the object is read back.
        """
        listed = {stored.key.removeprefix(folder): stored for stored in self._store.list(folder)}
        paths = {path for path in listed if not layout.is_unfinished(path)}
        if paths != sent.keys():
            raise StoredWrong(folder, ", ".join(sorted(sent)), ", ".join(sorted(paths)))
        for path, md5 in sent.items():
            if bare_etag(listed[path].etag) != md5:
                content = self._store.get(folder + path)
                expected = tags[path] if path in tags else state.pieces[path].read(self._store)
                if content != expected:
                    raise StoredWrong(folder + path, f"{len(expected)} bytes as sent", "others")

    def _pause(self) -> None:
        """Wait for a random time: of runs that met at a version, the next time one comes first."""
        if self._stop.wait(random.uniform(0.05, LONGEST_PAUSE_S)):  # noqa: S311 - jitter needs no cryptography
            raise TransferStopped

    def url(self, version: Version) -> str:
        """Return where a version is, for people and for events."""
        return f"s3://{self._store.bucket}/{version.folder}"

    def _url(self, session: MeetingSession) -> str:
        return f"s3://{self._store.bucket}/{self.folder(session)}"

    def _archived(
        self, contents: SessionContents, state: SessionState, version: Version, *, changed: bool
    ) -> ArchivedMeetingSession:
        files = [
            ArchivedFile(path=piece.path, size=piece.size, sha256=piece.sha256, content_type=piece.content_type)
            for piece in state.pieces.values()
        ]
        held = {layout.document_name(piece.path) for piece in state.pieces.values() if not piece.doubt}
        missing = [piece for piece in contents.missing if piece.name not in held]
        if state.has_participants:
            missing = [piece for piece in missing if piece.name != "participants"]
        return ArchivedMeetingSession(
            session_id=contents.session.id,
            archive_url=self.url(version),
            version=version.number,
            files=tuple(sorted(files, key=lambda file: file.path)),
            missing=tuple(missing),
            findings=state.findings,
            recording_ids=state.recording_ids,
            changed=changed,
            redactions=state.redactions,
        )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
