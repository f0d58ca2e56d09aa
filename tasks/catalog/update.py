"""An update of the catalog: finds the bags that are new or changed, reads these alone, and writes their months anew.

Nothing is kept but the catalog itself. A listing tells the version of each bag, and each file of the catalog tells from
which versions it was derived: what differs is derived again. So it does not matter what came before, a crash, a
deletion, an overwrite, or a lost catalog.

Two updates at once may write the same month, and the one that saw less may write last. Therefore each looks again at
the months that it has written, and ends only once nothing differs: whoever writes last, looks last.
"""

from __future__ import annotations

import hashlib
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.archive import Month, held_at, month_of, months_held, parse_folder, survey
from tasks.catalog.bag_row import bag_version, read_row, unreadable_row
from tasks.catalog.dataset import Source, by_age, newest_of
from tasks.catalog.models import CatalogReport
from tasks.catalog.schema import FIXITY, SCHEMA_VERSION
from tasks.errors import ArchiverError, NotInArchive, StoreRefused, StoreUnavailable
from tasks.s3 import ARCHIVED_CLASS
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tasks.archive import Held
    from tasks.catalog.dataset import Files
    from tasks.catalog.models import AuditRecord, CatalogContext
    from tasks.catalog.schema import Row
    from tasks.s3 import StoredObject

LOOKS = 5
"""At the archive, before what still changes is left to the next update: two are usual, three if an old month changed.
"""
UNREADABLE_SHOWN = 20


def update_catalog(
    context: CatalogContext, *, app_ids: Collection[str] = (), archive_url: str = "", rebuild: bool = False
) -> CatalogReport:
    """Bring the catalog up to date with the archive's bags.

    Args:
        context: what the update works with.
        app_ids: whose recordings to look at; none for all.
        archive_url: of a recording: only its month is looked at, and no audit; empty for all.
        rebuild: read all bags again.

    Raises:
        NotInArchive: the address is not one of a recording in this archive.
        CatalogNewer: a newer version of this program has written the catalog.
        StoreUnavailable, StoreRefused: the store is away; what was written stays, and the next update carries on.
    """
    only = _month_at(context, archive_url) if archive_url else None
    return _Update(context, app_ids, only, rebuild=rebuild).run()


def _month_at(context: CatalogContext, archive_url: str) -> Month:
    root = f"s3://{context.bucket.bucket}/{context.dataset.root}"
    url = archive_url.rstrip("/") + "/"
    folder = url.removeprefix(root) if url.startswith(root) else ""
    if not parse_folder(folder) or held_at(folder).is_session:
        raise NotInArchive(archive_url, root.rstrip("/"), url.rstrip("/").rpartition("/")[2])
    return month_of(folder)


@dataclass
class _Bags:
    """The bags of some months, as listed."""

    held: dict[Month, dict[str, Held]] = field(default_factory=dict)  # by folder
    descriptions: dict[str, StoredObject] = field(default_factory=dict)  # by folder

    def versions(self, month: Month) -> dict[str, str]:
        """Return the version of each bag of a month, by its folder."""
        bags = self.held.get(month, {})
        return {folder: bag_version(held, self.descriptions.get(folder)) for folder, held in bags.items()}


class _Update:
    def __init__(self, context: CatalogContext, app_ids: Collection[str], only: Month | None, *, rebuild: bool) -> None:
        self._context = context
        self._dataset = context.dataset
        self._app_ids = app_ids
        self._only = only
        self._rebuild = rebuild
        self._records: Mapping[str, AuditRecord] | None = None
        self._audits = ""
        self._unreadable: dict[str, str] = {}  # why, by folder
        self._written: set[Month] = set()
        self._read = self._removed = 0

    def run(self) -> CatalogReport:
        """Look, write and look again, until nothing differs."""
        began, recordings = time.monotonic(), 0
        # Before the bags: an audit's record of a bag that is listed later is then taken for new by the next update.
        self._audits = "" if self._only else self._context.audits.version()
        months: Collection[Month] = [self._only] if self._only else ()
        for look in range(LOOKS):
            bags = self._list_bags(months)
            files = self._dataset.files(self._only)
            if look == 0:
                recordings = sum(map(len, bags.held.values()))
            stale = self._stale(bags, files, months)
            if not stale:
                break
            for month in stale:
                self._refresh(month, bags, files)
            self._rebuild = False
            months = self._looked_at_again(stale, bags, files)
        return CatalogReport(
            catalog_url=self._dataset.url,
            recordings=recordings,
            read=self._read,
            removed=self._removed,
            months_written=len(self._written),
            unreadable=tuple(f"{folder}: {why}" for folder, why in sorted(self._unreadable.items()))[:UNREADABLE_SHOWN],
            foreign=tuple(files.foreign),
            settled=not stale,
            seconds=round(time.monotonic() - began, 3),
        )

    def _looked_at_again(self, stale: Collection[Month], bags: _Bags, files: Files) -> set[Month]:
        """Return the months to look at once more: those written, and the newest, whose file seals the others."""
        left = [month for month in {*files.listed, *stale} if month in bags.held or month not in stale]
        newest = newest_of(left)
        return {*stale, newest} if newest and self._seals else set(stale)

    def _list_bags(self, months: Collection[Month]) -> _Bags:
        """List the bags of some months, or of all; months at the same time, as a long listing comes page by page."""
        bucket, root = self._context.bucket, self._dataset.root
        listed = months or months_held(bucket, root, self._app_ids)
        bags = _Bags()
        for holdings in a_few_at_a_time(lambda month: survey(bucket, root, [month.folder]), listed):
            bags.descriptions |= holdings.descriptions
            for folder, held in holdings.bags.items():
                if held.ours and not held.is_session:  # the catalog is one of recordings
                    bags.held.setdefault(month_of(folder), {})[folder] = held
        return bags

    def _stale(self, bags: _Bags, files: Files, months: Collection[Month]) -> list[Month]:
        """Return the months whose files are to be written, the newest last, as that holds the sources of all others."""
        sources = self._dataset.sources(files)
        looked_at = months or {month for month in (*bags.held, *files.listed) if self._is_meant(month)}
        stale = {
            month
            for month in looked_at
            if (self._rebuild and month in bags.held) or not self._is_current(month, bags, sources)
        }
        newest = files.newest
        if newest is not None and newest in looked_at and self._seals and stale <= {newest}:
            unsealed = self._dataset.sealed(newest) != self._dataset.to_seal(files)
            stale |= {newest} if unsealed else set()
        return sorted(stale, key=by_age)

    @property
    def _seals(self) -> bool:
        """Whether all files are looked at, so that the newest can state the sources of all others."""
        return not self._only and not self._app_ids

    def _is_meant(self, month: Month) -> bool:
        return not self._app_ids or month.app_id in self._app_ids

    def _is_current(self, month: Month, bags: _Bags, sources: Mapping[Month, Source | None]) -> bool:
        source = sources.get(month)
        if month not in bags.held or source is None:
            return month not in bags.held and month not in sources
        return source == self._wanted(self._reachable(bags.versions(month)), source)

    def _reachable(self, versions: Mapping[str, str]) -> dict[str, str]:
        """Return the versions as far as bags can be read: another one is tried once in each update."""
        return {folder: "" if folder in self._unreadable else version for folder, version in versions.items()}

    def _wanted(self, versions: Mapping[str, str], source: Source | None) -> Source:
        """Return what a file is to be derived from.

        Args:
            versions: of the bags, by their folders.
            source: what the file is derived from now.
        """
        kept = source.audits if source and source.schema_version == SCHEMA_VERSION and not self._rebuild else ""
        return Source(bags=_digest(versions), audits=kept if self._only else self._audits)

    def _refresh(self, month: Month, bags: _Bags, files: Files) -> None:
        """Write the file of a month anew."""
        source = self._dataset.sources(files).get(month)
        current = source is not None and source.schema_version == SCHEMA_VERSION and not self._rebuild
        before = {row["archive_url"]: row for row in self._dataset.rows(month)} if month in files.listed else {}
        versions = bags.versions(month)
        kept = {
            folder: row
            for folder, version in versions.items()
            if current and (row := before.get(self._url(folder))) and row["bag_version"] == version
        }
        held = bags.held.get(month, {})
        rows = kept | self._read_bags([held[folder] for folder in held.keys() - kept.keys()], bags.descriptions)
        wanted = self._wanted({folder: row["bag_version"] or "" for folder, row in rows.items()}, source)
        if not current or source is None or source.audits != wanted.audits:
            rows = {folder: row | self._fixity(held[folder]) for folder, row in rows.items()}
        self._removed += len(before.keys() - {self._url(folder) for folder in versions})
        others = self._dataset.to_seal(files) if month == files.newest and self._seals else self._dataset.sealed(month)
        self._dataset.write(month, [rows[folder] for folder in sorted(rows)], wanted, others)
        self._written.add(month)
        self._context.log.info(
            "%s of %s: %d recordings, %d read.", month.month, month.app_id, len(rows), len(rows) - len(kept)
        )

    def _read_bags(self, bags: Collection[Held], descriptions: Mapping[str, StoredObject]) -> dict[str, Row]:
        """Return the rows of bags by their folders; what is no bag any more has none."""
        rows = a_few_at_a_time(lambda held: self._read_bag(held, descriptions.get(held.folder)), bags)
        self._read += len(bags)
        return {held.folder: row for held, row in zip(bags, rows, strict=True) if row}

    def _read_bag(self, held: Held, description: StoredObject | None) -> Row | None:
        """Return the row of a bag; what one bag holds, or the store refuses of it, stops no other.

        Raises:
            StoreUnavailable, StoreRefused: the store is away.
        """
        condition = "unreadable"
        try:
            row = read_row(self._context.new_bucket(), self._dataset.root, held, description)
        except (StoreUnavailable, StoreRefused) as error:
            if isinstance(error, StoreRefused) and error.code == ARCHIVED_CLASS:
                condition = "archived class"
            self._context.bucket.level(f"{self._dataset.root}{held.folder}")  # raises if the store is away
            reason = str(error)
        except ArchiverError:
            raise
        except Exception as error:  # noqa: BLE001 - what others put there may be anything, and stops nothing else
            where = traceback.extract_tb(error.__traceback__)[-1]  # its text may hold anything, too
            reason = f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}, which nobody foresaw"
        else:
            self._unreadable.pop(held.folder, None)
            return row
        self._unreadable[held.folder] = reason
        self._context.log.warning("%s cannot be read: %s", held.folder, reason)
        return unreadable_row(held, self._url(held.folder), reason, condition)

    def _fixity(self, held: Held) -> Row:
        """Return what the last audit found of a bag, as the bag is now; a bag replaced since was never audited."""
        if self._records is None:
            self._records = {} if self._only else self._context.audits.records()
        record = self._records.get(held.folder)
        if record is None or record.versions != held.sums.versions:
            return dict.fromkeys(FIXITY) | {"fixity_findings": []}
        found = [str(finding) for finding in record.findings]
        return dict(zip(FIXITY, (record.outcome, record.at, record.read_at, found), strict=True))

    def _url(self, folder: str) -> str:
        return f"s3://{self._context.bucket.bucket}/{self._dataset.root}{folder}"


def _digest(versions: Mapping[str, str]) -> str:
    text = "\n".join(f"{folder} {version}" for folder, version in sorted(versions.items()))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
