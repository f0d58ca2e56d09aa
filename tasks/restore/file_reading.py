"""The reading of an archived file from any offset on, which counts the bytes for people."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.archive import tag_type
from tasks.errors import StoredWrong
from tasks.s3 import bare_etag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.restore.context import RestoreContext
    from tasks.restore.models import BagFile
    from tasks.s3 import Bucket


def describe(bucket: Bucket, file: BagFile) -> BagFile:
    """Return a file with the type and the metadata of its object.

    Args:
        bucket: the archive's.
        file: as listed.

    Raises:
        StoredWrong: the object is another than was listed.
    """
    if file.content_type:
        return file
    if file.content is not None or file.stored is None:
        return replace(file, content_type=tag_type(file.path))
    head = bucket.head(file.stored.key)
    if head is None or head.size != file.size:
        raise StoredWrong(file.stored.key, f"{file.size} bytes", f"{head.size} bytes" if head else "nothing")
    return replace(file, stored=head, content_type=head.content_type)


class FileReading:
    """Reads a file, again if that is wanted: the bytes of a later reading count in the place of those before.

    Args:
        context: of the run.
        bucket: the archive's.
        file: what is read.
    """

    def __init__(self, context: RestoreContext, bucket: Bucket, file: BagFile) -> None:
        self._reader = context.reader
        self._progress = context.progress
        self._bucket = bucket
        self._file = file
        self._counted = -1  # bytes of the file that people are told of; -1 before the first reading

    def __call__(self, start: int) -> Iterator[bytes]:
        """Yield the bytes from an offset on.

        Raises:
            StoredWrong: the object is another than was listed.
        """
        progress, file = self._progress, self._file
        if file.content is not None:  # a small file, and nothing to wait for
            yield file.content[start:]
            return
        if self._counted < 0:
            progress.begin(file.path, file.size, start)
        else:
            progress.advance(file.path, start - self._counted)
        self._counted = start
        with closing(self._chunks(start)) as chunks:  # type: ignore[type-var]  # a generator
            for chunk in chunks:
                progress.advance(file.path, len(chunk))
                self._counted += len(chunk)
                yield chunk

    def _chunks(self, start: int) -> Iterator[bytes]:
        """Yield the bytes; some stores list another ETag than they answer with."""
        stored, reached = self._file.stored, start
        if stored is None:
            return
        try:
            for chunk in self._reader.chunks(self._bucket, stored, start):
                reached += len(chunk)
                yield chunk
        except StoredWrong:
            head = self._bucket.head(stored.key)
            if head is None or head.size != stored.size or bare_etag(head.etag) == bare_etag(stored.etag):
                raise
            yield from self._reader.chunks(self._bucket, head, reached)
