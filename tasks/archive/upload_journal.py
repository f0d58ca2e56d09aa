"""The journal of unfinished uploads: which can be resumed, how runs share them, and how none is left behind.

A store lists its multipart uploads and their parts, but neither says of which source object they are. So beside each
upload lies a small record of that, below `unfinished/` in the recording's folder, until the folder becomes a bag.
An upload without a matching record proves nothing, and is never carried on. The record names the upload, too: MinIO
lists uploads to an exact key only, and some stores list none.

The record is also how runs at the same time tell each other that an upload is over: it is taken back before the upload
is aborted. Aborting and completing at the same moment leave some stores (Swift) with an object without its parts, and
an answer that all is well; so only an object whose record outlived its completion counts. Credentials that may not
delete take a record back by writing an empty one in its place.

Nothing of this is part of a bag: what cannot be cleared away is told, and keeps no recording from being committed.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.archive import bag, layout
from tasks.errors import ArchiverError, ObjectTooLarge, StoredWrong, StoreRefused, UploadVanished
from tasks.s3 import MIN_PARTS_TO_DETECT, Upload
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasks.s3 import Part, Store, StoredObject
    from tasks.text import Log

LARGEST_RECORD = 64 * 1024
"""Bytes; ours have less than one in a hundred of that."""
TOLD = 5
"""Things that could not be cleared away, to be named."""
STORED_AS = "stored-as"
"""What says, in a record and in the metadata of an object, with which options it is stored."""
TAKEN_BACK = b"{}"
"""The content of a record that may not be deleted, once it counts no more."""


class UploadJournal:
    """The uploads under way in one recording's folder.

    Args:
        store: where they are.
        folder: the recording's, with a slash at its end.
        log: told what cannot be cleared away.
    """

    def __init__(self, store: Store, folder: str, log: Log) -> None:
        self._store = store
        self._folder = folder
        self._log = log
        self._below = layout.unfinished_folder(folder)

    def resumable(self, key: str, origin: Mapping[str, str | int]) -> tuple[Upload, dict[int, Part]] | None:
        """Return the upload to a key that has come furthest and its parts, provided that it is of the same origin.

        All others are left alone: they may be those of a run that is at work just now. `clear` ends them.

        Args:
            origin: what the upload's bytes are of: source, part size and all else that must not differ.
        """
        best: tuple[Upload, dict[int, Part]] | None = None
        for upload in self._listed(key):
            record = self._record(self._record_key(upload))
            if upload.key == key and record is not None and self._is_alike(record, origin):
                parts = self._store.parts(upload)
                if best is None or len(parts) > len(best[1]):
                    # What was announced when it began holds, whether listings repeat it or not.
                    announced = upload.checksummed or record.get("checksummed") is True
                    best = replace(upload, checksummed=announced), parts
        return best

    def _is_alike(self, record: Mapping[str, object], origin: Mapping[str, str | int]) -> bool:
        """Tell whether an upload is of the same origin, and of what is stored as the settings say now."""
        return origin.items() <= record.items() and record.get(STORED_AS, "") == self._store.options.fingerprint

    def begin(
        self, key: str, origin: Mapping[str, str | int], content_type: str, metadata: Mapping[str, str]
    ) -> Upload:
        """Begin an upload and record its origin."""
        upload = self._store.begin_upload(key, content_type, metadata)
        record = {**origin, "key": key, "upload_id": upload.id, "checksummed": upload.checksummed}
        record |= {STORED_AS: self._store.options.fingerprint}
        try:
            self._store.put(self._record_key(upload), json.dumps(record).encode(), "application/json")
        except BaseException:
            self.give_up(upload)  # without a record, nobody could carry it on
            raise
        return upload

    def detect_capabilities(self, upload: Upload, missing: int) -> None:
        """Have the store asked once what it verifies, if it announced nothing and so many missing parts are worth it.

        Should that be cut short, `clear` ends what is left of it.
        """
        if not upload.checksummed and missing >= MIN_PARTS_TO_DETECT:
            self._store.detect_capabilities(f"{self._below}is-it-verified")

    def complete(self, upload: Upload, parts: Sequence[Part]) -> StoredObject:
        """Make an object of an upload's parts.

        Raises:
            UploadVanished: another run has ended the upload; what it stored instead counts.
            StoredWrong: the object is not what was sent, or the upload was being aborted meanwhile: it cannot be
                trusted to be whole.
        """
        if not self._is_recorded(upload):
            raise UploadVanished("complete_multipart_upload", upload.key, "another run has cleared it away")
        stored = self._store.complete(upload, parts)
        if not self._is_recorded(upload):
            raise StoredWrong(upload.key, "an upload that nobody else ends", "one that was being aborted")
        return stored

    def is_waiting(self, upload: Upload) -> bool:
        """Tell whether an upload can still be completed: no run has ended it, and the store knows it."""
        return self._is_recorded(upload) and self._is_open(upload)

    def holds_nothing(self, upload: Upload) -> bool:
        """Tell whether not even one part of an upload is stored."""
        try:
            return not self._store.parts(upload)
        except UploadVanished:
            return True

    def abort(self, upload: Upload) -> None:
        """End an upload, and tell all who work on it first; what the store does not let us end stays, and is logged."""
        self._tell(self._end(upload))

    def after_failure(self) -> UploadJournal:
        """Return the same, for a run that has failed: each call is tried once, even if the run is being stopped."""
        return UploadJournal(self._store.without_retries(), self._folder, self._log)

    def give_up(self, upload: Upload) -> None:
        """End an upload that nobody can carry on, as far as that can be done after a failure."""
        with suppress(ArchiverError):
            self.after_failure().abort(upload)

    def is_committed(self) -> bool:
        """Tell whether the folder is a bag: from then on its files are not to be touched but to overwrite them all."""
        return self._store.head(self._folder + layout.MARKER) is not None

    def clear(self, listed: Iterable[str] | None = None) -> None:
        """End all uploads in the folder and delete the records; what the store refuses to clear away is logged.

        Args:
            listed: the keys in the folder, if they were listed already.
        """
        # Listed first: those that come later belong to uploads that are none of ours to end.
        records = self._records() if listed is None else [key for key in listed if key.startswith(self._below)]
        recorded = [upload for upload in a_few_at_a_time(self._recorded, records) if upload is not None]
        known = [*self._listed(self._folder), *recorded]
        uploads = list({(upload.key, upload.id): upload for upload in known}.values())
        others = set(records) - {self._record_key(upload) for upload in uploads}
        left = [*a_few_at_a_time(self._end, uploads), *a_few_at_a_time(self._take_back, sorted(others))]
        self._tell([what for refused in left for what in refused])

    def _end(self, upload: Upload) -> list[str]:
        """End an upload, and return what of it could not be cleared away."""
        record = self._record_key(upload)
        left = self._take_back(record)
        if left and self._recorded(record) is not None:
            return [*left, f"the upload to {upload.key}"]  # some run may be completing it, and could not be told
        return [*left, *_refused(lambda: self._store.abort(upload), f"the upload to {upload.key}")]

    def _take_back(self, record: str) -> list[str]:
        """Delete a record, or make it count no more; return what of it could not be cleared away."""
        left = _refused(lambda: self._store.delete([record]), record)
        if left and (there := self._store.head(record)) is None:
            return []
        if left and there and there.size != len(TAKEN_BACK):
            with suppress(StoreRefused):
                self._store.put(record, TAKEN_BACK, "application/json")
        return left

    def _tell(self, left: Sequence[str]) -> None:
        if left:
            more = f" and {len(left) - TOLD} more" if len(left) > TOLD else ""
            self._log.warning(
                "The store does not let these credentials clear away %s%s. That does no harm to the archive: delete "
                "them by hand, or give the bucket a lifecycle rule.", ", ".join(left[:TOLD]), more,
            )  # fmt: skip

    def stored_payload(self) -> set[str]:
        """Return the keys of the payload files in the folder, archived or not."""
        return {stored.key for stored in self._store.list(self._folder + layout.PAYLOAD)}

    def manifest_sha256(self, key: str) -> str | None:
        """Return the SHA-256 that the folder's manifest states of an object; None if it states nothing.

        While a recording is being moved there is a manifest only if its bag was withdrawn to be replaced.
        """
        try:
            manifest = bag.parse_manifest(self._store.get(self._folder + layout.MANIFEST) or b"")
        except (ValueError, ObjectTooLarge):
            return None
        return manifest.get(key.removeprefix(self._folder))

    def _listed(self, prefix: str) -> Sequence[Upload]:
        """Return the uploads under way below a prefix, by the records where the store does not list any."""
        if (listed := self._store.list_uploads_if_supported(prefix)) is not None:
            return listed
        recorded = a_few_at_a_time(self._recorded, self._records())
        return [upload for upload in recorded if upload and upload.key.startswith(prefix) and self._is_open(upload)]

    def _is_open(self, upload: Upload) -> bool:
        try:
            self._store.parts(upload)
        except UploadVanished:
            return False
        return True

    def _records(self) -> list[str]:
        return [record.key for record in self._store.list(self._below)]

    def _is_recorded(self, upload: Upload) -> bool:
        return (self._record(self._record_key(upload)) or {}).get("upload_id") == upload.id

    def _record(self, key: str) -> dict[str, object] | None:
        try:
            content = self._store.get(key, LARGEST_RECORD)
            return dict(json.loads(content)) if content else None
        except (ValueError, TypeError, RecursionError, ObjectTooLarge):
            return None

    def _recorded(self, key: str) -> Upload | None:
        """Return the upload that a record is of, if it is still there to tell."""
        record = self._record(key) or {}
        its_key, its_id = record.get("key"), record.get("upload_id")
        if isinstance(its_key, str) and isinstance(its_id, str) and its_key.startswith(self._folder):
            return Upload(its_key, its_id, record.get("checksummed") is True)
        return None

    def _record_key(self, upload: Upload) -> str:
        # An upload's id may be long and hold any character; its digest makes a key of it.
        return f"{self._below}{hashlib.sha256(upload.id.encode()).hexdigest()[:32]}.json"


def _refused(clear: Callable[[], None], what: str) -> list[str]:
    """Clear something away, and return its name if the store refuses to."""
    try:
        clear()
    except StoreRefused as refused:
        return [f"{what} ({refused.code})"]
    return []
