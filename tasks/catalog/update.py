"""An update of the catalog: finds the bags that are new or changed, reads these alone, and writes their months anew.

Nothing is kept but the catalog itself. A listing tells the version of each bag, and each file of the catalog tells from
which versions it was derived: what differs is derived again. So it does not matter what came before, a crash, a
deletion, an overwrite, or a lost catalog.

Two updates at once may write the same month, and the one that saw less may write last. Therefore each looks again at
the months that it has written, and ends only once nothing differs: whoever writes last, looks last.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasks.archive import held_at, month_of, parse_folder
from tasks.catalog.bag_listing import digest, list_bags
from tasks.catalog.bag_reader import BagReader
from tasks.catalog.dataset import MonthContents, Source, by_age, newest_of
from tasks.catalog.models import CatalogReport
from tasks.catalog.schema import FIXITY, OF_SESSION, SCHEMA_VERSION
from tasks.errors import NotInArchive

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tasks.archive import Held, Month
    from tasks.catalog.bag_listing import ListedBags
    from tasks.catalog.dataset import Files
    from tasks.catalog.models import AuditRecord, CatalogContext
    from tasks.catalog.schema import Row
    from tasks.catalog.session_row import SessionRow

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


class _Update:
    def __init__(self, context: CatalogContext, app_ids: Collection[str], only: Month | None, *, rebuild: bool) -> None:
        self._context = context
        self._dataset = context.dataset
        self._app_ids = app_ids
        self._only = only
        self._rebuild = rebuild
        self._records: Mapping[str, AuditRecord] | None = None
        self._audits = ""
        self._reader = BagReader(context)
        self._written: set[Month] = set()
        self._removed = 0

    def run(self) -> CatalogReport:
        """Look, write and look again, until nothing differs."""
        began, recordings = time.monotonic(), 0
        # Before the bags: an audit's record of a bag that is listed later is then taken for new by the next update.
        self._audits = "" if self._only else self._context.audits.version()
        months: Collection[Month] = [self._only] if self._only else ()
        for look in range(LOOKS):
            bags = list_bags(self._context.bucket, self._dataset.root, months, self._app_ids)
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
        unreadable = sorted(self._reader.unreadable.items())
        return CatalogReport(
            catalog_url=self._dataset.url,
            recordings=recordings,
            read=self._reader.read,
            removed=self._removed,
            months_written=len(self._written),
            unreadable=tuple(f"{folder}: {why}" for folder, why in unreadable)[:UNREADABLE_SHOWN],
            foreign=tuple(files.foreign),
            settled=not stale,
            seconds=round(time.monotonic() - began, 3),
        )

    def _looked_at_again(self, stale: Collection[Month], bags: ListedBags, files: Files) -> set[Month]:
        """Return the months to look at once more: those written, and the newest, whose file seals the others."""
        left = [month for month in {*files.listed, *stale} if month in bags.months or month not in stale]
        newest = newest_of(left)
        return {*stale, newest} if newest and self._seals else set(stale)

    def _stale(self, bags: ListedBags, files: Files, months: Collection[Month]) -> list[Month]:
        """Return the months whose files are to be written, the newest last, as that holds the sources of all others."""
        sources = self._dataset.sources(files)
        looked_at = months or {month for month in (*bags.months, *files.listed) if self._is_meant(month)}
        stale = {
            month
            for month in looked_at
            if (self._rebuild and month in bags.months) or not self._is_current(month, bags, sources)
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

    def _is_current(self, month: Month, bags: ListedBags, sources: Mapping[Month, Source | None]) -> bool:
        source = sources.get(month)
        if month not in bags.months or source is None:
            return month not in bags.months and month not in sources
        versions = self._reader.reachable(bags.versions(month))
        return source == self._wanted(versions, bags.session_versions(month), source)

    def _wanted(self, versions: Mapping[str, str], sessions: Mapping[str, str], source: Source | None) -> Source:
        """Return what a file is to be derived from.

        Args:
            versions: of the recordings' bags, by their folders.
            sessions: the versions of the sessions that they may belong to, by their folders.
            source: what the file is derived from now.
        """
        kept = source.audits if source and source.schema_version == SCHEMA_VERSION and not self._rebuild else ""
        of_sessions = digest(self._reader.reachable(sessions)) if sessions else ""
        return Source(bags=digest(versions), audits=kept if self._only else self._audits, sessions=of_sessions)

    def _refresh(self, month: Month, bags: ListedBags, files: Files) -> None:
        """Write the file of a month anew."""
        source = self._dataset.sources(files).get(month)
        current = source is not None and source.schema_version == SCHEMA_VERSION and not self._rebuild
        there = self._dataset.contents(month) if month in files.listed else MonthContents()
        before = {row["archive_url"]: row for row in there.rows}
        versions = bags.versions(month)
        kept = {
            folder: row
            for folder, version in versions.items()
            if current and (row := before.get(self._reader.url(folder))) and row["bag_version"] == version
        }
        held = bags.held.get(month, {})
        read = self._reader.read_recordings([held[folder] for folder in held.keys() - kept.keys()], bags)
        read = {folder: row | self._people_before(row, before, current=current) for folder, row in read.items()}
        near = bags.session_versions(month)
        rows = self._with_people(kept | read, near, bags)
        sessions = self._unrecorded(month, rows, near, there.sessions, bags, current=current)
        wanted = self._wanted({folder: row["bag_version"] or "" for folder, row in rows.items()}, near, source)
        audited = {folder for folder in rows.keys() - kept.keys() if self._was_audited(before, folder)}
        if audited and self._only:  # audits are not looked at: the next update of all months does
            wanted = wanted.model_copy(update={"audits": ""})
        elif audited or not current or source is None or source.audits != wanted.audits:
            rows = {folder: row | self._fixity(held[folder]) for folder, row in rows.items()}
        self._removed += len(before.keys() - {self._reader.url(folder) for folder in versions})
        self._written.add(month)
        if month not in bags.months:
            self._dataset.delete(month)
            return
        others = self._dataset.to_seal(files) if month == files.newest and self._seals else self._dataset.sealed(month)
        self._dataset.write(month, [rows[folder] for folder in sorted(rows)], wanted, others, sessions)
        self._context.log.info(
            "%s of %s: %d recordings, %d read.", month.month, month.app_id, len(rows), len(rows) - len(kept)
        )

    def _was_audited(self, before: Mapping[str, Row], folder: str) -> bool:
        """Tell whether the row that a bag had, by its address, has what an audit found."""
        row = before.get(self._reader.url(folder))
        return row is not None and row["fixity_checked_at"] is not None

    def _people_before(self, row: Row, before: Mapping[str, Row], *, current: bool) -> Row:
        """Return who took part as far as the row of before knows; nobody if that was of another session.

        Args:
            row: of a recording, just read.
            before: the rows of before, by their addresses.
            current: these can be relied on; else the session's bag is read again.
        """
        known = before.get(row["archive_url"])
        if known is None or known["session_id"] != row["session_id"]:
            return {}
        return {name: known[name] for name in OF_SESSION} | ({} if current else {"session_version": None})

    def _with_people(self, rows: Mapping[str, Row], near: Mapping[str, str], bags: ListedBags) -> dict[str, Row]:
        """Return rows with who took part in their sessions; the bags of a session are read if they are new or changed.

        Args:
            rows: by the recording's folder.
            near: the versions of all sessions that they may belong to, by the session's folder.
            bags: as listed.
        """
        of_row = {folder: bags.session_for(folder, row["session_id"]) for folder, row in rows.items()}
        stale = {
            session
            for folder, session in of_row.items()
            if session and rows[folder]["session_version"] != near.get(session)
        }
        read = self._reader.read_sessions({session: near[session] for session in stale if session in near}, bags)
        nobody: Row = {"participants": [], "participant_ids": []}
        people: dict[str, Row] = {"": nobody | {"session_version": None}}
        people |= {session: nobody | {"session_version": near.get(session)} for session in stale}
        people |= {session: row.people() for session, row in read.items()}
        # Who took part is forgotten only if the bag says so, and not because the store does not give the bag.
        people |= {session: {"session_version": None} for session in stale & self._reader.unreadable.keys()}
        return {folder: row | people.get(of_row[folder], {}) for folder, row in rows.items()}

    def _unrecorded(
        self,
        month: Month,
        rows: Mapping[str, Row],
        near: Mapping[str, str],
        before: Collection[SessionRow],
        bags: ListedBags,
        *,
        current: bool,
    ) -> list[SessionRow]:
        """Return the sessions of a month that no recording of the month belongs to.

        Args:
            month: under whose days they lie.
            rows: of the month's recordings.
            near: the versions of the sessions, by their folders.
            before: what was known of such sessions.
            bags: as listed.
            current: this can be relied on; else the sessions' bags are read again.
        """
        recorded = {bags.session_for(folder, row["session_id"]) for folder, row in rows.items()}
        versions = {folder: near[folder] for folder in bags.sessions.get(month, {}) if folder not in recorded}
        known = {row.session_version: row for row in before} if current else {}
        read = self._reader.read_sessions({f: v for f, v in versions.items() if v not in known}, bags)
        sessions = {folder: read.get(folder) or known.get(version) for folder, version in versions.items()}
        for folder in versions.keys() & self._reader.unreadable.keys():  # known as it was, and read again later
            sessions[folder] = next(
                (row for row in before if row.archive_url.startswith(self._reader.url(folder))), None
            )
        return [row for _, row in sorted(sessions.items()) if row]

    def _fixity(self, held: Held) -> Row:
        """Return what the last audit found of a bag, as the bag is now; a bag replaced since was never audited."""
        if self._records is None:
            self._records = {} if self._only else self._context.audits.records()
        record = self._records.get(held.folder)
        if record is None or record.versions != held.sums.versions:
            return dict.fromkeys(FIXITY) | {"fixity_findings": []}
        findings = [str(finding) for finding in record.findings]
        return dict(zip(FIXITY, (record.outcome, record.at, record.read_at, findings), strict=True))
