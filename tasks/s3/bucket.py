"""A bucket: puts, describes, lists, reads and deletes objects, and continues reads after failures.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ and the stores that were tried: Amazon's documentation,
R2, Ceph, OpenStack Swift and rclone differ in checksums, in `If-None-Match`, and in what they call an ETag.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.errors import ObjectTooLarge, StoredWrong, StoreRefused, StoreUnavailable
from tasks.s3.checksums import Body, bare_etag, decode_crc64, encode_md5
from tasks.s3.error_codes import (
    ALREADY_EXISTS,
    ALREADY_THAWING,
    ANOTHER_OBJECT,
    BODY_FAILURES,
    NOT_FOUND,
    NOT_SUPPORTED,
    WITHOUT_REASON,
    describe_error,
)
from tasks.s3.object_locks import ObjectLocks
from tasks.s3.retention import UNLOCKED, parse_retention
from tasks.s3.storage_class import NO_CLASS, parse_storage_class
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tasks.s3.retention import Retention
    from tasks.s3.storage_class import StorageClass, ThawTier

READ_CHUNK = 256 * 1024
"""Bytes that are read from an answer at once: 1 GiB in chunks of 1 MiB takes 2.5 s of the system's processor time, and
0.6 s in these, which a processor's cache holds."""
LARGEST_READ = 64 * MIB
"""Bytes of the largest object that is read into memory: a manifest of half a million files, or twice the API's largest
answer."""
_NEXT_PAGE = {"ContinuationToken": "NextContinuationToken"}


@dataclass(frozen=True)
class StoredObject:
    """An object as the store describes it; a listing has neither content type nor metadata."""

    key: str
    size: int
    etag: str
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc64: int | None = None
    storage_class: StorageClass = NO_CLASS  # from `head` only
    retention: Retention = UNLOCKED  # from `head` only
    modified: datetime | None = None  # from listings only


class Bucket(ObjectLocks):
    """The objects of one bucket; each call is retried while patience lasts."""

    @property
    def reports_checksums(self) -> bool:
        """Whether the store may be asked for the checksum of an object."""
        return self._capabilities.takes_checksum_mode

    def put(
        self,
        key: str,
        body: Body,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
        media: bool = False,
        retention: Retention = UNLOCKED,
    ) -> bool:
        """Store an object with its MD5 in one request, and tell whether the object was written.

        Args:
            if_absent: keep an object that exists, and return False, on stores that support `If-None-Match`.
            media: a file of a recording, which goes into the storage class of the options.
            retention: lock the object as it appears.
        """
        sent = {"Body": body, "ContentType": content_type, "Metadata": metadata or {}, "ContentMD5": encode_md5(body)}
        sent |= (self.options.request_for_media if media else self.options.request) | retention.request
        conditional = if_absent and self._capabilities.takes_if_none_match
        try:
            self._ask("put_object", key, **sent, **({"IfNoneMatch": "*"} if conditional else {}))
        except StoreRefused as refused:
            if conditional and refused.code in ALREADY_EXISTS:
                return False
            if not conditional or refused.code not in NOT_SUPPORTED:
                raise
            self._ask("put_object", key, **sent)
            self._capabilities.takes_if_none_match = False
        return True

    def head(self, key: str) -> StoredObject | None:
        """Return the store's description of an object, or None if there is no object at the key."""
        try:
            answer = self._head_with_reason(key)
        except StoreRefused as refused:
            if refused.code in NOT_FOUND:
                return None
            raise
        # rclone returns the names of metadata with a capital letter.
        metadata = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        whole = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        crc64 = decode_crc64(answer.get("ChecksumCRC64NVME")) if whole else None
        content_type = answer.get("ContentType", "")
        size, etag, storage_class = answer["ContentLength"], answer["ETag"], parse_storage_class(answer)
        return StoredObject(key, size, etag, content_type, metadata, crc64, storage_class, parse_retention(answer))

    def _head_with_reason(self, key: str) -> dict[str, Any]:
        """Return an object's description; after a refusal of HEAD, which has no reason, a GET finds the reason."""
        try:
            return self._head_with_checksum(key)
        except StoreRefused as refused:
            if refused.code not in WITHOUT_REASON:
                raise
        self._call("get_object", key, {}, progress=False)["Body"].close()
        return self._head_with_checksum(key)

    def _head_with_checksum(self, key: str) -> dict[str, Any]:
        """Return an object's description, with the checksum unless the store refuses the header that asks for it."""
        capabilities = self._capabilities
        if capabilities.takes_checksum_mode:
            try:
                return self._ask("head_object", key, ChecksumMode="ENABLED")
            except StoreRefused as refused:
                if refused.code not in NOT_SUPPORTED | {"400"}:
                    raise
        try:
            answer = self._ask("head_object", key)
        except StoreRefused as refused:
            capabilities.takes_checksum_mode &= refused.code not in NOT_FOUND
            raise
        capabilities.takes_checksum_mode = False
        return answer

    def get(self, key: str, most: int = LARGEST_READ) -> bytes | None:
        """Return a small object's content, or None if there is none.

        Args:
            most: bytes that are read; another program may have written a larger object.

        Raises:
            ObjectTooLarge: the object has more bytes.
        """
        failures = 0
        while True:
            try:
                with closing(self._call("get_object", key, {}, progress=False)["Body"]) as answer:
                    body = bytearray()
                    # Up to the end of the body: only that proves that the answer did not end early.
                    while len(body) <= most and (chunk := answer.read(READ_CHUNK)):
                        body += chunk
            except StoreRefused as refused:
                if refused.code in NOT_FOUND:
                    return None
                raise
            except BODY_FAILURES as error:
                failures += 1
                self._pause(StoreUnavailable("get_object", self._at(key), describe_error(error)), failures)
            else:
                self._patience.progressed()
                if len(body) > most:
                    raise ObjectTooLarge(self._at(key), most)
                return bytes(body)

    def read(self, stored: StoredObject, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield an object's bytes in order; after a broken connection, continue at the next byte.

        Args:
            stored: from `head`; the ETag makes sure that all bytes are of that object.
            start: offset of the first byte.
            stop: offset after the last byte; None for the object's end.

        Raises:
            StoredWrong: another object is at the key now, or the store cannot assemble the object.
        """
        offset, failures = start, 0
        stop = stored.size if stop is None else stop
        while offset < stop:
            failure = "the answer ended early"
            try:
                with closing(self._body(stored, offset, stop)) as body:
                    for chunk in body.iter_chunks(READ_CHUNK):
                        self._patience.check()
                        offset, failures = offset + len(chunk), 0
                        self._patience.progressed()
                        yield chunk
            except BODY_FAILURES as error:
                failure = describe_error(error)
            if offset < stop:
                failures += 1
                self._pause(StoreUnavailable("get_object", self._at(stored.key), failure), failures)

    def _body(self, stored: StoredObject, offset: int, stop: int) -> Any:
        """Return boto3's body of the bytes from `offset` to `stop`, after a check that the answer is this range."""
        wanted = {"IfMatch": stored.etag, "Range": f"bytes={offset}-{stop - 1}"}
        try:
            answer = self._call("get_object", stored.key, wanted, progress=False)
        except StoreRefused as refused:
            if refused.code not in ANOTHER_OBJECT:
                raise
            answer = {"ETag": f"{refused.code}: {refused.message}"}
        # rclone ignores If-Match, and answers a range with another status than 206.
        actual = bare_etag(answer.get("ETag", stored.etag)), answer.get("ContentLength")
        begins = offset == 0 or str(answer.get("ContentRange", "")).startswith(f"bytes {offset}-")
        if actual != (bare_etag(stored.etag), stop - offset) or not begins:
            if "Body" in answer:
                answer["Body"].close()
            expected = f"{stop - offset} bytes from {offset} on, ETag {bare_etag(stored.etag)}"
            raise StoredWrong(self._at(stored.key), expected, f"{actual[1] or 'no'} bytes, ETag {actual[0]}")
        return answer["Body"]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects below a prefix, in the order of their keys."""
        for page in self._pages("list_objects_v2", None, _NEXT_PAGE, Prefix=prefix):
            yield from map(_parse_listed_object, page.get("Contents", ()))

    def level(self, prefix: str) -> tuple[Sequence[str], Sequence[StoredObject]]:
        """List one level below a prefix: the prefixes of the folders, and the objects that are in no folder.

        Args:
            prefix: with a slash at its end, or empty.
        """
        pages = tuple(self._pages("list_objects_v2", None, _NEXT_PAGE, Prefix=prefix, Delimiter="/"))
        folders = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        objects = [_parse_listed_object(item) for page in pages for item in page.get("Contents", ())]
        return folders, objects

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for key in keys:
            self._ask("delete_object", key)

    def thaw(self, stored: StoredObject, days: int, tier: ThawTier) -> bool:
        """Ask for a readable copy of an object in an archived storage class; tell whether it is asked for now.

        Args:
            stored: from `head`.
            days: for which the copy stays; an object in a tier of INTELLIGENT_TIERING stays readable, and takes none.
            tier: how fast the copy is made.

        Raises:
            StoreRefused: the store does not do that, or the object is in no such class (`ARCHIVED_CLASS`).
        """
        lifetime = {} if stored.storage_class.is_tier else {"Days": days}
        asked = {**lifetime, "GlacierJobParameters": {"Tier": tier.capitalize()}}
        try:
            self._ask("restore_object", stored.key, RestoreRequest=asked)
        except StoreRefused as refused:
            if refused.code != ALREADY_THAWING:
                raise
            return False
        return True

    def verify(self, key: str, size: int, crc64: int | None) -> StoredObject:
        """Compare an object's size with what was sent, and the checksum if the store has one.

        Raises:
            StoredWrong: they differ.
        """
        stored = self.head(key)
        if stored is None or stored.size != size:
            raise StoredWrong(self._at(key), f"{size} bytes", f"{stored.size} bytes" if stored else "nothing")
        if crc64 is not None and stored.crc64 is not None and crc64 != stored.crc64:
            raise StoredWrong(self._at(key), f"CRC64NVME {crc64:016x}", f"{stored.crc64:016x}")
        return stored


def _parse_listed_object(item: Mapping[str, Any]) -> StoredObject:
    return StoredObject(item["Key"], item["Size"], item["ETag"], modified=item.get("LastModified"))
