"""The payload files of a session's bag: documents and uploads, fetched just now or held by an earlier version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.documents import count_removed, linked_uploads, recognize_upload
from tasks.errors import StoredWrong
from tasks.realtimekit import DOCUMENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.archive.session_models import SessionDocument
    from tasks.s3 import Bucket


@dataclass(frozen=True)
class Piece:
    """A payload file of a version that is to be written: as it was fetched, or as an earlier version holds it."""

    path: str  # within the bag
    sha256: str
    size: int  # bytes
    content_type: str
    doubt: str = ""  # see `SessionDocument`
    fetched: bytes | None = field(default=None, repr=False)
    key: str = ""  # of the object that holds it, where it was not fetched
    removed: int = 0  # places in which a signature was removed from it
    links: tuple[str, ...] = ()  # to uploads, if it is a chat

    @classmethod
    def of(cls, document: SessionDocument) -> Piece:
        """Return a document that was fetched."""
        content = document.content
        sha256 = hashlib.sha256(content).hexdigest()
        removed, links = read_links(layout.document_name(document.path), content)
        return cls(document.path, sha256, len(content), document.content_type, document.doubt, content, "",
                   removed, links)  # fmt: skip

    def read(self, bucket: Bucket) -> bytes:
        """Return the content.

        Raises:
            StoredWrong: the earlier version no longer holds it.
        """
        if self.fetched is not None:
            return self.fetched
        content = bucket.get(self.key)
        if content is None or hashlib.sha256(content).hexdigest() != self.sha256:
            raise StoredWrong(self.key, f"SHA-256 {self.sha256}", "others" if content is not None else "nothing")
        return content


def upload_path_of(url: str) -> str:
    """Return the path within the bag of the file that a link of a chat leads to."""
    return layout.upload_path(url, recognize_upload(url, "").extension)


def paths_of_uploads(pieces: Mapping[str, Piece]) -> dict[str, str]:
    """Return where in the bag the files are that the chat links to, by the link as the archived chat has it."""
    links = [link for piece in pieces.values() for link in piece.links]
    paths = {link: upload_path_of(link) for link in links}
    return {link: path for link, path in paths.items() if path in pieces}


def read_links(name: str, content: bytes) -> tuple[int, tuple[str, ...]]:
    """Return in how many places a document has lost a signature, and its links to uploads."""
    if name not in DOCUMENT_KINDS:
        return 0, ()
    return count_removed(content), tuple(linked_uploads(content)) if name == "chat" else ()
