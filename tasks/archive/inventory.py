"""What an archive holds, from its listing alone: bags, folders without a marker, and foreign objects.

A thousand keys come with a request, and a bag has seven: ten thousand bags are seventy requests. Kept of each is a
sum, whatever the number of its files.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.archive.months import Month, is_year, parse_month
from tasks.s3 import bare_etag
from tasks.text import redact_text
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from tasks.s3 import Bucket, StoredObject

SAMPLES = 5
"""Of foreign keys, to be shown."""

_WRAP = 1 << 64


@dataclass(slots=True)
class Sums:
    """What lies in a folder, in a few numbers, whatever order it is listed in."""

    objects: int = 0
    size: int = 0  # bytes
    sizes: int = 0  # of the keys and sizes: the same as long as nothing came, went, or was cut
    versions: int = 0  # of the keys, sizes and ETags: another one when something was replaced

    def add(self, stored: StoredObject) -> None:
        """Count one object."""
        self.objects += 1
        self.size += stored.size
        self.sizes = (self.sizes + _digest(f"{stored.key}\0{stored.size}")) % _WRAP
        self.versions = (self.versions + _digest(f"{stored.key}\0{stored.size}\0{bare_etag(stored.etag)}")) % _WRAP

    def join(self, other: Sums) -> None:
        """Add the sums of another folder."""
        self.objects, self.size = self.objects + other.objects, self.size + other.size
        self.sizes, self.versions = (self.sizes + other.sizes) % _WRAP, (self.versions + other.versions) % _WRAP

    @classmethod
    def of(cls, listed: Iterable[StoredObject]) -> Sums:
        """Return the sums of what was listed."""
        sums = cls()
        for stored in listed:
            sums.add(stored)
        return sums


@dataclass(slots=True)
class Held:
    """One folder of the archive."""

    folder: str  # below the archive's root, with a slash at its end
    app_id: str = ""  # empty if it lies elsewhere than we archive
    sums: Sums = field(default_factory=Sums)
    tags: set[str] = field(default_factory=set)  # those of our tag files that are there
    newest: datetime | None = None  # when something in it was last written
    is_claimed: bool = False  # a record of work under way lies in it
    marked: datetime | None = None  # when the marker was written

    @property
    def ours(self) -> bool:
        """Whether it lies where we archive recordings."""
        return bool(self.app_id)

    @property
    def recording_id(self) -> str:
        """The recording's id, the session's folder and the version, or the folder's name."""
        parts = self.folder.rstrip("/").split("/")
        return "/".join(parts[-2:] if self.is_session else parts[-1:])

    @property
    def is_session(self) -> bool:
        """Whether it is a version of a session."""
        return self.ours and layout.version_of(self.folder) > 0

    @property
    def session_id(self) -> str:
        """The session's id; empty if it is no version of a session."""
        return layout.session_of(self.folder).split("/")[-2].removeprefix("session-") if self.is_session else ""

    @property
    def is_bag(self) -> bool:
        """Whether it has the marker."""
        return layout.MARKER in self.tags

    @property
    def was_bag(self) -> bool:
        """Whether its tag files show that it had the marker.

        A session's version that is claimed never had: a run was killed before the marker, and the next run wrote the
        next version.
        """
        return layout.MANIFEST in self.tags and not (self.is_session and self.is_claimed)

    def add(self, path: str, stored: StoredObject) -> None:
        """Note an object that lies in it."""
        if self.ours and layout.is_unfinished(path):
            self.is_claimed = True
        else:
            self.sums.add(stored)
        self.note_time(stored.modified)
        if path in layout.tag_files(self.folder):
            self.tags.add(path)
        if path == layout.MARKER:
            self.marked = stored.modified

    def note_time(self, modified: datetime | None) -> None:
        """Note when something in it was written."""
        if modified is not None and (self.newest is None or modified > self.newest):
            self.newest = modified


@dataclass
class Holdings:
    """What an archive holds."""

    bags: dict[str, Held] = field(default_factory=dict)  # by folder
    no_bags: dict[str, Held] = field(default_factory=dict)  # where we archive, but without the marker
    descriptions: dict[str, StoredObject] = field(default_factory=dict)  # by the folder of what they describe
    posters: dict[str, StoredObject] = field(default_factory=dict)  # by the folder of the recording that they are of
    foreign: int = 0  # objects that belong to none of them
    samples: list[str] = field(default_factory=list)  # of their keys, fit to be shown


def held_at(folder: str) -> Held:
    """Return a folder of which nothing is known but where it lies.

    Args:
        folder: below the archive's root, with a slash at its end.
    """
    return Held(folder, layout.parse_folder(folder))


def newest_versions(bags: Iterable[Held]) -> dict[str, int]:
    """Return the highest version of each session, by the session's folder; bags of recordings are passed over."""
    newest: dict[str, int] = {}
    for held in bags:
        if held.is_session:
            session = layout.session_of(held.folder)
            newest[session] = max(layout.version_of(held.folder), newest.get(session, 0))
    return newest


def survey(bucket: Bucket, root: str, below: Collection[str] = ()) -> Holdings:
    """List an archive.

    Args:
        bucket: where it is.
        root: its key prefix, with a slash at its end, or empty.
        below: the folders to look at, without a slash at their ends, such as an app's id; none for all that is below
            the root.

    Raises:
        StoreRefused, StoreUnavailable: it cannot be listed; half a list would be none.
    """
    folders, objects = ([f"{root}{folder}/" for folder in below], ()) if below else bucket.level(root)
    listing = _Listing()
    for stored in objects:
        listing.add(stored.key.removeprefix(root), stored)
    for folder in folders:
        if folder.removeprefix(root) not in layout.NO_APPS:
            for stored in bucket.list(folder):
                listing.add(stored.key.removeprefix(root), stored)
    return listing.holdings()


def months_held(bucket: Bucket, root: str, app_ids: Collection[str] = ()) -> list[Month]:
    """Return the months that have folders, of all apps; each can be surveyed apart from the others, at the same time.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        app_ids: whose months; none for all apps.
    """
    apps = [f"{root}{app_id}/" for app_id in app_ids] or bucket.level(root)[0]
    years = _below(bucket, [app for app in apps if layout.is_app(app.removeprefix(root))])
    months = _below(bucket, [year for year in years if is_year(year.removeprefix(root))])
    return [month for folder in months if (month := parse_month(folder.removeprefix(root)))]


def _below(bucket: Bucket, folders: Collection[str]) -> list[str]:
    """Return the folders in folders; what others put beside them, however much it is, is not gone into."""
    return [folder for level in a_few_at_a_time(bucket.level, folders) for folder in level[0]]


class _Listing:
    """Sorts keys into folders as they come, in whatever order."""

    def __init__(self) -> None:
        self._ours: dict[str, Held] = {}
        self._elsewhere: dict[str, Held] = {}  # by the folder that the object itself lies in
        self._descriptions: dict[str, StoredObject] = {}
        self._posters: dict[str, StoredObject] = {}

    def add(self, path: str, stored: StoredObject) -> None:
        """Sort in an object.

        Args:
            path: its key below the archive's root.
        """
        if is_a_folder(stored):
            return
        if key := layout.parse_key(path):
            held = self._ours.setdefault(key.folder, Held(key.folder, key.app_id))
            held.add(key.path, stored)
        elif layout.is_description(path):
            self._descriptions[layout.derived_folder(path)] = stored
        elif layout.is_poster(path):
            self._posters[layout.derived_folder(path)] = stored
        elif not layout.is_derived(path):
            folder, slash, name = path.rpartition("/")
            self._elsewhere.setdefault(folder + slash, Held(folder + slash)).add(name, stored)

    def holdings(self) -> Holdings:
        """Return what was sorted in: elsewhere, a folder with the marker is a bag with all that is below it."""
        held = Holdings(descriptions=self._descriptions, posters=self._posters)
        for folder, content in self._ours.items():
            (held.bags if content.is_bag else held.no_bags)[folder] = content
        # A marker above our folders would make one bag of them all.
        above = {parent for folder in self._ours for parent in _and_above(folder)} | {""}
        markers = {folder for folder, content in self._elsewhere.items() if content.is_bag} - above
        for folder, content in self._elsewhere.items():
            top = next((parent for parent in _and_above(folder) if parent in markers), None)
            if top is None:
                held.foreign += content.sums.objects
                if len(held.samples) < SAMPLES:
                    held.samples.append(shown(folder) or "directly in it")
            else:
                _join(held.bags.setdefault(top, Held(top)), content)
        return held


def _join(whole: Held, part: Held) -> None:
    whole.sums.join(part.sums)
    whole.note_time(part.newest)
    if part.folder == whole.folder:
        whole.tags |= part.tags


def _and_above(folder: str) -> Iterable[str]:
    """Return the folders that a folder lies in, outermost first, and itself."""
    parts = folder.split("/")[:-1]
    return ("/".join(parts[:count]) + "/" for count in range(1, len(parts) + 1))


def is_a_folder(stored: StoredObject) -> bool:
    """Tell whether an object is what some programs make of an empty folder."""
    return stored.key.endswith("/") and stored.size == 0


def shown(text: str) -> str:
    """Return what came from elsewhere as a short line that can be shown."""
    printable = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in redact_text(text))
    return printable if len(printable) <= 300 else f"{printable[:300]}…"


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
