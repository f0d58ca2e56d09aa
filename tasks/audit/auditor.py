"""The audit of an archive: what its listing shows at once, what is read again, and the verdict on each bag.

A store that does not answer is no damage. If it is away, the audit ends, with all recorded that was found out; if it is
there, and one bag alone cannot be read, the others can.
"""

from __future__ import annotations

import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.archive import Held, held_at, layout, shown, survey
from tasks.audit.findings import Damage, Found
from tasks.audit.fixity import Examined, Finding, examined
from tasks.audit.log import Record
from tasks.audit.schedule import granted, in_order
from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable
from tasks.text import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from threading import Event

    from tasks.audit.log import AuditLog
    from tasks.audit.schedule import Budget
    from tasks.s3 import Reader, Store, Upload
    from tasks.text import Log

FORGOTTEN = timedelta(days=1)
"""A folder without the marker that nobody wrote to for so long is not being archived."""
ABANDONED = timedelta(days=7)
"""An upload that old is of a source that is gone: nobody can finish it."""
WRITTEN_EVERY_S = 60.0
WRITTEN_EVERY = 500
"""Seconds and records: so much is lost at most to a process that is killed."""
URGENT_S = 1.0
"""Seconds between writings when there is damage to tell: much of it is still no object each."""
HOPELESS = 20
"""So many bags that cannot be read, and none that can: then it is not the bags."""


@dataclass(frozen=True)
class AuditContext:
    """What an audit works with."""

    store: Store  # for listings
    new_store: Callable[[], Store]  # for one bag: with a patience that others' progress does not refill
    root: str  # the archive's key prefix, with a slash at its end, or empty
    audit_log: AuditLog
    reader: Reader
    at_once: int  # bags
    stop: Event
    log: Log


class Audit:
    """An audit of an archive. Its parts may run again, with another context: what was found stays.

    Args:
        now: what ages are reckoned from.
        on_damage: called as soon as damage is found.
    """

    def __init__(self, now: datetime, on_damage: Callable[[Damage], None]) -> None:
        self.found = Found()
        self._now = now
        self._began = self._written = time.monotonic()
        self._on_damage = on_damage
        self._told: set[str] = set()
        self._unwritten: list[Record] = []
        self._urgent = False

    def survey(self, context: AuditContext, app_ids: Collection[str] = ()) -> None:
        """List everything, compare it with what earlier audits knew, and look closer where that differs.

        Args:
            app_ids: whose recordings; none for all that is in the archive.

        Raises:
            StoreUnavailable, StoreRefused: half a list would be none.
        """
        found = self.found
        found.holdings = survey(context.store, context.root, app_ids)
        of_these = tuple(f"{app_id}/" for app_id in app_ids) or ("",)
        known = context.audit_log.read(self._at())
        found.records = {folder: record for folder, record in known.items() if folder.startswith(of_these)}
        found.records |= {record.folder: record for record in self._unwritten}
        context.log.info("%d bags in the archive, %d known.", len(found.holdings.bags), len(found.records))
        found.forgotten = []
        self._look_for_lost_markers(context)
        self._look_for_lost_bags(context)
        closer = [held for held in found.holdings.bags.values() if _is_suspicious(held, found.records)]
        self._examine_all(context, iter(closer), payload=False)
        found.abandoned = _abandoned(context, self._now - ABANDONED)

    def reread(self, context: AuditContext, budget: Budget) -> None:
        """Read bags again, until the budget is used up.

        Raises:
            StoreUnavailable, StoreRefused: the store is away; what was audited is recorded.
        """
        budget.drop_plans()
        bags = [held for folder, held in self.found.holdings.bags.items() if folder not in self.found.reread]
        queue = granted(*in_order(bags, self.found.records), budget)
        self._examine_all(context, queue, payload=True, budget=budget)

    def _at(self) -> datetime:
        self.found.seconds = time.monotonic() - self._began
        return self._now + timedelta(seconds=self.found.seconds)

    def _look_for_lost_markers(self, context: AuditContext) -> None:
        """Tell bags that lost their marker from folders that never became bags, and from those at work on."""
        since = self._now - FORGOTTEN
        for held in self.found.holdings.no_bags.values():
            record = self.found.records.get(held.folder)
            was_bag = held.was_bag or (record is not None and record.outcome != "gone")
            idle = held.newest is not None and held.newest < since
            if was_bag and not (idle and _is_idle(context, held.folder, since)):
                self.found.unsettled.add(held.folder)
            elif was_bag:
                lost = Finding(kind="missing", path=layout.MARKER, expected="it", found="nothing")
                self._damage(held, Examined("damaged", (lost,), sums=held.sums), read=False)
            elif idle:
                self.found.forgotten.append(held)

    def _look_for_lost_bags(self, context: AuditContext) -> None:
        """Look for what earlier audits knew: a bag that is gone is told once, as somebody may have deleted it."""
        holdings = self.found.holdings
        for folder, record in list(self.found.records.items()):
            if folder in holdings.bags or folder in holdings.no_bags or record.outcome == "gone":
                continue
            if next(iter(context.store.list(f"{context.root}{folder}")), None) is not None:
                self.found.unsettled.add(folder)
                continue
            said = f"{record.objects} objects, {human_size(record.size)}"
            gone = Finding(kind="missing", path="", expected=said, found="nothing: the whole recording is gone")
            self._damage(held_at(folder), Examined("damaged", (gone,)), read=False, outcome="gone")

    def _examine_all(
        self, context: AuditContext, queue: Iterable[Held], *, payload: bool, budget: Budget | None = None
    ) -> None:
        bags, under_way = iter(queue), dict[Future[Examined | str], Held]()
        with ThreadPoolExecutor(context.at_once) as threads:
            try:
                while True:
                    while len(under_way) < context.at_once and (held := next(bags, None)):
                        under_way[threads.submit(_examined, context, held, payload=payload)] = held
                    if not under_way:
                        break
                    done, _ = wait(under_way, WRITTEN_EVERY_S, FIRST_COMPLETED)
                    for future in done:
                        self._note(context, under_way.pop(future), future, payload=payload, budget=budget)
                    self._write_if_due(context)
                self._write(context)
            except BaseException:
                context.stop.set()  # whoever is reading ends
                threads.shutdown(cancel_futures=True)
                with suppress(ArchiverError):
                    for future, held in under_way.items():
                        if not future.cancelled() and future.exception() is None:
                            self._note(context, held, future, payload=payload, budget=budget)
                    self._write(context)
                raise

    def _note(
        self, context: AuditContext, held: Held, future: Future[Examined | str], *, payload: bool, budget: Budget | None
    ) -> None:
        """Note what came of examining a bag."""
        result = future.result()
        found = self.found
        if isinstance(result, str):
            found.unread[held.folder] = result
            context.log.warning("%s cannot be read: %s", shown(held.folder), result)
            self._record(self._made(held, Examined("unsettled", sums=held.sums), read=False, outcome="unread"))
            if len(found.unread) >= HOPELESS and not found.reread:
                raise StoreUnavailable("reading", context.root, f"none of {HOPELESS} bags can be read: {result}")
            read = 0
        else:
            read = result.read
            found.read += read
            self._settle(context, held, result, payload=payload)
        if budget is not None:
            budget.spent(held.sums.size, read)

    def _settle(self, context: AuditContext, held: Held, result: Examined, *, payload: bool) -> None:
        found = self.found
        found.unread.pop(held.folder, None)
        if result.outcome in {"no bag", "unsettled"}:
            found.unsettled.add(held.folder)
            context.log.info("%s is being written, or was deleted: it is left to the next audit.", shown(held.folder))
            return
        if payload:
            found.reread.add(held.folder)
        if result.outcome == "damaged":
            self._damage(held, result, read=payload)
            self._urgent = True
            return
        for finding in result.findings:
            context.log.warning("%s%s", shown(held.folder), finding)
        if payload:
            found.damaged.pop(held.folder, None)
            self._record(self._made(held, result, read=True))

    def _damage(self, held: Held, result: Examined, *, read: bool, outcome: str = "damaged") -> None:
        record = self._made(held, result, read=read, outcome=outcome)
        self._record(record)
        damage = Damage(held, record, result.details)
        self.found.damaged[held.folder] = damage
        if held.folder not in self._told:
            self._told.add(held.folder)
            self._on_damage(damage)

    def _made(self, held: Held, result: Examined, *, read: bool, outcome: str = "") -> Record:
        at, before = self._at(), self.found.records.get(held.folder)
        sums = result.sums if result.sums.objects else held.sums
        was_read = before.read_at if before and before.versions == sums.versions else None
        return Record.model_validate(
            {
                "folder": held.folder,
                "at": at,
                "outcome": outcome or result.outcome,
                "read_at": at if read else was_read,
                "objects": sums.objects,
                "size": sums.size,
                "sizes": sums.sizes,
                "versions": sums.versions,
                "findings": result.findings,
                "more": result.more,
            }
        )

    def _record(self, record: Record) -> None:
        self.found.records[record.folder] = record
        self._unwritten.append(record)

    def _write_if_due(self, context: AuditContext) -> None:
        """Write records down once many of them wait, or one has waited long."""
        waited, pause = time.monotonic() - self._written, URGENT_S if self._urgent else WRITTEN_EVERY_S
        if waited >= pause or len(self._unwritten) >= WRITTEN_EVERY:
            self._write(context)

    def _write(self, context: AuditContext) -> None:
        """Write down the records that are not yet."""
        if not self._unwritten:
            return
        context.audit_log.append(self._unwritten, self._at())
        self._unwritten, self._urgent = [], False
        self._written = time.monotonic()
        found = self.found
        rate = f"{human_size(found.read / max(found.seconds, 0.001))}/s"
        context.log.info("%d bags read, %s, %s.", len(found.reread), human_size(found.read), rate)


def _is_suspicious(held: Held, records: Mapping[str, Record]) -> bool:
    """Tell whether a listing alone raises doubts: a tag file is missing, or files came, went, or are of another size.

    A bag that was never read can only be compared with what all our bags have.
    """
    if held.ours and not held.tags.issuperset(layout.tag_files(held.folder)):
        return True
    record = records.get(held.folder)
    return record is not None and record.sizes != held.sums.sizes


def _is_idle(context: AuditContext, folder: str, since: datetime) -> bool:
    """Look again whether nobody is at work on a folder: it has no marker, and nothing in it is new."""
    listed = list(context.store.list(f"{context.root}{folder}"))
    marker = f"{context.root}{folder}{layout.MARKER}"
    return all(one.key != marker and one.modified is not None and one.modified < since for one in listed)


def _examined(context: AuditContext, held: Held, *, payload: bool) -> Examined | str:
    """Examine a bag; return why it cannot be read, if it alone cannot.

    Raises:
        StoreUnavailable, StoreRefused: the store is away.
    """
    folder, failure = f"{context.root}{held.folder}", ""
    for _ in range(2):
        try:
            return examined(context.new_store(), folder, context.reader, ours=held.ours, payload=payload)
        except (StoreUnavailable, StoreRefused) as error:
            context.store.level(folder)  # waits for a store that is away, and raises if it does not come back
            failure = str(error)
        except ArchiverError:
            raise
        except Exception as error:  # noqa: BLE001 - what others put there may be anything, and stops nothing else
            where = traceback.extract_tb(error.__traceback__)[-1]  # its text may hold anything, too
            return f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}, which nobody foresaw"
    return failure


def _abandoned(context: AuditContext, before: datetime) -> list[Upload]:
    """Return the uploads that nobody can finish, on stores that list any."""
    uploads = context.store.list_uploads_if_supported(context.root) or ()
    return [upload for upload in uploads if upload.begun is not None and upload.begun < before]
