"""Joins source and store: the files of a recording, a few at a time, looked at anew when runs get in each other's way.

Several runs may move the same recording at once. They share uploads where they find each other's, take what another
has stored where that is proven, and begin again where it is not; so each ends with all bytes stored, or with an error.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from tasks import bag
from tasks.archive import ArchivedFile, StoredFile
from tasks.backoff import Patience
from tasks.checksums import bare
from tasks.download import Source
from tasks.errors import (
    ArchiveDamaged,
    ArchiverError,
    RangesUnproved,
    SourceChanged,
    StoredWrong,
    StoreRefused,
    StoreUnavailable,
    TransferStopped,
    UploadVanished,
)
from tasks.moving import FileMove, Limits, Means, Moved, Payload, Progress, require_bytes
from tasks.read_back import read_back
from tasks.realtimekit import require_no_missing_media
from tasks.window import Pool, Window, a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    import httpx

    from tasks.archive import Archive, ArchivedRecording
    from tasks.bucket import StoredObject
    from tasks.details import Recording
    from tasks.links import Links
    from tasks.logs import Log
    from tasks.store import Store, Upload
    from tasks.unfinished import Unfinished

T = TypeVar("T")
R = TypeVar("R")

FILES_AT_ONCE = 4
"""Of one recording."""
WORTH_LISTING = 4
"""Files of a recording from which on one listing is cheaper than asking for each whether it is there."""
READINGS = 3
"""Of a file that looks cut off and whose total is weak, until two agree."""
LOOKS = 3
"""How often a file is looked at anew when another run ended the upload that was used."""


class Transfer:
    """Moves the files of one recording.

    Args:
        store: where to.
        http: for the sources, see `tasks.download.new_http_client`.
        links: the files' URLs by label.
        unfinished: looks for what earlier runs left.
        progress: told what moves.
        stop: set by whoever fails or cancels; ends all waiting and reading.
        log: told what a person wants to know.
    """

    def __init__(
        self,
        store: Store,
        http: httpx.Client,
        links: Links,
        unfinished: Callable[[], Unfinished],
        limits: Limits,
        progress: Progress,
        stop: Event,
        log: Log,
    ) -> None:
        window = Window(limits.parts_at_once * limits.part_size)
        self._means = Means(store, unfinished, limits, window, progress, stop, log)
        self._http = http
        self._counting = Lock()
        self.links = links
        self.resumes = 0

    def move_all(self, payloads: Sequence[Payload], *, replace: bool = False) -> list[Moved]:
        """Move several files, a few at a time, into the store.

        After a failure, what this run has begun and no other can carry on is ended; all else stays for the next run.

        Args:
            payloads: what goes where.
            replace: leave objects of these keys untouched until `commit`, and take none of them for done.

        Raises:
            ArchiverError: what any of them met. Others are stopped by it, unless it is final and of that file alone.
        """
        known = None if replace or len(payloads) < WORTH_LISTING else self._means.unfinished().stored_payload()

        def move(payload: Payload) -> Moved:
            absent = known is not None and payload.key not in known
            return self._move_until_sure(payload, beside=replace, absent=absent)

        return self._at_once(move, payloads)

    def _move_until_sure(self, payload: Payload, *, beside: bool, absent: bool) -> Moved:
        """Move a file, and read it again if nothing but a weak total says that what looks cut off is whole.

        Raises:
            SourceChanged: it is another one at each reading.
        """
        moved, seen = self._move(payload, beside=beside, trust=not beside, absent=absent), set[str]()
        while moved.weak and moved.evidence.is_cut_off and moved.sha256 not in seen:
            seen.add(moved.sha256)
            if len(seen) == READINGS:
                raise SourceChanged(payload.media.label, "the same bytes twice", f"{READINGS} different files")
            self._means.log.warning("%s Reading it again.", moved.evidence.findings()[0])
            label = payload.media.label
            self.links.refresh(label, self.links.current(label), "what the old one led to looks cut off")
            if moved.upload is not None:
                self._means.unfinished().abort(moved.upload)
            moved = self._move(payload, beside=beside, trust=False)
        return moved

    def _at_once(self, call: Callable[[T], R], files: Sequence[T]) -> list[R]:
        with Pool(min(FILES_AT_ONCE, len(files) or 1), self._means.stop, independent=True) as pool:
            return pool.map(call, files)

    def _secure(self, moved: Sequence[Moved]) -> None:
        """See to it that what waits for its completion is there; what another run has cleared away is moved again.

        Raises:
            UploadVanished: others go on clearing it away.
        """
        unfinished = self._means.unfinished()
        for _ in range(LOOKS):
            waiting = [file for file in moved if file.upload is not None]
            there = a_few_at_a_time(lambda file: file.upload is None or unfinished.is_waiting(file.upload), waiting)
            lost = [file for file, is_there in zip(waiting, there, strict=True) if not is_there]
            if not lost:
                return
            for file in lost:
                self._means.log.warning("%s: another run has ended its upload; it is moved again.", file.payload.path)
            self._at_once(lambda file: self._move_again(file, beside=True), lost)
        raise UploadVanished("list_parts", lost[0].payload.key, "other runs go on ending it")

    def _move_again(self, moved: Moved, *, beside: bool) -> None:
        if moved.begun is not None:
            self._means.unfinished().abort(moved.begun)
        again = self._move(moved.payload, beside=beside, trust=False)
        if not beside:
            self._complete(again)
        vars(moved).update(vars(again))  # the same object: whoever tries again begins from here

    def _finish(self, moved: Moved) -> None:
        """Make an object of a file that waits for it, and prove it; may be called again after an interruption.

        Should its upload be over, or its object not be what was sent, the file is moved again.
        """
        try:
            self._require_still(moved)
            self._complete(moved)
        except (UploadVanished, StoredWrong) as lost:
            self._means.log.warning("%s: it has to be moved again. %s", moved.payload.path, lost)
            self._move_again(moved, beside=False)

    def commit(
        self,
        archive: Archive,
        recording: Recording,
        moved: Sequence[Moved],
        *,
        overwrite: bool = False,
        partial: bool = False,
    ) -> ArchivedRecording:
        """Make what was moved the recording's archive; may be called again after an interruption.

        Args:
            moved: from `move_all`, all of the recording.
            overwrite: it replaces what is archived; without that, a bag that another run committed meanwhile counts.
            partial: a person wants an archive of what could be moved, though the API names other files.

        Raises:
            NothingToDownload: the API names files that it hands out no URL for; all others are stored, and stay.
            UploadVanished: what was to replace an archive is there no more; the old one stays.
            ArchiverError: whatever `finish` and `Archive.commit` raise.
        """
        if not overwrite:
            with suppress(ArchiveDamaged):  # it is mended by what was moved
                if found := archive.find(recording):
                    self._clear_own(moved)
                    return found
        if not partial:
            require_no_missing_media(recording, archive.url(recording))
        # Without a marker, it was withdrawn, and completing may have begun.
        if overwrite and archive.unfinished(recording).is_over():
            self._secure(moved)  # the old archive gives way to nothing less than a whole new one
            archive.withdraw(recording)
        listed = archive.listed(recording)
        if unproved := [file for file in moved if not _is_as_moved(file, listed.get(file.payload.path))]:
            self._at_once(self._finish, unproved)
            listed = archive.listed(recording)
        stored = [_stored(file) for file in moved]
        missing = [label + bag.MISSING for label in recording.without_url]
        for finding in missing:
            self._means.log.warning("%s The other files are archived.", finding)
        for finding in (finding for one in stored for finding in one.findings):
            self._means.log.warning("%s It is archived all the same.", finding)
        return archive.commit(recording, stored, listed, missing)

    def _clear_own(self, moved: Sequence[Moved]) -> None:
        """End the uploads that this run has begun, as they are of no use; those of others may be."""
        unfinished = self._means.unfinished()
        a_few_at_a_time(unfinished.abort, [file.begun for file in moved if file.begun is not None])

    def _move(self, payload: Payload, *, beside: bool, trust: bool, absent: bool = False) -> Moved:
        for look in range(1, LOOKS + 1):
            try:
                moved = self._look(payload, beside=beside, trust=trust, absent=absent and look == 1)
                if moved.upload is not None and not beside and not self._means.unfinished().is_over():
                    self._complete(moved)
            except (UploadVanished, StoredWrong) as lost:
                # Another run of the same recording was faster, or cleaned up; what it stored may count for us too.
                if look == LOOKS:
                    raise
                trust = trust and isinstance(lost, UploadVanished)
                self._means.log.info("%s: looking again at what is there. %s", payload.path, lost)
            else:
                return moved
        raise AssertionError

    def _look(self, payload: Payload, **how: bool) -> Moved:
        try:
            return self._move_from(payload, ranges=True, **how)
        except RangesUnproved as unproved:
            self._means.log.warning("%s Reading it as a whole now.", unproved)
            return self._move_from(payload, ranges=False, **how)

    def _move_from(self, payload: Payload, *, ranges: bool, **how: bool) -> Moved:
        patience = Patience(self._means.limits.patience_s, self._means.stop)
        media = payload.media
        source = Source(self._http, self.links, media.label, patience, media.size, ranges=ranges)
        try:
            file = FileMove(self._means, payload, source)
            try:
                return file.move(**how)
            except Exception as error:
                self._give_up(file, error)
                raise
        finally:
            source.close()
            with self._counting:
                self.resumes += source.resumes

    def _give_up(self, file: FileMove, error: Exception) -> None:
        """End an upload that was begun in vain: nobody can prove what it is of any more, or there is nothing in it.

        A run that is being stopped, or whose store is away, looks no closer: what it leaves can be carried on.
        """
        if file.begun is None:
            return
        unfinished = self._means.unfinished()
        if not file.is_resumable or isinstance(error, UploadVanished | SourceChanged):
            unfinished.give_up(file.begun)
        elif not isinstance(error, TransferStopped | StoreUnavailable):
            with suppress(ArchiverError):
                if unfinished.after_failure().holds_nothing(file.begun):
                    unfinished.give_up(file.begun)

    def _complete(self, moved: Moved) -> None:
        """Make an object of the file's upload, if it still has one, and prove that it is what was sent."""
        if moved.upload is None:
            return
        unfinished = self._means.unfinished()
        try:
            stored = self._completed(unfinished, moved.upload, moved)
            if moved.sha256:
                require_bytes(self._means.store, stored, moved)
            else:
                moved.sha256 = self._proved(stored, moved)
        except (StoredWrong, UploadVanished):
            unfinished.abort(moved.upload)  # if it is still open, so that nobody carries on with it
            raise
        moved.etag, moved.upload, moved.parts = stored.etag, None, ()

    def _require_still(self, moved: Moved) -> None:
        """Check that what is stored is still what was moved; an upload that waits for completion is not looked at."""
        if moved.upload is not None:
            return
        stored = self._means.store.head(moved.payload.key)
        if stored is None:
            raise StoredWrong(moved.payload.key, f"{moved.size} bytes", "nothing")
        if bare(stored.etag) != bare(moved.etag):
            require_bytes(self._means.store, stored, moved)
            moved.etag = stored.etag

    def _completed(self, unfinished: Unfinished, upload: Upload, moved: Moved) -> StoredObject:
        try:
            return unfinished.complete(upload, moved.parts)
        except UploadVanished:
            stored = self._means.store.head(moved.payload.key)
            # What was sent may be there all the same: by a completion whose answer was lost, or by another run.
            if stored is None or not self._holds(stored, moved):
                raise
            return stored
        except StoreRefused as refused:
            if refused.code != "InvalidPart":
                raise
        # Another run stored parts again, under other ETags. Whether of the same bytes, reading back has to show.
        listed = self._means.store.parts(upload)
        if any(part.number not in listed for part in moved.parts):
            raise StoredWrong(upload.key, f"{len(moved.parts)} parts", f"{len(listed)}")
        moved.parts = [replace(part, etag=listed[part.number].etag) for part in moved.parts]
        moved.sha256 = ""
        return unfinished.complete(upload, moved.parts)

    def _holds(self, stored: StoredObject, moved: Moved) -> bool:
        try:
            return stored.size == moved.size and read_back(self._means.store, stored, moved.parts) == moved.sha256
        except StoredWrong:
            return False

    def _proved(self, stored: StoredObject, moved: Moved) -> str:
        store = self._means.store
        try:
            return read_back(store, stored, moved.parts, evidence=moved.evidence)
        except StoredWrong:
            # Its metadata would make a later run take it for good; unless it is another object by now.
            found = store.head(stored.key)
            if found is not None and found.etag == stored.etag:
                self._undo(stored.key)
            raise

    def _undo(self, key: str) -> None:
        """Delete an object, or where that is not allowed, write an empty one over it, which nothing is taken for."""
        try:
            self._means.store.delete([key])
        except StoreRefused:
            self._means.store.put(key, b"", "application/octet-stream")


def _is_as_moved(moved: Moved, listed: StoredObject | None) -> bool:
    """Tell whether the store lists what was moved; an upload that waits for its completion is no object yet."""
    if moved.upload is not None or listed is None:
        return False
    return (listed.size, bare(listed.etag)) == (moved.size, bare(moved.etag))


def _stored(moved: Moved) -> StoredFile:
    path, size, sha256, content_type = moved.payload.path, moved.size, moved.sha256, moved.content_type
    file = ArchivedFile(path=path, size=size, sha256=sha256, content_type=content_type)
    return StoredFile(file, moved.etag, (*moved.accepted, *moved.evidence.findings()))
