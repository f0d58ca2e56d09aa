"""A bag becomes a row of the catalog: from its tag files, its listing and its description; no payload byte is read.

All of these may have been written by anybody, and what a row holds is shown and handed on: texts are made short, plain
and free of secrets.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from tasks.archive import (
    DETAILS,
    INFO,
    PAYLOAD,
    inspect_bag,
    is_of_another_program,
    missing_labels,
    stated_findings,
)
from tasks.catalog.row_texts import plain_text, plain_texts
from tasks.catalog.schema import Row, empty_row
from tasks.realtimekit import parse_archived
from tasks.realtimekit.values import as_object
from tasks.s3 import bare_etag
from tasks.text import MIB
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.archive import Held, InspectedBag
    from tasks.s3 import Bucket, StoredObject

LARGEST_NUMBER = 2**63 - 1
LARGEST_DESCRIPTION = 8 * MIB
"""Bytes: far more than any that this project writes; a larger one describes nothing."""


class Stream(BaseModel):
    """One stream of a media file, as a description has it."""

    kind: str = ""
    codec: str = ""
    width: int = 0
    height: int = 0


class DescribedFile(BaseModel):
    """One media file, as a description has it."""

    path: str
    size: int = -1
    sha256: str = ""
    content_type: str = ""
    container: str = ""
    streams: tuple[Stream, ...] = ()


class Description(BaseModel):
    """The description of a recording's media, as far as the catalog needs it."""

    files: tuple[DescribedFile, ...] = ()
    findings: tuple[str, ...] = ()
    poster: str = ""  # the path of the file that the poster is a frame of


def bag_version(held: Held, description: StoredObject | None = None, poster: StoredObject | None = None) -> str:
    """Return a text that is another one whenever the bag is, its description or its poster; a listing is enough."""
    text = " ".join(
        [f"{held.sums.versions} {held.marked}", _version(description), *([_version(poster)] * bool(poster))]
    )
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _version(derived: StoredObject | None) -> str:
    return f"{bare_etag(derived.etag)} {derived.size} {derived.modified}" if derived else ""


def read_row(
    bucket: Bucket, root: str, held: Held, description: StoredObject | None, poster: StoredObject | None = None
) -> Row | None:
    """Return the row of a bag; None if there is no bag any more.

    Args:
        bucket: where the bag is.
        root: the archive's key prefix, with a slash at its end, or empty.
        held: the bag, as listed.
        description: the object that describes its media, as listed; None if there is none.
        poster: a frame of its video, as listed; None if there is none.

    Raises:
        StoreRefused, StoreUnavailable: the store does not give one of its files.
    """
    folder = f"{root}{held.folder}"
    bag = inspect_bag(bucket, folder)
    if bag is None:
        return None
    described = Description()
    if description is not None and description.size <= LARGEST_DESCRIPTION:
        described = parse_description(bucket.get(description.key) or b"")
    content_types = _content_types(bucket, folder, bag, described)
    row = build_row(held, bag_version(held, description, poster), bag, described, content_types)
    url = f"s3://{bucket.bucket}/"
    shown = poster if poster and _is_of_poster(described, _checksums(bag)) else None
    return row | {"archive_url": f"{url}{folder}", "poster_url": f"{url}{shown.key}" if shown else None}


def unreadable_row(held: Held, url: str, reason: str, condition: str = "unreadable") -> Row:
    """Return the row of a bag that the store does not give; it is read again by the next update.

    Args:
        held: the bag, as listed.
        url: where it is.
        reason: why it cannot be read.
        condition: `unreadable`, or `archived class`.
    """
    known = {"recording_id": held.recording_id, "condition": condition, "findings": [plain_text(reason)]}
    return empty_row() | known | {"archived_at": held.marked, "archive_url": url}


def build_row(
    held: Held,
    version: str,
    bag: InspectedBag,
    described: Description,
    content_types: Mapping[str, str],
) -> Row:
    """Return the row of a bag, but for its address, its fixity and its session.

    Args:
        held: the bag, as listed.
        version: of the bag.
        bag: what it holds.
        described: what its media are.
        content_types: of its files, by path.
    """
    files = _files(bag, content_types)
    return (
        empty_row()
        | {"recording_id": held.recording_id, "archived_at": held.marked, "files": files}
        | {"bytes": sum(file["size"] or 0 for file in files), "bag_version": version}
        | _of_details(bag.tags.get(DETAILS, b""))
        | _of_media(described)
        | _of_condition(bag)
    )


def _is_of_poster(described: Description, checksums: Mapping[str, str]) -> bool:
    """Tell whether the poster is a frame of a file that the bag holds now: the bag may have been replaced since."""
    files = (file for file in described.files if file.path == described.poster and file.sha256)
    return any(file.sha256 == checksums.get(file.path) for file in files)


def parse_description(content: bytes) -> Description:
    """Read a description; whatever else it is, nothing is described."""
    try:
        return Description.model_validate_json(content)
    except ValidationError:
        return Description()


def _of_details(content: bytes) -> Row:
    """Return what the API said of the recording."""
    recording = parse_archived(content)
    if recording is None:
        return {}
    details = recording.details
    meeting = as_object(details.get("meeting"))
    return {
        "session_id": recording.session_id or None,
        "meeting_id": plain_text(meeting.get("id")) or plain_text(details.get("meeting_id")),
        "title": plain_text(meeting.get("title")),
        "status": plain_text(recording.status),
        "invoked_at": recording.invoked_time,
        "started_at": recording.started_time,
        "stopped_at": recording.stopped_time,
        "duration_s": recording.duration_s,
        **_of_reason("start_reason", "started_by", details),
        **_of_reason("stop_reason", "stopped_by", details),
    }


def _of_reason(name: str, by: str, details: Mapping[str, Any]) -> Row:
    """Return why, and by whom, a recording was started or stopped."""
    reason = as_object(details.get(name))
    caller = as_object(reason.get("caller"))
    user_id = plain_text(caller.get("user_Id")) or plain_text(caller.get("user_id"))
    return {name: plain_text(reason.get("reason")), by: plain_text(caller.get("name")), f"{by}_id": user_id}


def _of_media(described: Description) -> Row:
    """Return what the media are: of the first video, or else of the first file that anything understands."""
    known = [file for file in described.files if file.container]
    videos = [(file, stream) for file in known for stream in file.streams if stream.kind == "video"]
    container = videos[0][0].container if videos else known[0].container if known else None
    streams = [stream for file in known for stream in file.streams]
    return {
        "container": plain_text(container),
        "codecs": plain_texts(dict.fromkeys(stream.codec for stream in streams if stream.codec)),
        "width": _count(videos[0][1].width) if videos else None,
        "height": _count(videos[0][1].height) if videos else None,
        "media_findings": plain_texts(described.findings),
    }


def _of_condition(bag: InspectedBag) -> Row:
    info = bag.tags.get(INFO, b"")
    stated = stated_findings(info)
    if is_of_another_program(info):  # which need not have all that ours have
        return {"condition": "foreign", "findings": plain_texts(stated)}
    partial = "partial" if missing_labels(stated) else "whole"
    return {"condition": "damaged" if bag.findings else partial, "findings": plain_texts([*stated, *bag.findings])}


def _files(bag: InspectedBag, content_types: Mapping[str, str]) -> list[Row]:
    """Return the files that the manifest states, and those that lie in the bag besides."""
    checksums = _checksums(bag)
    payload = {path: stored for path, stored in bag.listed.items() if path.startswith(PAYLOAD)}
    return [
        {
            "path": path.encode(errors="replace").decode(),
            "size": payload[path].size if path in payload else None,
            "sha256": checksums.get(path),
            "content_type": plain_text(content_types.get(path)),
        }
        for path in sorted(payload.keys() | checksums.keys())
    ]


def _checksums(bag: InspectedBag) -> dict[str, str]:
    try:
        return bag.checksums
    except ValueError:
        return {}


def _content_types(bucket: Bucket, folder: str, bag: InspectedBag, described: Description) -> dict[str, str]:
    """Return the files' content types: as the description has them if it is of the same bytes, else as the store."""
    checksums = _checksums(bag)
    known = {
        file.path: file.content_type
        for file in described.files
        if file.content_type and file.sha256 and file.sha256 == checksums.get(file.path)
    }
    asked = [path for path in bag.listed if path.startswith(PAYLOAD) and path not in known]
    heads = a_few_at_a_time(lambda path: bucket.head(folder + path), asked)
    return known | {path: head.content_type for path, head in zip(asked, heads, strict=True) if head}


def _count(value: int) -> int | None:
    return value if 0 < value <= LARGEST_NUMBER else None
