"""What lies in the folders of recordings and sessions, with what was made from them: from the listing alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal

from tasks.archive import layout

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tasks.s3 import Bucket, StoredObject


@dataclass(slots=True)
class Folder:
    """A recording's folder, or that of a session with all its versions; with what lies beside it."""

    path: str  # below the archive's root, with a slash at its end
    objects: int = 0
    bytes: int = 0
    bags: set[str] = field(default_factory=set)  # folders of bags with the marker
    versions: set[str] = field(default_factory=set)  # folders of a session's versions, with the marker or without it

    @property
    def app_id(self) -> str:
        """The app that it belongs to."""
        return self.path.partition("/")[0]

    @property
    def kind(self) -> Literal["recording", "session"]:
        """What lies in it."""
        return "session" if self.name.startswith("session-") else "recording"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.split("/")[-2]

    @property
    def id(self) -> str:
        """The id of the recording or the session."""
        return self.name.removeprefix("session-")

    @property
    def day(self) -> date | None:
        """The UTC day on which it began; None if nobody knows."""
        try:
            return date(*map(int, self.path.split("/")[1:4]))
        except ValueError:  # the year 0000
            return None

    def add(self, stored: StoredObject) -> None:
        """Count an object."""
        self.objects += 1
        self.bytes += stored.size


def list_folders(bucket: Bucket, root: str) -> dict[str, Folder]:
    """Return all folders of recordings and sessions, by their paths.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.

    Raises:
        StoreRefused, StoreUnavailable: it cannot be listed; half a list would be none.
    """
    folders: dict[str, Folder] = {}
    apps = [folder for folder in bucket.level(root)[0] if layout.is_app(folder.removeprefix(root))]
    for stored in (stored for app in apps for stored in bucket.list(app)):
        path = stored.key.removeprefix(root)
        if key := layout.parse_key(path):
            session = layout.session_of(key.folder)
            folder = folders.setdefault(session or key.folder, Folder(session or key.folder))
            if session:
                folder.versions.add(key.folder)
            if key.path == layout.MARKER:
                folder.bags.add(key.folder)
        elif layout.is_derived(path):
            folder = folders.setdefault(layout.derived_folder(path), Folder(layout.derived_folder(path)))
        else:
            continue
        folder.add(stored)
    return folders


class Neighbours:
    """Which folders lie under the days on which a session's recordings, or a recording's session, may lie.

    Args:
        folders: all of the archive's.
    """

    def __init__(self, folders: Collection[Folder]) -> None:
        self._recordings: dict[tuple[str, date | None], list[Folder]] = defaultdict(list)
        self._days: dict[str, set[date | None]] = defaultdict(set)
        for folder in folders:
            if folder.kind == "recording":
                self._recordings[folder.app_id, folder.day].append(folder)
                self._days[folder.app_id].add(folder.day)

    def recordings_near(self, session: Folder) -> Iterator[Folder]:
        """Yield the recordings under days near a session's, and those without a day.

        Those of any day are near a session without a day.
        """
        day = session.day.toordinal() if session.day else 0
        near = (day - offset for offset in layout.SESSION_DAYS)
        days = {None, *(date.fromordinal(its) for its in near if 1 <= its <= date.max.toordinal())}
        days = days if session.day else self._days[session.app_id]
        for its in sorted(days, key=lambda its: its or date.min):
            yield from self._recordings.get((session.app_id, its), ())
