"""Knows half-done uploads: which belong to what, which can be carried on, and how to leave none behind.

A store lists its multipart uploads and their parts, but neither says of which source object they are. So beside each
upload lies a small record of that, below `unfinished/` in the recording's folder, until the folder is a bag.
An upload without a matching record proves nothing, and is never carried on.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.store import Part, Store, Upload

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
        self._found: Sequence[Upload] | None = None

    def resumable(self, key: str, origin: Mapping[str, str | int]) -> tuple[Upload, dict[int, Part]] | None:
        """Return the upload to a key that has come furthest and its parts, provided that it is of the same origin.

        Uploads that are recorded to be of another origin are aborted; those without a record may belong to a run
        that has only just begun them, and are left to `clear`.

        Args:
            origin: what the upload's bytes are of: source, part size and all else that must not differ.
        """
        best: tuple[Upload, dict[int, Part]] | None = None
        for upload in self._uploads():
            if upload.key != key:
                continue
            record = self._record(upload)
            if record == dict(origin):
                parts = self._store.parts(upload)
                if best is None or len(parts) > len(best[1]):
                    best = upload, parts
            elif record is not None:
                self._store.abort(upload)
        return best

    def begin(
        self, key: str, origin: Mapping[str, str | int], content_type: str, metadata: Mapping[str, str]
    ) -> Upload:
        """Begin an upload and record its origin."""
        upload = self._store.begin_upload(key, content_type, metadata)
        self._store.put(self._record_key(upload), json.dumps(dict(origin)).encode(), "application/json")
        return upload

    def clear(self) -> None:
        """Abort all that is under way in the folder and delete the records."""
        for upload in self._store.uploads(self._folder):
            self._store.abort(upload)
        self._store.delete([record.key for record in self._store.list(f"{self._folder}{FOLDER}/")])

    def _uploads(self) -> Sequence[Upload]:
        if self._found is None:
            self._found = self._store.uploads(self._folder)
        return self._found

    def _record(self, upload: Upload) -> dict[str, object] | None:
        content = self._store.get(self._record_key(upload))
        try:
            return dict(json.loads(content)) if content else None
        except (ValueError, TypeError):
            return None

    def _record_key(self, upload: Upload) -> str:
        # An upload's id may be long and hold any character; its digest makes a key of it.
        return f"{self._folder}{FOLDER}/{hashlib.sha256(upload.id.encode()).hexdigest()[:32]}.json"
