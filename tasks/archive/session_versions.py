"""Versions of a session's bag: reading those that are committed, and joining what was fetched with what they hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from tasks.archive import bag, layout
from tasks.archive.lookup import find_bag
from tasks.documents import recognize_document
from tasks.errors import ArchiveDamaged, ObjectTooLarge, StoredWrong
from tasks.realtimekit import DOCUMENT_KINDS
from tasks.text import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.archive.session_models import SessionContents, SessionDocument
    from tasks.realtimekit import MeetingSession
    from tasks.s3 import Bucket
    from tasks.text import Log

VERSIONS_READ = 4
"""Newest versions that are read: each has all that those before it have, but where runs met."""
NO_PARTICIPANTS = b"null\n"
"""Content of participants.json where they could not be read."""


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

    @classmethod
    def of(cls, document: SessionDocument) -> Piece:
        """Return a document that was fetched."""
        content = document.content
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(document.path, sha256, len(content), document.content_type, document.doubt, content)

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


@dataclass(frozen=True)
class Version:
    """A version of a session's bag that is committed, and whole as far as its tag files and a listing show."""

    number: int
    folder: str  # the key prefix, with a slash at its end
    tags: Mapping[str, bytes] = field(repr=False)  # content by name

    @cached_property
    def checksums(self) -> dict[str, str]:
        """The SHA-256 that the manifest states, by path."""
        return bag.parse_manifest(self.tags[layout.MANIFEST])

    @cached_property
    def documents(self) -> dict[str, str]:
        """The paths of the documents by name; what says that there is none is no document."""
        return {layout.document_name(path): path for path in self.checksums if path != layout.MISSING_FILE}

    def content(self, bucket: Bucket, path: str) -> bytes | None:
        """Return a payload file; None if it is not there, or is not what the manifest states."""
        try:
            content = bucket.get(self.folder + path)
        except ObjectTooLarge:
            return None
        stated = self.checksums.get(path)
        return content if content is not None and hashlib.sha256(content).hexdigest() == stated else None

    def piece(self, bucket: Bucket, name: str) -> Piece | None:
        """Return a document, with what speaks against it; None if there is none, or not as the manifest states."""
        path = self.documents.get(name)
        if path is None or (stored := bucket.head(self.folder + path)) is None:
            return None
        doubt = ""
        if name in DOCUMENT_KINDS:
            content = self.content(bucket, path)
            if content is None:
                return None
            doubt = recognize_document(name, content).doubt
        sha256 = self.checksums[path]
        return Piece(path, sha256, stored.size, stored.content_type, doubt, None, self.folder + path)


@dataclass(frozen=True)
class SessionState:
    """A state of a session: what a version is written of."""

    session: MeetingSession
    pieces: Mapping[str, Piece]  # by path within the bag
    details: bytes = field(repr=False)  # session.json
    participants: bytes = field(repr=False)  # participants.json
    findings: tuple[str, ...]
    recording_ids: tuple[str, ...]

    @property
    def has_participants(self) -> bool:
        """Whether the participants could be read."""
        return self.participants != NO_PARTICIPANTS

    def is_in(self, version: Version, *, with_tags: bool = True) -> bool:
        """Tell whether a version states the same.

        Args:
            version: to be compared with.
            with_tags: compare what the tag files say, too, but for the day.
        """
        if {path: piece.sha256 for path, piece in self.pieces.items()} != version.checksums:
            return False
        info = version.tags[layout.INFO]
        return not with_tags or (
            version.tags[layout.SESSION_DETAILS] == self.details
            and version.tags[layout.PARTICIPANTS] == self.participants
            and bag.stated_findings(info) == self.findings
            and bag.stated_recordings(info) == self.recording_ids
        )

    def tag_files(self) -> dict[str, bytes]:
        """Return the content of the tag files in the order they are written: the marker last."""
        sizes = [piece.size for piece in self.pieces.values()]
        today = datetime.now(UTC).date()
        return bag.seal(
            {
                layout.SESSION_DETAILS: self.details,
                layout.PARTICIPANTS: self.participants,
                layout.INFO: bag.session_info(self.session, self.recording_ids, sizes, today, self.findings),
                layout.MANIFEST: bag.manifest({path: piece.sha256 for path, piece in self.pieces.items()}),
            }
        )


def read_versions(bucket: Bucket, folder: str, numbers: Sequence[int], log: Log) -> list[Version]:
    """Return the newest versions that are whole, newest first.

    Args:
        bucket: where they are.
        folder: the session's, with a slash at its end.
        numbers: of the versions that are committed, newest first.
        log: told of versions that are damaged: they are passed over.
    """
    return list(islice(_whole_versions(bucket, folder, numbers, log), VERSIONS_READ))


def _whole_versions(bucket: Bucket, folder: str, numbers: Sequence[int], log: Log) -> Iterator[Version]:
    for number in numbers:
        of_version = layout.version_folder(folder, number)
        try:
            whole = find_bag(bucket, of_version, f"s3://{bucket.bucket}/{of_version}")
        except ArchiveDamaged as damaged:
            log.warning("%s It is passed over.", damaged)
            continue
        if whole is not None:
            yield Version(number, of_version, whole.tags)


def merge(contents: SessionContents, versions: Sequence[Version], bucket: Bucket, *, is_written: bool) -> SessionState:
    """Return the state that the newest version should be in.

    A document that is what it should be comes before one in doubt, and what was fetched comes before what an earlier
    version holds. Once this run has written its version, a newer one of another run comes first, and is added to only:
    else two runs that fetched different states would replace each other's without end.

    Args:
        contents: what this run has fetched.
        versions: whole ones, newest first.
        bucket: where they are.
        is_written: this run has written its version.
    """
    fetched = {layout.document_name(document.path): Piece.of(document) for document in contents.documents}
    names = dict.fromkeys([*fetched, *(name for version in versions for name in version.documents)])
    pieces: dict[str, Piece] = {}
    for name in names:
        if (piece := _choose(name, fetched.get(name), versions, bucket, is_written=is_written)) is not None:
            pieces[name] = piece
    participants = _participants(contents, versions)
    findings = _findings(contents, fetched, pieces, has_participants=participants != NO_PARTICIPANTS)
    if not pieces:
        pieces = {layout.MISSING_FILE: _missing_file(findings)}
    known = {one for version in versions for one in bag.stated_recordings(version.tags[layout.INFO])}
    return SessionState(
        contents.session,
        {piece.path: piece for piece in pieces.values()},
        bag.json_tag(redacted(contents.session.details)),
        participants,
        findings,
        tuple(sorted(known | {recording.id for recording in contents.recordings})),
    )


def _choose(
    name: str, fetched: Piece | None, versions: Sequence[Version], bucket: Bucket, *, is_written: bool
) -> Piece | None:
    """Return the first piece in the order of `merge` that nothing speaks against, or else the first one."""
    if fetched is not None and not fetched.doubt and not is_written:
        return fetched
    held = (piece for version in versions if (piece := version.piece(bucket, name)) is not None)
    first = next(held, None) if is_written else None
    candidates = [piece for piece in (first, fetched) if piece is not None]
    if sure := next((piece for piece in candidates if not piece.doubt), None):
        return sure
    for piece in held:
        if not piece.doubt:
            return piece
        candidates.append(piece)
    return candidates[0] if candidates else None


def _participants(contents: SessionContents, versions: Sequence[Version]) -> bytes:
    """Return participants.json: as fetched, or as the newest version has it that has any."""
    if contents.participants is not None:
        entries = [redacted(participant) for participant in contents.participants]
        return bag.json_tag(entries)
    held = (version.tags[layout.PARTICIPANTS] for version in versions)
    return next((content for content in held if content != NO_PARTICIPANTS), NO_PARTICIPANTS)


def _findings(
    contents: SessionContents, fetched: Mapping[str, Piece], pieces: Mapping[str, Piece], *, has_participants: bool
) -> tuple[str, ...]:
    """Return what a person has to know, in sentences that stay the same as long as nothing changes."""
    missing = {piece.name: piece for piece in contents.missing}
    findings: list[str] = []
    for kind in DOCUMENT_KINDS:
        if kind not in pieces:
            is_final = kind in missing and not missing[kind].may_come
            findings.append(f"The {kind} {missing[kind].reason}." if is_final else f"The {kind} is not here yet.")
        elif pieces[kind].doubt:
            findings.append(f"The {kind} {pieces[kind].doubt}.")
        elif kind in fetched and fetched[kind].doubt:
            findings.append(f"The {kind} that came last {fetched[kind].doubt}; the one before is kept.")
    uploads = [name for name in missing if name.startswith(layout.UPLOADS) and name not in pieces]
    if uploads:
        findings.append(f"{len(uploads)} of the files that the chat links to could not be fetched.")
    if not has_participants:
        findings.append("The participants could not be read.")
    return tuple(findings)


def _missing_file(findings: Sequence[str]) -> Piece:
    """Return the payload of a bag that would have none: a bag without payload has no `data/` on a disk."""
    content = "".join(f"{finding}\n" for finding in findings).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    return Piece(layout.MISSING_FILE, sha256, len(content), "text/plain; charset=utf-8", "", content)
