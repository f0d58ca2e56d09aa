"""Knows half-done uploads: which can be carried on, how runs of the same recording share them, and how none is left.

A store lists its multipart uploads and their parts, but neither says of which source object they are. So beside each
upload lies a small record of that, below `unfinished/` in the recording's folder, until the folder becomes a bag.
An upload without a matching record proves nothing, and is never carried on.

The record is also how runs at the same time tell each other that an upload is over: it is deleted before the upload
is aborted. Aborting and completing at the same moment leave some stores (Swift) with an object without its parts, and
an answer that all is well; so only an object whose record outlived its completion counts.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from tasks import bag
from tasks.errors import StoredWrong, UploadVanished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.store import Part, Store, StoredObject, Upload

FOLDER = "unfinished"


class Unfinished:
    """The uploads under way in one recording's folder.

    Args:
        store: where they are.
        folder: the recording's, with a slash at its end.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._folder = folder

    def resumable(self, key: str, origin: Mapping[str, str | int]) -> tuple[Upload, dict[int, Part]] | None:
        """Return the upload to a key that has come furthest and its parts, provided that it is of the same origin.

        All others are left alone: they may be those of a run that is at work just now. `clear` ends them.

        Args:
            origin: what the upload's bytes are of: source, part size and all else that must not differ.
        """
        best: tuple[Upload, dict[int, Part]] | None = None
        for upload in self._store.uploads(key):
            if upload.key == key and self._record(upload) == dict(origin):
                parts = self._store.parts(upload)
                if best is None or len(parts) > len(best[1]):
                    best = upload, parts
        return best

    def begin(
        self, key: str, origin: Mapping[str, str | int], content_type: str, metadata: Mapping[str, str]
    ) -> Upload:
        """Begin an upload and record its origin."""
        upload = self._store.begin_upload(key, content_type, metadata)
        self._store.put(self._record_key(upload), json.dumps(dict(origin)).encode(), "application/json")
        return upload

    def complete(self, upload: Upload, parts: Sequence[Part]) -> StoredObject:
        """Make an object of an upload's parts.

        Raises:
            UploadVanished: another run has ended the upload; what it stored instead counts.
            StoredWrong: the object is not what was sent, or the upload was being aborted meanwhile: it cannot be
                trusted to be whole.
        """
        if self._store.get(self._record_key(upload)) is None:
            raise UploadVanished("complete_multipart_upload", upload.key, "another run has cleared it away")
        stored = self._store.complete(upload, parts)
        if self._store.get(self._record_key(upload)) is None:
            raise StoredWrong(upload.key, "an upload that nobody else ends", "one that was being aborted")
        return stored

    def abort(self, upload: Upload) -> None:
        """End an upload, and tell all who work on it."""
        self._store.delete([self._record_key(upload)])
        self._store.abort(upload)

    def is_over(self) -> bool:
        """Tell whether the folder is a bag: from then on its files are not to be touched but to overwrite them all."""
        return self._store.head(self._folder + bag.MARKER) is not None

    def clear(self) -> None:
        """End all uploads in the folder and delete the records."""
        # Listed first: those that come later belong to uploads that are none of ours to end.
        records = [record.key for record in self._store.list(f"{self._folder}{FOLDER}/")]
        for upload in self._store.uploads(self._folder):
            self.abort(upload)
        self._store.delete(records)

    def stated(self, key: str) -> str | None:
        """Return the SHA-256 that the folder's manifest states of an object; None if it states nothing.

        While a recording is being moved there is a manifest only if its bag was withdrawn to be replaced.
        """
        try:
            manifest = bag.parse_manifest(self._store.get(self._folder + bag.MANIFEST) or b"")
        except ValueError:
            return None
        return manifest.get(key.removeprefix(self._folder))

    def _record(self, upload: Upload) -> dict[str, object] | None:
        content = self._store.get(self._record_key(upload))
        try:
            return dict(json.loads(content)) if content else None
        except (ValueError, TypeError):
            return None

    def _record_key(self, upload: Upload) -> str:
        # An upload's id may be long and hold any character; its digest makes a key of it.
        return f"{self._folder}{FOLDER}/{hashlib.sha256(upload.id.encode()).hexdigest()[:32]}.json"
