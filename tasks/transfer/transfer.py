"""From source to store: the files of a recording, a few at a time, and their commit.

Several runs may transfer the same recording at once. They share uploads where they find each other's, reuse what
another has stored where that is proved, and begin again where it is not; so each run ends with all bytes stored, or
with an error.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from tasks.archive import MISSING, ArchivedFile, StoredFile
from tasks.download import Source
from tasks.errors import (
    ArchiveDamaged,
    ArchiverError,
    RangesUnproved,
    SourceChanged,
    StoredWrong,
    StoreUnavailable,
    TransferStopped,
    UploadVanished,
)
from tasks.realtimekit import require_no_missing_media
from tasks.retry import Patience
from tasks.s3 import bare_etag
from tasks.transfer.completion import complete, require_still
from tasks.transfer.file_transfer import FileTransfer
from tasks.transfer.models import ProvedFile, UploadedFile
from tasks.workers import Pool, a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from tasks.archive import Archive, ArchivedRecording
    from tasks.download import PresignedUrls
    from tasks.realtimekit import Recording
    from tasks.s3 import StoredObject
    from tasks.transfer.models import Payload, TransferContext, TransferredFile

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
    """Transfers the files of one recording, and commits them.

    Args:
        context: where to, and within which limits.
        http: for the sources, see `tasks.download.http_client`.
        links: the files' URLs by label.
    """

    def __init__(self, context: TransferContext, http: httpx.Client, links: PresignedUrls) -> None:
        self._context = context
        self._http = http
        self._counting = Lock()
        self.links = links
        self.resumes = 0

    def transfer_all(self, payloads: Sequence[Payload], *, keep_existing: bool = False) -> list[TransferredFile]:
        """Transfer several files, a few at a time, into the store.

        After a failure, what this run has begun and no other can carry on is ended; all else stays for the next run.

        Args:
            payloads: which files go where.
            keep_existing: do not touch objects of these keys until `commit`, and reuse none of them.

        Raises:
            ArchiverError: the failure of any file. It stops the other files, unless it is final and of that file alone.
        """
        listed = not keep_existing and len(payloads) >= WORTH_LISTING
        known = self._context.journal().stored_payload() if listed else None

        def transfer(payload: Payload) -> TransferredFile:
            absent = known is not None and payload.key not in known
            return self._transfer_until_sure(payload, keep_existing=keep_existing, absent=absent)

        return self._at_once(transfer, payloads)

    def commit(
        self,
        archive: Archive,
        recording: Recording,
        files: Sequence[TransferredFile],
        *,
        overwrite: bool = False,
        partial: bool = False,
    ) -> ArchivedRecording:
        """Make the files the recording's archive; may be called again after an interruption.

        Args:
            archive: where the recording is archived.
            recording: as the API described it.
            files: from `transfer_all`, all of the recording.
            overwrite: replace what is archived; without that, a bag that another run committed meanwhile counts.
            partial: a person wants an archive of what could be transferred, though the API names other files.

        Raises:
            NothingToDownload: the API names files that it hands out no URL for; all others are stored, and stay.
            UploadVanished: what was to replace an archive is there no more; the old one stays.
            ArchiveLocked: the store keeps what is archived from being replaced.
            ArchiverError: whatever completing a file, or `Archive.commit`, raises.
        """
        if not overwrite:
            with suppress(ArchiveDamaged):  # the files mend it
                if archived := archive.find(recording):
                    self._abort_own(files)
                    return archived
        if not partial:
            require_no_missing_media(recording, archive.url(recording))
        # Without a marker, the old archive was withdrawn, and completing may have begun.
        if overwrite and archive.journal(recording).is_committed():
            files = self._secure(files)  # the old archive gives way to nothing less than a whole new one
            archive.require_unlocked(recording)  # another run may have locked it since
            archive.withdraw(recording)
        listed = archive.listed(recording)
        proved = self._prove(files, listed)
        if not all(_is_listed(file, listed.get(file.facts.payload.path)) for file in files):
            listed = archive.listed(recording)  # it was made before the last file was completed, or it was out of date
        stored = [_stored(file) for file in proved]
        missing = [label + MISSING for label in recording.without_url]
        self._warn(stored, missing)
        return archive.commit(recording, stored, listed, missing)

    def _warn(self, stored: Sequence[StoredFile], missing: Sequence[str]) -> None:
        for finding in missing:
            self._context.log.warning("%s The other files are archived.", finding)
        for finding in (finding for file in stored for finding in file.findings):
            self._context.log.warning("%s It is archived all the same.", finding)

    def _transfer_until_sure(self, payload: Payload, *, keep_existing: bool, absent: bool) -> TransferredFile:
        """Transfer a file; read it again if it looks cut off, and nothing but a weak total says that it is whole.

        Raises:
            SourceChanged: each reading brings another file.
        """
        file = self._transfer(payload, keep_existing=keep_existing, reuse_stored=not keep_existing, absent=absent)
        seen = set[str]()
        while file.facts.weak and file.evidence.is_cut_off and file.sha256 not in seen:
            seen.add(file.sha256)
            if len(seen) == READINGS:
                raise SourceChanged(payload.media.label, "the same bytes twice", f"{READINGS} different files")
            self._context.log.warning("%s Reading it again.", file.evidence.findings()[0])
            label = payload.media.label
            self.links.refresh(label, self.links.current(label), "what the old one led to looks cut off")
            if isinstance(file, UploadedFile):
                self._context.journal().abort(file.upload)
            file = self._transfer(payload, keep_existing=keep_existing)
        return file

    def _transfer(
        self, payload: Payload, *, keep_existing: bool, reuse_stored: bool = False, absent: bool = False
    ) -> TransferredFile:
        """Transfer a file; without `keep_existing`, complete it unless another run has committed the recording."""
        for look in range(1, LOOKS + 1):
            try:
                file = self._attempt(
                    payload, keep_existing=keep_existing, reuse_stored=reuse_stored, absent=absent and look == 1
                )
                journal = self._context.journal()
                if isinstance(file, ProvedFile) or keep_existing or journal.is_committed():
                    return file
                return complete(self._context.store, journal, file)
            except (UploadVanished, StoredWrong) as lost:
                # Another run of the same recording was faster, or cleaned up; what it stored may count for us too.
                if look == LOOKS:
                    raise
                reuse_stored = reuse_stored and isinstance(lost, UploadVanished)
                self._context.log.info("%s: looking again at what is there. %s", payload.path, lost)
        raise AssertionError

    def _attempt(self, payload: Payload, **options: bool) -> TransferredFile:
        try:
            return self._transfer_from_source(payload, ranges=True, **options)
        except RangesUnproved as unproved:
            self._context.log.warning("%s Reading it as a whole now.", unproved)
            return self._transfer_from_source(payload, ranges=False, **options)

    def _transfer_from_source(self, payload: Payload, *, ranges: bool, **options: bool) -> TransferredFile:
        patience = Patience(self._context.limits.patience_s, self._context.stop)
        media = payload.media
        source = Source(self._http, self.links, media.label, patience, media.size, ranges=ranges)
        transfer = FileTransfer(self._context, payload, source)
        try:
            return transfer.run(**options)
        except Exception as error:
            self._abort_if_useless(transfer, error)
            raise
        finally:
            source.close()
            with self._counting:
                self.resumes += source.resumes

    def _abort_if_useless(self, transfer: FileTransfer, error: Exception) -> None:
        """Abort an upload that was begun in vain: nobody can prove what its parts are of, or it has none.

        A run that is being stopped, or whose store is away, looks no closer: what it leaves can be carried on.
        """
        if transfer.begun is None:
            return
        journal = self._context.journal()
        if not transfer.is_resumable or isinstance(error, UploadVanished | SourceChanged):
            journal.give_up(transfer.begun)
        elif not isinstance(error, TransferStopped | StoreUnavailable):
            with suppress(ArchiverError):
                if journal.after_failure().holds_nothing(transfer.begun):
                    journal.give_up(transfer.begun)

    def _secure(self, files: Sequence[TransferredFile]) -> list[TransferredFile]:
        """Return the files, all of which can be completed: what another run has cleared away is transferred again.

        Raises:
            UploadVanished: other runs go on clearing it away.
        """
        secured, journal = list(files), self._context.journal()

        def is_lost(file: TransferredFile) -> bool:
            return isinstance(file, UploadedFile) and not journal.is_waiting(file.upload)

        for _ in range(LOOKS):
            lost = [file for file, gone in zip(secured, a_few_at_a_time(is_lost, secured), strict=True) if gone]
            if not lost:
                return secured
            for file in lost:
                path = file.facts.payload.path
                self._context.log.warning("%s: another run has ended its upload; it is transferred again.", path)
            again = dict(zip(map(id, lost), self._at_once(self._transfer_again, lost), strict=True))
            secured = [again.get(id(file), file) for file in secured]
        raise UploadVanished("list_parts", lost[0].facts.payload.key, "other runs go on ending it")

    def _transfer_again(self, file: TransferredFile, *, keep_existing: bool = True) -> TransferredFile:
        if (own := file.own_upload) is not None:
            self._context.journal().abort(own)
        return self._transfer(file.facts.payload, keep_existing=keep_existing)

    def _prove(self, files: Sequence[TransferredFile], listed: dict[str, StoredObject]) -> list[ProvedFile]:
        """Return the files, all completed and proved; those that the store lists as they were proved are not asked for.

        Args:
            listed: what the store lists, by path within the bag.
        """

        def prove(file: TransferredFile) -> ProvedFile:
            there = listed.get(file.facts.payload.path)
            return file if _is_listed(file, there) else self._finish(file)

        return self._at_once(prove, files)

    def _finish(self, file: TransferredFile) -> ProvedFile:
        """Complete a file, or prove it anew; transfer it again if its upload or its object is not what was sent."""
        store, journal = self._context.store, self._context.journal()
        try:
            return complete(store, journal, file) if isinstance(file, UploadedFile) else require_still(store, file)
        except (UploadVanished, StoredWrong) as lost:
            path = file.facts.payload.path
            self._context.log.warning("%s: it has to be transferred again. %s", path, lost)
        again = self._transfer_again(file, keep_existing=False)
        return complete(store, self._context.journal(), again) if isinstance(again, UploadedFile) else again

    def _abort_own(self, files: Sequence[TransferredFile]) -> None:
        """Abort the uploads that this run has begun, as they are of no use; those of others may be."""
        journal = self._context.journal()
        a_few_at_a_time(journal.abort, [own for file in files if (own := file.own_upload) is not None])

    def _at_once(self, call: Callable[[T], R], files: Sequence[T]) -> list[R]:
        with Pool(min(FILES_AT_ONCE, len(files) or 1), self._context.stop, independent=True) as pool:
            return pool.map(call, files)


def _is_listed(file: TransferredFile, listed: StoredObject | None) -> TypeGuard[ProvedFile]:
    """Tell whether a file is proved, and the store lists the object that was."""
    if not isinstance(file, ProvedFile) or listed is None:
        return False
    return (listed.size, bare_etag(listed.etag)) == (file.facts.size, bare_etag(file.etag))


def _stored(file: ProvedFile) -> StoredFile:
    facts = file.facts
    described = ArchivedFile(
        path=facts.payload.path, size=facts.size, sha256=file.sha256, content_type=facts.content_type
    )
    return StoredFile(described, file.etag, file.findings)
