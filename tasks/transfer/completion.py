"""The completion of a file: its multipart upload becomes an object, and the object is proved to hold what was sent.

Another run of the same recording may have completed, aborted or replaced the upload meanwhile. What the store then
holds counts only if it is proved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.archive import is_made_of, is_marked, read_back
from tasks.errors import StoredWrong, StoreRefused, UploadVanished
from tasks.evidence import Evidence
from tasks.s3 import bare_etag
from tasks.transfer.models import ProvedFile, UploadedFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.archive import UploadJournal
    from tasks.s3 import Part, Store, StoredObject


def require_bytes(
    store: Store,
    stored: StoredObject,
    size: int,
    metadata: Mapping[str, str],
    sha256: str,
    parts: Sequence[Part] = (),
) -> None:
    """Check that an object holds what was sent, and not what another run wrote: by its metadata, else by its bytes.

    Of an object whose storage class lets nobody read it, the store's checksum has to show that.

    Args:
        store: where the object is.
        stored: the object, as the store describes it now.
        size: in bytes, that were sent.
        metadata: as sent with the object.
        sha256: of the bytes that were sent.
        parts: what the object was made of, if it was made of parts.

    Raises:
        StoredWrong: it holds something else.
    """
    if stored.size != size:
        raise StoredWrong(stored.key, f"{size} bytes", f"{stored.size} bytes")
    if is_marked(stored, metadata) or (stored.storage_class.is_cold and is_made_of(stored, parts)):
        return
    if (stored_sha256 := read_back(store, stored, parts)) != sha256:
        raise StoredWrong(stored.key, f"SHA-256 {sha256}", stored_sha256)


def complete(store: Store, journal: UploadJournal, file: UploadedFile) -> ProvedFile:
    """Make an object of a file's upload, and prove that the object is what was sent.

    Raises:
        UploadVanished: another run has ended the upload, and what it stored is not this file.
        StoredWrong: the object is not what was sent. In both cases the upload is aborted, if it is still open.
    """
    try:
        return _complete(store, journal, file)
    except (StoredWrong, UploadVanished):
        journal.abort(file.upload)  # so that nobody carries on with it
        raise


def require_still(store: Store, file: ProvedFile) -> ProvedFile:
    """Check that the store still holds what was proved, and return the file with the object's present ETag.

    Raises:
        StoredWrong: the store holds something else, or nothing.
    """
    facts = file.facts
    stored = store.head(facts.payload.key)
    if stored is None:
        raise StoredWrong(facts.payload.key, f"{facts.size} bytes", "nothing")
    if bare_etag(stored.etag) == bare_etag(file.etag):
        return file
    require_bytes(store, stored, facts.size, facts.metadata, file.sha256)
    return replace(file, etag=stored.etag)


def _complete(store: Store, journal: UploadJournal, file: UploadedFile) -> ProvedFile:
    facts = file.facts
    stored, parts, sha256 = _object_of(store, journal, file)
    if sha256:
        require_bytes(store, stored, facts.size, facts.metadata, sha256, parts)
        return ProvedFile(facts, file.evidence, sha256, stored.etag, file.own_upload)
    evidence = Evidence(facts.payload.path, facts.size)
    sha256 = _read_back_or_undo(store, stored, parts, evidence)
    return ProvedFile(facts, evidence, sha256, stored.etag, file.own_upload)


def _object_of(store: Store, journal: UploadJournal, file: UploadedFile) -> tuple[StoredObject, Sequence[Part], str]:
    """Return the upload's object, the parts that it was made of, and its SHA-256 as far as that is known."""
    try:
        return journal.complete(file.upload, file.parts), file.parts, file.sha256
    except UploadVanished:
        stored = store.head(file.facts.payload.key)
        # What was sent may be there all the same: by a completion whose answer was lost, or by another run.
        if stored is None or not _holds(store, stored, file):
            raise
        return stored, file.parts, file.sha256
    except StoreRefused as refused:
        if refused.code != "InvalidPart":
            raise
    # Another run stored parts again, under other ETags. Whether of the same bytes, reading back has to show.
    listed = store.parts(file.upload)
    if any(part.number not in listed for part in file.parts):
        raise StoredWrong(file.upload.key, f"{len(file.parts)} parts", f"{len(listed)}")
    parts = [replace(part, etag=listed[part.number].etag) for part in file.parts]
    return journal.complete(file.upload, parts), parts, ""


def _holds(store: Store, stored: StoredObject, file: UploadedFile) -> bool:
    try:
        return stored.size == file.facts.size and read_back(store, stored, file.parts) == file.sha256
    except StoredWrong:
        return False


def _read_back_or_undo(store: Store, stored: StoredObject, parts: Sequence[Part], evidence: Evidence) -> str:
    try:
        return read_back(store, stored, parts, evidence=evidence)
    except StoredWrong:
        # Its metadata would make a later run take it for good; unless it is another object by now.
        there = store.head(stored.key)
        if there is not None and there.etag == stored.etag:
            _undo(store, stored.key)
        raise


def _undo(store: Store, key: str) -> None:
    """Delete an object, or where that is not allowed, write an empty one over it, which nothing is taken for."""
    try:
        store.delete([key])
    except StoreRefused:
        store.put(key, b"", "application/octet-stream")
