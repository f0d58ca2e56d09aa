"""Another bucket as the target of a restore: bags lie there as in the archive, so that the copy is an archive itself.

The bytes go through this process, so that they are verified before an object appears: a large file is a multipart
upload, which is completed once the SHA-256 is as stated, and aborted if it is not. The upload of a killed run is
carried on: the parts that it holds are read again, for the SHA-256, but not sent again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from tasks.archive import is_a_folder, layout
from tasks.errors import (
    ArchiverError,
    StoredWrong,
    StoreRefused,
    StoreUnavailable,
    TargetUnavailable,
    TargetUnusable,
    UploadVanished,
)
from tasks.restore.target import MOST_STRANGERS, READINGS, FileDamaged, FileUnplaceable, State
from tasks.s3 import (
    ALREADY_EXISTS,
    MIN_PARTS_TO_DETECT,
    Part,
    crc64,
    fill_buffers,
    grow_part_size,
    is_md5_of,
    part_ranges,
)
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from threading import Semaphore

    from tasks.restore.models import BagFile
    from tasks.s3 import Reader, Store, Upload

PART_SIZE = 8 * MIB
PARTS_AT_ONCE = 4
"""Of one file, on their way."""
LOOKS = 3
"""At an upload that another restore of the same file has ended."""
_HINT = "Correct the target, or RESTORE_PROFILE and RESTORE_ENDPOINT_URL, which say whose store it is in"


class BucketTarget:
    """A bucket that bags are restored to.

    Args:
        store: the bucket.
        prefix: within the bucket: with a slash at its end, or empty.
        reader: reads what is there.
        parts: as many parts as may be in memory, over all files.
    """

    def __init__(self, store: Store, prefix: str, reader: Reader, parts: Semaphore) -> None:
        self.keeps_types = True
        self.url = f"s3://{store.bucket}/{prefix}".rstrip("/")
        self._store = store
        self._prefix = prefix
        self._reader = reader
        self._parts = parts

    def base(self, folder: str) -> str:
        """Return the path of a bag's folder here."""
        return folder.rstrip("/")

    def place(self, path: str) -> str:
        """Return where a path is, for people."""
        return f"{self.url}/{path}"

    def hold(self, _base: str) -> AbstractContextManager[None]:
        """Keep nobody off: two restores at once write the same, and an object is replaced as a whole."""
        return nullcontext()

    def clashes(self, _base: str, _paths: Collection[str]) -> set[str]:
        """Return nothing: a bucket tells all keys apart."""
        return set()

    def strangers(self, base: str, paths: Collection[str]) -> list[str]:
        """Return the paths of objects within a bag's payload that are none of the bag's paths."""
        folder, known = f"{self._prefix}{base}/", set(paths)
        with self._errors():
            listed = self._store.list(f"{folder}{layout.PAYLOAD}")
            there = (stored.key.removeprefix(folder) for stored in listed if not is_a_folder(stored))
            return list(islice((path for path in there if path not in known), MOST_STRANGERS))

    def require_room(self, base: str, files: Mapping[str, BagFile]) -> None:
        """Do nothing: a bucket has no end that it tells of."""

    def state(self, path: str, file: BagFile) -> State:
        """Return what is at a key; it is read unless it says of itself that it was verified when it was written."""
        with self._errors():
            stored = self._store.head(self._prefix + path)
            if stored is None:
                return State.ABSENT
            if file.size not in {-1, stored.size}:
                return State.OTHER
            if stored.metadata.get("sha256") == file.sha256:
                return State.RIGHT
            sha256 = self._reader.digests(self._store, stored, ("sha256",))["sha256"]
        return State.RIGHT if sha256 == file.sha256 else State.OTHER

    def write(
        self, _base: str, path: str, file: BagFile, read: Callable[[int], Iterator[bytes]], *, overwrite: bool
    ) -> int:
        """Bring a file to its key, verified, and return how many bytes were fetched; see `Target`."""
        damages = list[str]()
        for look in range(LOOKS):
            try:
                if file.size <= PART_SIZE:
                    sha256 = self._put(path, file, read, overwrite=overwrite)
                else:
                    sha256 = self._upload(path, file, read, adopt=not look, overwrite=overwrite)
            except UploadVanished:  # another restore of the same file has ended it
                if self.state(path, file) is State.RIGHT:
                    return 0
                continue
            if sha256 == file.sha256:
                return file.size
            damages += [sha256] if sha256 else []
            if len(damages) == READINGS:
                raise FileDamaged(f"SHA-256 {sha256}, {file.size:,} bytes")
        raise TargetUnavailable(self.url, f"uploads of {path} do not last")

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        with self._errors():
            self._store.delete([self._prefix + path])

    def settle(self, base: str) -> None:
        """Do nothing: a store keeps what it has accepted."""

    def _put(self, path: str, file: BagFile, read: Callable[[int], Iterator[bytes]], *, overwrite: bool) -> str:
        """Store a small file if its bytes are as stated, and return their SHA-256."""
        content = b"".join(read(0))
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != file.sha256:
            return sha256
        with self._errors():
            metadata = _metadata(file)
            written = self._store.put(
                self._prefix + path, content, file.content_type, metadata, if_absent=not overwrite
            )
        if not written:
            self._require_right(path, file)
        return sha256

    def _upload(
        self, path: str, file: BagFile, read: Callable[[int], Iterator[bytes]], *, adopt: bool, overwrite: bool
    ) -> str:
        """Upload a file, complete the upload if the bytes are as stated, and return their SHA-256.

        Args:
            adopt: carry on an upload that a killed run has left; if it is of no use, it is aborted, and an empty text
                returned.
        """
        key = self._prefix + path
        ranges = part_ranges(file.size, grow_part_size(file.size, PART_SIZE))
        with closing(read(0)) as chunks:  # type: ignore[type-var]  # a generator
            bodies = fill_buffers(chunks, (bytearray(part.size) for part in ranges))
            first = next(bodies)  # no upload is begun for a file that the archive does not give
            with self._errors():
                left = self._left_upload(key) if adopt else None
                upload = left or self._store.begin_upload(key, file.content_type, _metadata(file))
                there = self._store.parts(upload) if left else {}
                self._detect_capabilities(upload, len(ranges) - len(there))
            try:
                parts, sha256 = self._send(upload, chain([first], bodies), there)
            except (StoredWrong, StoreRefused):
                self._abort(upload)
                raise
            except TargetUnusable:
                if left is None:
                    raise
                parts, sha256 = [], ""  # rclone takes no part twice, and another one was there
        if sha256 != file.sha256:
            self._abort(upload)
        elif not self._complete(path, file, upload, parts, overwrite=overwrite):
            self._abort(upload)
            self._require_right(path, file)
        return sha256

    def _complete(self, path: str, file: BagFile, upload: Upload, parts: Sequence[Part], *, overwrite: bool) -> bool:
        """Complete an upload, and tell whether the object was made; without `overwrite`, never in another's place.

        Not all stores look for themselves, so that what came while the parts were sent is looked for right before.
        """
        if not overwrite and self.state(path, file) is not State.ABSENT:
            return False
        with self._errors():
            try:
                made = self._store.complete(upload, parts, if_absent=not overwrite)
            except StoreRefused as refused:
                if overwrite or refused.code not in ALREADY_EXISTS:
                    raise
                return False
            if made.metadata.get("sha256", file.sha256) != file.sha256:  # a run had begun it for another content
                self._store.delete([upload.key])
                raise UploadVanished("completing", self.place(path), "it was begun for another content")
        return True

    def _require_right(self, path: str, file: BagFile) -> None:
        """Check that what lies at a path is the file.

        Raises:
            FileUnplaceable: it is something else.
        """
        if self.state(path, file) is not State.RIGHT:
            raise FileUnplaceable("something else lies there", in_the_way=True)

    def _left_upload(self, key: str) -> Upload | None:
        """Return the newest upload that a killed run has left for a key."""
        left = [upload for upload in self._store.list_uploads_if_supported(key) or () if upload.key == key]
        return max(left, key=lambda upload: (str(upload.begun), upload.id), default=None)

    def _detect_capabilities(self, upload: Upload, missing: int) -> None:
        """Find out once what the store verifies without announcing it, if that many missing parts are worth it.

        It takes an upload that is aborted at once: at a key of its own, as one that a killed run leaves is no file's.
        """
        if not upload.checksummed and missing >= MIN_PARTS_TO_DETECT:
            self._store.detect_capabilities(f"{self._prefix}{layout.UNFINISHED}/is-it-verified")

    def _abort(self, upload: Upload) -> None:
        with suppress(ArchiverError):
            self._store.without_retries().abort(upload)

    def _send(self, upload: Upload, bodies: Iterable[bytearray], there: Mapping[int, Part]) -> tuple[list[Part], str]:
        """Send those parts of a file that are not there, and return all parts and the SHA-256."""
        sha256, sending, parts = hashlib.sha256(), deque[Future[Part]](), list[Part]()
        with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
            for number, body in enumerate(bodies, 1):
                sha256.update(body)
                self._parts.acquire()
                sending.append(threads.submit(self._put_part, upload, number, body, there.get(number)))
                while len(sending) >= PARTS_AT_ONCE:
                    parts.append(sending.popleft().result())
            parts += [future.result() for future in sending]
        return parts, sha256.hexdigest()

    def _put_part(self, upload: Upload, number: int, body: bytearray, there: Part | None) -> Part:
        try:
            if there is not None and _is_part_of(there, body):
                return there
            with self._errors():
                return self._store.put_part(upload, number, body)
        finally:
            self._parts.release()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Translate the errors of this store: they are not the archive's."""
        try:
            yield
        except UploadVanished:
            raise
        except StoreRefused as refused:
            failure: ArchiverError = TargetUnusable(self.url, f"{refused.code}: {refused.message}", f"{_HINT}.")
        except StoreUnavailable as away:
            failure = TargetUnavailable(self.url, away.reason)
        except StoredWrong as wrong:
            failure = TargetUnavailable(self.url, f"{wrong.target}: expected {wrong.expected}, got {wrong.actual}")
        else:
            return
        raise failure


def _metadata(file: BagFile) -> dict[str, str]:
    return {**(file.stored.metadata if file.stored else {}), "sha256": file.sha256}


def _is_part_of(part: Part, body: bytearray) -> bool:
    """Tell whether a part that the store has is this one."""
    if part.size != len(body):
        return False
    if part.crc64 is not None:
        return part.crc64 == crc64(body)
    return is_md5_of(part.etag, body)
