"""The way of a copy: tombstones first, then month by month, newest first, what the copy has not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.archive import held_at, layout, months_held, session_of
from tasks.copying.bag_copy import (
    ANOTHER,
    compare_manifests,
    copy_bag,
    copy_small_file,
    delete_objects,
    inspect_first,
    is_the_same,
    replace_bag,
)
from tasks.copying.listing import list_month
from tasks.copying.models import CopyProblem
from tasks.copying.tombstones import (
    deleted_folders,
    find_revoked,
    is_deleted,
    is_deletion_certain,
    is_derived_of_deleted,
    list_tombstones,
)
from tasks.restore import BAGS_AT_ONCE
from tasks.workers import A_FEW, Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.archive import Month
    from tasks.copying.context import CopyContext
    from tasks.copying.findings import CopyFindings
    from tasks.copying.listing import ListedBag, ListedMonth

DISPUTED = "the copy has a tombstone of it, and the archive has none"
LAG = timedelta(days=1)
"""For how long a store that replicates by itself may lack a bag before that is a failure."""


@dataclass(frozen=True)
class CopyOptions:
    """What a copy is told."""

    app_ids: tuple[str, ...] = ()
    compare: bool = False  # copy and delete nothing
    max_bags: int = 0  # 0 for any number
    max_deletions: int = 0
    replace: frozenset[str] = frozenset()  # ids of recordings and sessions


class ArchiveCopy:
    """One attempt at a copy, or at a comparison.

    Args:
        context: of the attempt.
        findings: of all attempts.
        options: of the run.
    """

    def __init__(self, context: CopyContext, findings: CopyFindings, options: CopyOptions) -> None:
        self._context = context
        self._findings = findings
        self._options = options
        self._begun = len(findings.copied)
        self._deleted: frozenset[str] = frozenset()
        self._disputed: frozenset[str] = frozenset()  # the copy alone says so
        self._wanted = set(options.replace)  # ids that no bag had so far

    def run(self) -> None:
        """Bring the copy up to date, or compare both.

        Raises:
            StoreUnavailable, StoreRefused: the archive's store.
            CopyUnusable, CopyUnavailable: the copy's store.
        """
        self._findings.begin()
        self._copy_tombstones()
        for month in self._months():
            self._copy_month(month)
        if self._options.max_deletions and not self._options.compare:
            self._abort_uploads_of_deleted()
        for missing in sorted(self._wanted):
            problem = CopyProblem(kind="not archived", path="", detail="no bag of it is in the archive")
            self._findings.note_failure(missing, [problem])

    def _months(self) -> list[Month]:
        context, app_ids = self._context, self._options.app_ids
        with context.at_copy():
            months = set(months_held(context.copy, context.copy_root, app_ids))
        months.update(months_held(context.first, context.first_root, app_ids))
        return sorted(months, key=lambda month: (month.month, month.app_id), reverse=True)

    def _copy_tombstones(self) -> None:
        context, app_ids = self._context, self._options.app_ids
        first = list_tombstones(context.first, context.first_root, app_ids)
        with context.at_copy():
            copies = list_tombstones(context.copy, context.copy_root, app_ids)
        self._deleted, self._disputed = (
            deleted_folders([*first, *copies]),
            deleted_folders(copies.keys() - first.keys()),
        )
        if not self._options.compare:
            with Pool(A_FEW, context.stop) as pool:
                sizes = pool.map(lambda path: copy_small_file(context, path, first[path], copies), first)
            self._findings.tombstones += self._findings.note_sent(sizes)

    def _copy_month(self, month: Month) -> None:
        context = self._context
        first = list_month(context.first, context.first_root, month)
        with context.at_copy():
            copy = list_month(context.copy, context.copy_root, month)
        held = {session_of(folder) or folder for folder in (*first.bags, *copy.bags)}
        self._deleted -= find_revoked(context, held & self._deleted)
        self._note_disputed(first)
        bags = [bag for bag in first.bags.values() if bag.is_bag and not is_deleted(bag.folder, self._deleted)]
        if self._options.compare:
            self._compare(bags, copy)
        else:
            self._copy_bags(bags, copy)
            self._copy_derived(first, copy)
        self._look_at_what_only_the_copy_has(first, copy)

    def _note_disputed(self, first: ListedMonth) -> None:
        """Note what the archive has although the copy alone has a tombstone of it: that is for a person to settle."""
        for folder in (bag.folder for bag in first.bags.values() if bag.is_bag):
            if is_deleted(folder, self._deleted & self._disputed):
                self._findings.note_failure(folder, [CopyProblem(kind="deleted in the copy", path="", detail=DISPUTED)])

    def _copy_bags(self, bags: Sequence[ListedBag], copy: ListedMonth) -> None:
        context, findings = self._context, self._findings
        replaced = [bag for bag in bags if self._is_to_be_replaced(bag.folder)]
        others = [bag for bag in bags if bag not in replaced]
        with Pool(A_FEW, context.stop) as pool:
            are_there = pool.map(lambda bag: self._is_there(bag, copy.bags.get(bag.folder)), others)
        missing = [bag for bag, is_there in zip(others, are_there, strict=True) if not is_there]
        room = max(0, self._options.max_bags - self._begun) if self._options.max_bags else len(missing)
        self._begun += min(room, len(missing))
        findings.left += len(missing[room:])
        with Pool(BAGS_AT_ONCE, context.stop) as pool:
            for bag in missing[:room]:
                pool.submit(lambda folder: findings.note_result(folder, copy_bag(context, folder)), bag.folder)
            for bag in replaced:
                pool.submit(self._replace, bag.folder)
            pool.wait()

    def _is_there(self, first: ListedBag, copy: ListedBag | None) -> bool:
        """Tell whether nothing is to be done about a bag: it is there, or another one is."""
        if copy is None or not copy.is_bag:
            return False
        if not is_the_same(self._context, first, copy):
            _, problems = inspect_first(self._context, first.folder)
            another = CopyProblem(kind="another", path="", detail=ANOTHER)
            self._findings.note_failure(first.folder, problems or [another])
            return True
        if first.sizes != copy.sizes:
            return False
        self._findings.note_there(first.folder)
        return True

    def _is_to_be_replaced(self, folder: str) -> bool:
        held = held_at(folder)
        ids = {held.session_id or held.recording_id} & self._options.replace
        self._wanted -= ids
        return bool(ids) and folder not in self._findings.copied

    def _replace(self, folder: str) -> None:
        outcome = replace_bag(self._context, folder)
        if isinstance(outcome, list):
            self._findings.note_failure(folder, outcome)
        else:
            self._findings.note_result(folder, outcome)

    def _copy_derived(self, first: ListedMonth, copy: ListedMonth) -> None:
        """Copy what was made from the recordings that are whole in the copy."""
        context, whole = self._context, {folder for folder, bag in copy.bags.items() if bag.is_bag}
        whole |= self._findings.copied
        wanted = [
            (path, stored)
            for path, stored in first.derived.items()
            if layout.derived_folder(path) in whole and not is_derived_of_deleted(path, self._deleted)
        ]
        with Pool(A_FEW, context.stop) as pool:
            sizes = pool.map(lambda item: copy_small_file(context, *item, copy.derived), wanted)
        self._findings.derived += self._findings.note_sent(sizes)

    def _compare(self, bags: Sequence[ListedBag], copy: ListedMonth) -> None:
        with Pool(A_FEW, self._context.stop) as pool:
            pool.map(lambda bag: self._compare_bag(bag, copy.bags.get(bag.folder)), bags)

    def _compare_bag(self, first: ListedBag, copy: ListedBag | None) -> None:
        if copy is not None and copy.is_bag:
            if problems := compare_manifests(self._context, first, copy):
                self._findings.note_failure(first.folder, problems)
            else:
                self._findings.note_there(first.folder)
            return
        self._findings.note_left()
        committed = first.files[layout.MARKER].modified
        if committed is None or datetime.now(UTC) - committed > LAG:
            detail = "no bag of it is there" if copy is None else "it has no bagit.txt there"
            self._findings.note_failure(first.folder, [CopyProblem(kind="missing in the copy", path="", detail=detail)])

    def _look_at_what_only_the_copy_has(self, first: ListedMonth, copy: ListedMonth) -> None:
        here = {folder for folder, bag in first.bags.items() if bag.is_bag}
        for folder, bag in copy.bags.items():
            if is_deleted(folder, self._deleted):
                self._settle_deleted(bag, copy, is_archived=folder in here)
            elif bag.is_bag and folder not in here:
                self._findings.only_in_copy.add(folder)
                self._context.log.warning("Only in the copy: %s", folder)

    def _abort_uploads_of_deleted(self) -> None:
        """Abort what a killed copy has left of a file, if its bag was deleted from the archive meanwhile."""
        context = self._context
        with context.at_copy():
            for upload in context.copy.list_uploads_if_supported(context.copy_root) or ():
                key = layout.parse_key(upload.key.removeprefix(context.copy_root))
                if key and is_deleted(key.folder, self._deleted):
                    context.copy.abort(upload)

    def _settle_deleted(self, bag: ListedBag, copy: ListedMonth, *, is_archived: bool) -> None:
        """Delete from the copy what was deleted from the archive, if that is wanted; else report it."""
        findings, options = self._findings, self._options
        is_wanted = not (options.compare or is_archived) and findings.removed < options.max_deletions
        if not is_wanted or not is_deletion_certain(self._context, bag.folder):
            findings.deleted.add(bag.folder)
            return
        derived = [stored for path, stored in copy.derived.items() if layout.derived_folder(path) == bag.folder]
        # The bag's own files last: as long as one of them is there, the next run finds what is left.
        delete_objects(self._context, bag.folder, [*derived, *bag.files.values()])
        findings.removed += 1
        self._context.log.info("Deleted from the copy, as it was deleted from the archive: %s", bag.folder)
