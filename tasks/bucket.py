"""Knows a bucket: calls that survive hiccups for as long as patience lasts, and objects stored and read whole.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ and the stores that were tried: Amazon's contract,
R2, Ceph, OpenStack Swift and rclone differ in checksums, in `If-None-Match`, and in what they call an ETag.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tasks.backoff import Patience
from tasks.checksums import Body, bare, crc64_number, md5_text
from tasks.errors import ObjectTooLarge, StoredWrong, StoreRefused, StoreUnavailable, UploadVanished
from tasks.pace import Pace
from tasks.s3_errors import (
    ANOTHER_OBJECT,
    BODY_FAILURES,
    CALL_FAILURES,
    NOT_SUPPORTED,
    NOT_THERE,
    THERE_ALREADY,
    asks_for_less,
    is_foreign,
    is_unsure,
    plain,
    translated,
)
from tasks.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from botocore.client import BaseClient

FIRST_CONTACT_S = 15.0
"""Patience until the store has answered once: a wrong endpoint should not take minutes to be told."""
READ_CHUNK = 1024 * 1024
LARGEST_READ = 64 * MIB
"""Bytes of an object that is read at once: a manifest of half a million files, twice the API's largest answer."""
DIGEST_ATTEMPTS = 4
MOST_BODIES = 64
"""Under way at once, until the store asks for less."""
_NEXT_PAGE = {"ContinuationToken": "NextContinuationToken"}


@dataclass(frozen=True)
class StoredObject:
    """An object as the store describes it; a listing knows neither content type nor metadata."""

    key: str
    size: int
    etag: str
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc64: int | None = None
    modified: datetime | None = None  # as listings say


class Bucket:
    """The objects of one bucket; every call survives hiccups for as long as patience lasts.

    Args:
        client: see `tasks.store.new_s3_client`.
        bucket: its name.
        patience_s: seconds for which failures may go on without any success.
        stop: set to end all waiting at once.
        pace: shared by all who talk to the store; None where nobody else does.
    """

    def __init__(
        self, client: BaseClient, bucket: str, patience_s: float, stop: Event | None = None, pace: Pace | None = None
    ) -> None:
        self._s3 = client
        self._pace = pace or Pace(MOST_BODIES)
        self.bucket = bucket
        self._stop = stop or Event()
        self._patience = Patience(min(patience_s, FIRST_CONTACT_S), self._stop)
        self._patience_s = patience_s
        self._met = False

    def put(
        self,
        key: str,
        body: Body,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
    ) -> bool:
        """Store an object in one go, its MD5 with it, and tell whether it was written.

        Args:
            if_absent: leave an object that is there alone, and return False, on stores that can tell.
        """
        sent = {"Body": body, "ContentType": content_type, "Metadata": metadata or {}, "ContentMD5": md5_text(body)}
        try:
            self._ask("put_object", key, **sent, **({"IfNoneMatch": "*"} if if_absent else {}))
        except StoreRefused as refused:
            if if_absent and refused.code in THERE_ALREADY:
                return False
            if not if_absent or refused.code not in NOT_SUPPORTED:
                raise
            self._ask("put_object", key, **sent)
        return True

    def head(self, key: str) -> StoredObject | None:
        """Return what the store says of an object, or None if there is none."""
        try:
            said = self._ask("head_object", key, ChecksumMode="ENABLED")
        except StoreRefused as refused:
            if refused.code in NOT_THERE:
                return None
            raise
        # rclone gives the names of metadata back with a capital letter.
        metadata = {name.lower(): value for name, value in said.get("Metadata", {}).items()}
        whole = said.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        crc64 = crc64_number(said.get("ChecksumCRC64NVME")) if whole else None
        return StoredObject(key, said["ContentLength"], said["ETag"], said.get("ContentType", ""), metadata, crc64)

    def get(self, key: str, most: int = LARGEST_READ) -> bytes | None:
        """Return a small object's content, or None if there is none.

        Args:
            most: bytes that are read; others may have written it.

        Raises:
            ObjectTooLarge: it has more.
        """
        failures = 0
        while True:
            try:
                with closing(self._call("get_object", key, {}, progress=False)["Body"]) as answer:
                    body = bytearray()
                    # Up to its end, which alone proves that the answer did not end early.
                    while len(body) <= most and (chunk := answer.read(READ_CHUNK)):
                        body += chunk
            except StoreRefused as refused:
                if refused.code in NOT_THERE:
                    return None
                raise
            except BODY_FAILURES as error:
                failures += 1
                self._patience.pause(StoreUnavailable("get_object", self._at(key), plain(error)), failures)
            else:
                self._patience.progressed()
                if len(body) > most:
                    raise ObjectTooLarge(self._at(key), most)
                return bytes(body)

    def read(self, stored: StoredObject, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield an object's bytes in order, carried on where a connection drops.

        Args:
            stored: from `head`; its ETag makes sure that all bytes are of that object.
            start: offset of the first byte that is wanted.
            stop: offset behind the last one; None for the object's end.

        Raises:
            StoredWrong: it is another object now, or one that the store cannot put together.
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
                failure = plain(error)
            if offset < stop:
                failures += 1
                self._patience.pause(StoreUnavailable("get_object", self._at(stored.key), failure), failures)

    def _body(self, stored: StoredObject, offset: int, stop: int) -> Any:
        """Return boto3's body of the bytes from `offset` to `stop`, provided that these are what the store answers."""
        wanted = {"IfMatch": stored.etag, "Range": f"bytes={offset}-{stop - 1}"}
        try:
            said = self._call("get_object", stored.key, wanted, progress=False)
        except StoreRefused as refused:
            if refused.code not in ANOTHER_OBJECT:
                raise
            said = {"ETag": f"{refused.code}: {refused.message}"}
        # rclone neither heeds If-Match nor calls a range 206.
        found = bare(said.get("ETag", stored.etag)), said.get("ContentLength")
        begins = offset == 0 or str(said.get("ContentRange", "")).startswith(f"bytes {offset}-")
        if found != (bare(stored.etag), stop - offset) or not begins:
            if "Body" in said:
                said["Body"].close()
            expected = f"{stop - offset} bytes from {offset} on, ETag {bare(stored.etag)}"
            raise StoredWrong(self._at(stored.key), expected, f"{found[1] or 'no'} bytes, ETag {found[0]}")
        return said["Body"]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects below a prefix, in the order of their keys."""
        for page in self._pages("list_objects_v2", None, _NEXT_PAGE, Prefix=prefix):
            yield from map(_listed, page.get("Contents", ()))

    def level(self, prefix: str) -> tuple[Sequence[str], Sequence[StoredObject]]:
        """List one level below a prefix: the prefixes of its folders, and the objects in none of them.

        Args:
            prefix: with a slash at its end, or empty.
        """
        pages = tuple(self._pages("list_objects_v2", None, _NEXT_PAGE, Prefix=prefix, Delimiter="/"))
        folders = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        objects = [_listed(item) for page in pages for item in page.get("Contents", ())]
        return folders, objects

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for key in keys:
            self._ask("delete_object", key)

    def verify(self, key: str, size: int, crc64: int | None) -> StoredObject:
        """Compare an object with what was sent: its size, and its checksum where the store knows one.

        Raises:
            StoredWrong: they differ.
        """
        found = self.head(key)
        if found is None or found.size != size:
            raise StoredWrong(self._at(key), f"{size} bytes", f"{found.size} bytes" if found else "nothing")
        if crc64 is not None and found.crc64 is not None and crc64 != found.crc64:
            raise StoredWrong(self._at(key), f"CRC64NVME {crc64:016x}", f"{found.crc64:016x}")
        return found

    def _at(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}".rstrip("/")

    def _pages(
        self, method: str, key: str | None, places: Mapping[str, str], **request: object
    ) -> Iterator[dict[str, Any]]:
        """Yield a listing's pages.

        Args:
            places: what a request calls the place to go on from, and what a page calls that of the next one.

        Raises:
            StoreUnavailable: the store says that there is more, but not from where on.
        """
        after: dict[str, Any] = {}
        while True:
            page = self._ask(method, key, **request, **after)
            yield page
            if not page.get("IsTruncated"):
                return
            before, after = after, {name: page[said] for name, said in places.items() if page.get(said)}
            if after in ({}, before):
                raise StoreUnavailable(method, self._at(key or ""), "the listing goes on, but never further")

    def _ask(self, method: str, key: str | None, **request: object) -> dict[str, Any]:
        return self._call(method, key, request, progress=True)

    def _call(self, method: str, key: str | None, request: Mapping[str, object], *, progress: bool) -> dict[str, Any]:
        """Call boto3 until it succeeds, fails for good, or patience ends.

        Args:
            progress: whether success refills patience; where there is a body to read, only its bytes do.
        """
        named = {"Key": key} if key is not None else {}
        failures = bad_digests = 0
        while True:
            self._patience.check()
            try:
                answer = self._sent(method, {"Bucket": self.bucket, **named, **request})
            except CALL_FAILURES as error:
                failure = translated(error, method, self._at(key or ""))
            else:
                if not is_foreign(method, answer):
                    self._succeeded(progress=progress)
                    return answer
                if "Body" in answer:
                    answer["Body"].close()
                failure = StoreUnavailable(method, self._at(key or ""), "the answer is not that of an S3 store")
            failures += 1
            bad_digests += isinstance(failure, StoredWrong)
            again = failure.retryable or (is_unsure(failure) and failures == 1)
            if not again or isinstance(failure, UploadVanished) or bad_digests >= DIGEST_ATTEMPTS:
                raise failure
            self._patience.pause(failure, failures)

    def _sent(self, method: str, request: Mapping[str, object]) -> dict[str, Any]:
        call: Callable[..., dict[str, Any]] = getattr(self._s3, method)
        if "Body" not in request:
            return call(**request)
        with self._pace.turn() as turn:
            try:
                answer = call(**request)
            except ClientError as error:
                if asks_for_less(error):
                    turn.refused()
                raise
            turn.taken()
            return answer

    def _succeeded(self, *, progress: bool) -> None:
        if not self._met:
            self._met = True
            self._patience = Patience(self._patience_s, self._stop)
        if progress:
            self._patience.progressed()


def _listed(item: Mapping[str, Any]) -> StoredObject:
    return StoredObject(item["Key"], item["Size"], item["ETag"], modified=item.get("LastModified"))
