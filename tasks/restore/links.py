"""Links to files of archived recordings: presigned URLs to hand to somebody, with their ends.

Whoever has such a URL reads the file until its end. It is returned to be printed, and never logged, published or kept.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tasks.archive import layout
from tasks.errors import NotArchived, NotInBag
from tasks.restore.bag_contents import read_bag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.restore.context import ChosenBag
    from tasks.s3 import Bucket, PresignedDownloads

LONGEST_DAYS = 7
_LIFETIME = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
PATHS_SHOWN = 20


class Link(BaseModel):
    """A presigned URL of a file."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    path: str
    size: int
    expires_at: datetime  # unless the credentials that signed it end sooner
    url: str


def parse_lifetime(text: str) -> int:
    """Return the seconds that a text such as 2d, 12h or 30m means.

    Raises:
        ValueError: it means none, or more than a link can live.
    """
    match = _LIFETIME.fullmatch(text)
    if match is None or not int(match[1]):
        message = "must be a time, such as 2d, 12h, 30m or 90s"
        raise ValueError(message)
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > LONGEST_DAYS * 86_400:
        message = f"is longer than a link can live: {LONGEST_DAYS}d at most (Signature Version 4)"
        raise ValueError(message)
    return seconds


def make_links(
    bucket: Bucket, signer: PresignedDownloads, root: str, recording: ChosenBag, paths: Sequence[str], lifetime_s: int
) -> list[Link]:
    """Return links to files of a recording.

    Args:
        bucket: where the archive is.
        signer: of the same bucket.
        root: the archive's key prefix, with a slash at its end, or empty.
        recording: whose files.
        paths: of the files within the bag; none for all of the payload.
        lifetime_s: seconds until the links end.

    Raises:
        NotArchived: there is no bag of the recording; it may have been deleted on purpose.
        NotInBag: the bag has no such file.
    """
    folder = root + recording.folder
    contents = read_bag(bucket, folder) if recording.folder else None
    if contents is None:
        raise NotArchived(recording.id)
    there = {file.path: file for file in (*contents.files, contents.marker) if file is not None and file.stored}
    payload = [path for path in there if path.startswith(layout.PAYLOAD)]
    if missing := next((path for path in paths if path not in there), ""):
        raise NotInBag(f"s3://{bucket.bucket}/{folder}", missing, ", ".join(sorted(there)[:PATHS_SHOWN]))
    now = datetime.now(UTC).replace(microsecond=0)
    return [
        Link(
            recording_id=recording.id,
            path=path,
            size=there[path].size,
            expires_at=now + timedelta(seconds=lifetime_s),
            url=signer.url(folder + path, lifetime_s),
        )
        for path in paths or payload
    ]
