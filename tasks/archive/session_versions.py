"""Versions of a session's bag: reading those that are committed, and joining what was fetched with what they hold."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from tasks.archive import bag, layout
from tasks.archive.lookup import find_bag
from tasks.archive.session_pieces import Piece, paths_of_uploads, read_links
from tasks.documents import recognize_document
from tasks.errors import ArchiveDamaged, ObjectTooLarge
from tasks.realtimekit import DOCUMENT_KINDS, without_peer_events
from tasks.text import redact_details

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.archive.session_models import SessionContents
    from tasks.realtimekit import MeetingSession
    from tasks.s3 import Bucket
    from tasks.text import Log

VERSIONS_READ = 4
"""Newest versions that are read: each has all that those before it have, but where runs met."""
ABOUT = "archive"
"""Field of session.json that is not the API's: the session's recordings, and where in the bag its uploads are."""
UPLOADS_MISSING = " of the files that the chat links to could not be fetched."
"""The end of a finding that begins with their number."""
FOR_GOOD = " the 7 days that RealtimeKit keeps it."
"""The end of a finding about a document that cannot come any more: what was stated first stays."""
NO_PARTICIPANTS = b"null\n"
"""Content of participants.json where they could not be read."""


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

    @property
    def findings(self) -> tuple[str, ...]:
        """What a person has to know, in sentences."""
        return bag.stated_findings(self.tags[layout.INFO])

    def describes(self, session: MeetingSession, recording_id: str) -> bool:
        """Tell whether the version states a session's details as they are now, and names a recording of it."""
        stated = json.loads(self.tags[layout.SESSION_DETAILS])
        if not isinstance(stated, dict):
            return False
        before, now = (
            bag.json_tag({name: value for name, value in details.items() if name != ABOUT})
            for details in (stated, redact_details(session.details))
        )
        return before == now and recording_id in bag.stated_recordings(self.tags[layout.INFO])

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
        doubt, removed, links = "", 0, tuple[str, ...]()
        if name in DOCUMENT_KINDS:
            content = self.content(bucket, path)
            if content is None:
                return None
            doubt = recognize_document(name, content).doubt
            removed, links = read_links(name, content)
        sha256, key = self.checksums[path], self.folder + path
        return Piece(path, sha256, stored.size, stored.content_type, doubt, None, key, removed, links)


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
    def redactions(self) -> tuple[str, ...]:
        """What is not as it came, in sentences."""
        removed = {path: piece.removed for path, piece in sorted(self.pieces.items()) if piece.removed}
        return tuple(f"Signatures of links were removed from {path}, in {n} places." for path, n in removed.items())

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
                layout.INFO: bag.session_info(
                    self.session, self.recording_ids, sizes, today, self.findings, self.redactions
                ),
                layout.MANIFEST: bag.manifest({path: piece.sha256 for path, piece in self.pieces.items()}),
            }
        )


def read_versions(
    bucket: Bucket, folder: str, numbers: Sequence[int], log: Log, most: int = VERSIONS_READ
) -> list[Version]:
    """Return the newest versions that are whole, newest first.

    Args:
        bucket: where they are.
        folder: the session's, with a slash at its end.
        numbers: of the versions that are committed, newest first.
        log: told of versions that are damaged: they are passed over.
        most: how many are wanted.
    """
    return list(islice(_whole_versions(bucket, folder, numbers, log), most))


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
    stated = [finding for version in versions for finding in version.findings if finding.endswith(FOR_GOOD)]
    findings = _findings(contents, fetched, pieces, stated, has_participants=participants != NO_PARTICIPANTS)
    if not pieces:
        pieces = {layout.MISSING_FILE: _missing_file(findings)}
    known = {recording_id for version in versions for recording_id in bag.stated_recordings(version.tags[layout.INFO])}
    recording_ids = tuple(sorted(known | {recording.id for recording in contents.recordings}))
    by_path = {piece.path: piece for piece in pieces.values()}
    about = {"recordings": recording_ids, "uploads": paths_of_uploads(by_path)}
    details = bag.json_tag({**redact_details(contents.session.details), ABOUT: about})
    return SessionState(contents.session, by_path, details, participants, findings, recording_ids)


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
    """Return participants.json: as fetched, or as the newest version has it that has any.

    A version that has the same participants with their events counts as the same: a run that did not ask for events
    takes none away.
    """
    held = (version.tags[layout.PARTICIPANTS] for version in versions)
    newest = next((content for content in held if content != NO_PARTICIPANTS), NO_PARTICIPANTS)
    if contents.participants is None:
        return newest
    fetched = bag.json_tag([redact_details(participant) for participant in contents.participants])
    return newest if fetched == _without_events(newest) else fetched


def _without_events(participants: bytes) -> bytes:
    entries = json.loads(participants)
    known = entries if isinstance(entries, list) else []
    return bag.json_tag([without_peer_events(entry) for entry in known if isinstance(entry, dict)])


def _findings(
    contents: SessionContents,
    fetched: Mapping[str, Piece],
    pieces: Mapping[str, Piece],
    stated: Sequence[str],
    *,
    has_participants: bool,
) -> tuple[str, ...]:
    """Return what a person has to know, in sentences that stay the same as long as nothing changes."""
    missing = {piece.name: piece for piece in contents.missing}
    findings: list[str] = []
    for kind in DOCUMENT_KINDS:
        if kind not in pieces:
            is_final = kind in missing and not missing[kind].may_come
            before = [finding for finding in stated if finding.startswith(f"The {kind} ")]
            now = f"The {kind} {missing[kind].reason}." if is_final else f"The {kind} is not here yet."
            findings.append(before[0] if before and is_final else now)
        elif pieces[kind].doubt:
            findings.append(f"The {kind} {pieces[kind].doubt}.")
        elif kind in fetched and fetched[kind].doubt:
            findings.append(f"The {kind} that came last {fetched[kind].doubt}; the one before is kept.")
    uploads = [name for name in missing if name.startswith(layout.UPLOADS) and name not in pieces]
    if uploads:
        findings.append(f"{len(uploads)}{UPLOADS_MISSING}")
    if not has_participants:
        findings.append("The participants could not be read.")
    return tuple(findings)


def _missing_file(findings: Sequence[str]) -> Piece:
    """Return the payload of a bag that would have none: a bag without payload has no `data/` on a disk."""
    content = "".join(f"{finding}\n" for finding in findings).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    return Piece(layout.MISSING_FILE, sha256, len(content), "text/plain; charset=utf-8", "", content)
