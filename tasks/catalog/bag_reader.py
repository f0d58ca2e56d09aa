"""The reading of bags: what one bag holds, or the store refuses of it, stops no other, and is tried again later."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tasks.catalog.bag_row import read_row, unreadable_row
from tasks.catalog.session_row import read_session
from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable, describe_unforeseen
from tasks.s3 import ARCHIVED_CLASS
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tasks.archive import Held
    from tasks.catalog.bag_listing import ListedBags
    from tasks.catalog.models import CatalogContext
    from tasks.catalog.schema import Row
    from tasks.catalog.session_row import SessionRow
    from tasks.s3 import Bucket

T = TypeVar("T")


class BagReader:
    """Reads bags during an update.

    Args:
        context: what the update works with.
    """

    def __init__(self, context: CatalogContext) -> None:
        self.unreadable: dict[str, str] = {}  # why, by the folder of a recording or of a session
        self.read = 0  # bags of recordings
        self._in_archived_class: set[str] = set()  # folders of the unreadable ones that the store has to be asked for
        self._context = context
        self._root = context.dataset.root
        self._sessions: dict[tuple[str, str], SessionRow | None] = {}  # by folder and version

    def reachable(self, versions: Mapping[str, str]) -> dict[str, str]:
        """Return the versions as far as bags can be read: another one is tried once in each update."""
        return {folder: "" if folder in self.unreadable else version for folder, version in versions.items()}

    def read_recordings(self, bags: Collection[Held], listed: ListedBags) -> dict[str, Row]:
        """Return the rows of bags by their folders; what is no bag any more has none."""

        def read(held: Held) -> Row | None:
            derived = listed.descriptions.get(held.folder), listed.posters.get(held.folder)
            row = self._try(held.folder, lambda bucket: read_row(bucket, self._root, held, *derived))
            if reason := self.unreadable.get(held.folder):
                condition = "archived class" if held.folder in self._in_archived_class else "unreadable"
                return unreadable_row(held, self.url(held.folder), reason, condition)
            return row

        rows = a_few_at_a_time(read, bags)
        self.read += len(bags)
        return {held.folder: row for held, row in zip(bags, rows, strict=True) if row}

    def read_sessions(self, versions: Mapping[str, str], listed: ListedBags) -> dict[str, SessionRow]:
        """Return what the bags of sessions hold, by the session's folder; a session without a whole bag has nothing.

        Args:
            versions: of the sessions, by their folders; each is read once in an update.
            listed: their bags.
        """

        def read(folder: str) -> None:
            bags = listed.session_bags(folder)
            row = self._try(folder, lambda bucket: read_session(bucket, self._root, bags))
            if folder not in self.unreadable:
                self._sessions[folder, versions[folder]] = row

        a_few_at_a_time(read, [folder for folder in versions if (folder, versions[folder]) not in self._sessions])
        rows = {folder: self._sessions.get((folder, version)) for folder, version in versions.items()}
        return {folder: row for folder, row in rows.items() if row}

    def url(self, folder: str) -> str:
        """Return where a folder is, for people."""
        return f"s3://{self._context.bucket.bucket}/{self._root}{folder}"

    def _try(self, folder: str, read: Callable[[Bucket], T]) -> T | None:
        """Return what is read; None if it cannot be read, and then say why.

        Raises:
            StoreUnavailable, StoreRefused: the store is away.
        """
        try:
            row = read(self._context.new_bucket())
        except (StoreUnavailable, StoreRefused) as error:
            self._context.bucket.level(f"{self._root}{folder}")  # raises if the store is away
            reason = str(error)
            if isinstance(error, StoreRefused) and error.code == ARCHIVED_CLASS:
                self._in_archived_class.add(folder)
        except ArchiverError:
            raise
        except Exception as error:  # noqa: BLE001 - what others put there may be anything, and stops nothing else
            reason = describe_unforeseen(error)
        else:
            self.unreadable.pop(folder, None)
            return row
        self.unreadable[folder] = reason
        self._context.log.warning("%s cannot be read: %s", folder, reason)
        return None
