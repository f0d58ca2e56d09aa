"""The audit of an archive: what its listing shows at once, what is read again, and the verdict on each bag.

A store that does not answer is no damage. If the store is away, the audit records what it has verified, and ends. If
one bag alone cannot be read, the audit goes on with the others.
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tasks.archive import Finding, Held, held_at, layout, newest_versions, shown, survey
from tasks.audit.archived_classes import CHANGED, hides_change, is_known_damage
from tasks.audit.bag_checks import find_abandoned, is_idle, is_suspicious, verify_held
from tasks.audit.deletions import find_deletion, find_unfinished
from tasks.audit.findings import AuditFindings, Damage
from tasks.audit.fixity import Verification
from tasks.audit.log import Record
from tasks.audit.schedule import order_bags, select_bags
from tasks.errors import ArchiverError, StoreUnavailable
from tasks.text import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tasks.audit.context import AuditContext
    from tasks.audit.schedule import Budget

FORGOTTEN_AFTER = timedelta(days=1)
"""No run is archiving into a folder without the marker that was not written to for so long."""
ABANDONED_AFTER = timedelta(days=7)
"""The source of an older upload is gone, so that no run can complete the upload."""
WRITTEN_EVERY_S = 60.0
WRITTEN_EVERY = 500
"""Seconds and records: a process that is killed loses no more than that."""
URGENT_S = 1.0
"""Seconds between writings when there is damage to record: not every damaged bag becomes an object of its own."""
HOPELESS = 20
"""If so many bags cannot be read, and none can, the cause is not the bags."""


class Audit:
    """An audit of an archive. Its parts may run again, with another context: the findings stay.

    Args:
        now: the time that ages are computed from.
        on_damage: called as soon as damage is found.
    """

    def __init__(self, now: datetime, on_damage: Callable[[Damage], None]) -> None:
        self.findings = AuditFindings()
        self._now = now
        self._began = self._written = time.monotonic()
        self._on_damage = on_damage
        self._reported: set[str] = set()
        self._unwritten: list[Record] = []
        self._urgent = False

    def survey(self, context: AuditContext, app_ids: Collection[str] = ()) -> None:
        """List all bags, compare them with the records of earlier audits, and verify what differs, without payload.

        Args:
            app_ids: the apps whose recordings are audited; none for all of the archive.

        Raises:
            StoreUnavailable, StoreRefused: the archive cannot be listed completely.
        """
        findings = self.findings
        findings.holdings = survey(context.store, context.root, app_ids)
        findings.newest = newest_versions(findings.holdings.bags.values())
        of_these = tuple(f"{app_id}/" for app_id in app_ids) or ("",)
        known = context.audit_log.read(self._current_time())
        findings.records = {folder: record for folder, record in known.items() if folder.startswith(of_these)}
        findings.records |= {record.folder: record for record in self._unwritten}
        context.log.info("%d bags in the archive, %d known.", len(findings.holdings.bags), len(findings.records))
        findings.forgotten = []
        held = findings.holdings
        here = (*held.bags, *held.no_bags, *held.descriptions, *held.posters)
        findings.deletions = find_unfinished(context, here, app_ids)
        self._look_for_lost_markers(context)
        self._look_for_lost_bags(context)
        closer = [held for held in findings.holdings.bags.values() if is_suspicious(held, findings.records)]
        self._examine_all(context, iter(closer), payload=False)
        findings.abandoned = find_abandoned(context, self._now - ABANDONED_AFTER)

    def reread(self, context: AuditContext, budget: Budget) -> None:
        """Read bags again, until the budget is used up.

        Raises:
            StoreUnavailable, StoreRefused: the store is away; the bags that were verified are recorded.
        """
        budget.drop_plans()
        findings = self.findings
        done = findings.reread | findings.passed_over
        bags = [held for folder, held in findings.holdings.bags.items() if folder not in done]
        older = {held.folder for held in bags if findings.is_superseded(held.folder)}
        queue = select_bags(*order_bags(bags, findings.records, older), budget, older)
        self._examine_all(context, queue, payload=True, budget=budget)

    def _current_time(self) -> datetime:
        self.findings.seconds = time.monotonic() - self._began
        return self._now + timedelta(seconds=self.findings.seconds)

    def _look_for_lost_markers(self, context: AuditContext) -> None:
        """Tell apart bags that lost the marker, folders that never became bags, and folders that are being written."""
        since = self._now - FORGOTTEN_AFTER
        for held in self.findings.holdings.no_bags.values():
            record = self.findings.records.get(held.folder)
            was_bag = held.was_bag or (record is not None and record.outcome != "gone")
            idle = held.newest is not None and held.newest < since
            if (was_bag or idle) and find_deletion(context, held.folder):
                continue
            if was_bag and not (idle and is_idle(context, held.folder, since)):
                self.findings.unsettled.add(held.folder)
            elif was_bag:
                lost = Finding(kind="missing", path=layout.MARKER, expected="it", found="nothing")
                self._damage(held, Verification("damaged", (lost,), sums=held.sums), read=False)
            elif idle:
                self.findings.forgotten.append(held)

    def _look_for_lost_bags(self, context: AuditContext) -> None:
        """Report recorded bags that are gone without a tombstone; once only, as they may be gone on purpose."""
        holdings = self.findings.holdings
        for folder, record in list(self.findings.records.items()):
            if folder in holdings.bags or folder in holdings.no_bags or record.outcome == "gone":
                continue
            if next(iter(context.store.list(f"{context.root}{folder}")), None) is not None:
                self.findings.unsettled.add(folder)
                continue
            size = f"{record.objects} objects, {human_size(record.size)}"
            held = held_at(folder)
            if find_deletion(context, folder):
                self._record(self._make_record(held, Verification("damaged"), read=False, outcome="gone"))
                continue
            lost = f"nothing: the whole {'version' if held.is_session else 'recording'} is gone"
            gone = Finding(kind="missing", path="", expected=size, found=lost)
            self._damage(held, Verification("damaged", (gone,)), read=False, outcome="gone")

    def _examine_all(
        self, context: AuditContext, queue: Iterable[Held], *, payload: bool, budget: Budget | None = None
    ) -> None:
        bags, under_way = iter(queue), dict[Future[Verification | str], Held]()
        with ThreadPoolExecutor(context.at_once) as threads:
            try:
                while True:
                    while len(under_way) < context.at_once and (held := next(bags, None)):
                        under_way[threads.submit(verify_held, context, held, payload=payload)] = held
                    if not under_way:
                        break
                    done, _ = wait(under_way, WRITTEN_EVERY_S, FIRST_COMPLETED)
                    for future in done:
                        self._note(context, under_way.pop(future), future, payload=payload, budget=budget)
                    self._write_if_due(context)
                self._write(context)
            except BaseException:
                context.stop.set()  # ends all readers
                threads.shutdown(cancel_futures=True)
                with suppress(ArchiverError):
                    for future, held in under_way.items():
                        if not future.cancelled() and future.exception() is None:
                            self._note(context, held, future, payload=payload, budget=budget)
                    self._write(context)
                raise

    def _note(
        self,
        context: AuditContext,
        held: Held,
        future: Future[Verification | str],
        *,
        payload: bool,
        budget: Budget | None,
    ) -> None:
        """Record the result of verifying a bag."""
        result = future.result()
        findings = self.findings
        if isinstance(result, str):
            findings.unread[held.folder] = result
            context.log.warning("%s cannot be read: %s", shown(held.folder), result)
            self._record_unread(held)
            if len(findings.unread) >= HOPELESS and not findings.reread:
                raise StoreUnavailable("reading", context.root, f"none of {HOPELESS} bags can be read: {result}")
            read = 0
        else:
            read = result.read
            findings.read += read
            self._settle(context, held, result, payload=payload)
        if budget is not None:
            budget.spent(held.sums.size, read)

    def _record_unread(self, held: Held) -> None:
        """Record that a bag could not be read; what earlier audits know of the bag stays, as nothing disproves it."""
        before = self.findings.records.get(held.folder)
        if is_known_damage(held, before):
            return
        unread = Verification("unsettled", sums=held.sums)
        record = self._make_record(held, unread, read=False, outcome="unread")
        if before is not None and before.outcome != "gone":  # a change that nobody could look at is still one
            record = record.model_copy(update={"sizes": before.sizes})
        self._record(record)

    def _settle(self, context: AuditContext, held: Held, result: Verification, *, payload: bool) -> None:
        findings = self.findings
        findings.unread.pop(held.folder, None)
        if result.outcome in {"no bag", "unsettled"}:
            findings.unsettled.add(held.folder)
            context.log.info("%s is being written, or was deleted: the next audit verifies it.", shown(held.folder))
            return
        if result.outcome == "archived class":
            self._pass_over(context, held, result, payload=payload)
            return
        if payload:
            findings.reread.add(held.folder)
        if result.outcome == "damaged":
            self._damage(held, result, read=payload)
            self._urgent = True
            return
        for finding in result.findings:
            context.log.warning("%s%s", shown(held.folder), finding)
        if payload:
            findings.damaged.pop(held.folder, None)
            self._record(self._make_record(held, result, read=True))

    def _pass_over(self, context: AuditContext, held: Held, result: Verification, *, payload: bool) -> None:
        """Note a bag of which files are in an archived storage class.

        Args:
            payload: all files were tried; else the second part of the audit tries the others, too.
        """
        before = self.findings.records.get(held.folder)
        if hides_change(result, before):  # and is not recorded: the next audit looks again
            self.findings.unread[held.folder] = CHANGED
            context.log.warning("%s cannot be read: %s", shown(held.folder), CHANGED)
        elif payload:
            self.findings.passed_over.add(held.folder)
            if not is_known_damage(held, before):
                self._record(self._make_record(held, result, read=False))

    def _damage(self, held: Held, result: Verification, *, read: bool, outcome: str = "damaged") -> None:
        record = self._make_record(held, result, read=read, outcome=outcome)
        self._record(record)
        damage = Damage(held, record, result.details, superseded=self.findings.is_superseded(held.folder))
        self.findings.damaged[held.folder] = damage
        if held.folder not in self._reported:
            self._reported.add(held.folder)
            self._on_damage(damage)

    def _make_record(self, held: Held, result: Verification, *, read: bool, outcome: str = "") -> Record:
        at, before = self._current_time(), self.findings.records.get(held.folder)
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
        self.findings.records[record.folder] = record
        self._unwritten.append(record)

    def _write_if_due(self, context: AuditContext) -> None:
        """Write the records once there are many, or the first of them is old."""
        waited, pause = time.monotonic() - self._written, URGENT_S if self._urgent else WRITTEN_EVERY_S
        if waited >= pause or len(self._unwritten) >= WRITTEN_EVERY:
            self._write(context)

    def _write(self, context: AuditContext) -> None:
        """Write the records that are not written yet."""
        if not self._unwritten:
            return
        context.audit_log.append(self._unwritten, self._current_time())
        self._unwritten, self._urgent = [], False
        self._written = time.monotonic()
        findings = self.findings
        rate = f"{human_size(findings.read / max(findings.seconds, 0.001))}/s"
        context.log.info("%d bags read, %s, %s.", len(findings.reread), human_size(findings.read), rate)
