"""The stages of a run of the retention, and what they work with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

from tasks.archive import Tombstone, find_tombstone, list_unfinished
from tasks.errors import PolicyChanged, TombstoneUnreadable
from tasks.retention.deletion import Cause, Deletion
from tasks.retention.facts import Facts
from tasks.retention.listing import Folder, list_folders
from tasks.retention.policy import find_policy_sha256, policy_key, read_policy
from tasks.retention.removal import Target
from tasks.retention.selection import Kept, Selection, Selector
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from tasks.retention.grouping import Candidate
    from tasks.retention.policy import Policy
    from tasks.retention.selection import Request
    from tasks.s3 import Store
    from tasks.session import StoreAccess
    from tasks.settings import ArchiveSettings
    from tasks.text import Log


@dataclass(frozen=True)
class RetentionSession:
    """What all stages of a run share."""

    settings: ArchiveSettings
    store_access: StoreAccess
    log: Log

    @contextmanager
    def attempt(self) -> Iterator[Store]:
        """Give the store for one attempt at a stage."""
        stop = Event()
        try:
            yield self.store_access.store(stop)
        finally:
            stop.set()


@dataclass
class RetentionPlan:
    """What is to be done."""

    made_at: datetime
    policy: Policy | None = None
    policy_sha256: str = ""
    selection: Selection = field(default_factory=Selection)
    unfinished: list[Tombstone] = field(default_factory=list)  # deletions that began earlier
    locked: list[Tombstone] = field(default_factory=list)  # of these, what a lock of the store keeps
    unreadable: list[str] = field(default_factory=list)  # why others of them cannot go on


def plan_deletions(session: RetentionSession, request: Request, reason: str) -> RetentionPlan:
    """Decide what is to be deleted, and find the deletions that are not finished; nothing is changed.

    Raises:
        PolicyInvalid, RequestUnclear: nothing is to be deleted, then.
        StoreRefused, StoreUnavailable: the archive cannot be listed.
    """
    now = datetime.now(UTC)
    root = session.settings.root
    with session.attempt() as store:
        known = read_policy(store, root)
        policy, sha256 = known or (None, "")
        folders = list_folders(store, root)
        plan = RetentionPlan(now, policy, sha256, Selection(looked_at=len(folders)))
        unfinished = _find_unfinished(store, root, folders, plan)
        hidden_ids = {tombstone.id for tombstone in unfinished if tombstone.kind == "recording"}
        selector = Selector(store, root, now.date(), folders, hidden_ids)
        target = f"s3://{store.bucket}/{policy_key(root)}"
        if not request.is_empty:
            plan.selection = selector.by_request(request, policy, target, reason, finishing=bool(unfinished))
        elif policy is not None:
            plan.selection = selector.by_policy(policy, target)
        for tombstone in unfinished:
            _sort_in(tombstone, selector, plan, now)
        _leave_sessions_to_recordings(plan)
        return plan


def _find_unfinished(store: Store, root: str, here: Container[str], plan: RetentionPlan) -> list[Tombstone]:
    """Return the tombstones of deletions that are not finished: they have begun, or something has come back since.

    One that cannot be read is noted in the plan: nobody knows what it is about, and all others go on.
    """

    def read(folder: str) -> Tombstone | TombstoneUnreadable | None:
        try:
            return find_tombstone(store, root + folder)
        except TombstoneUnreadable as unreadable:
            return unreadable

    found = a_few_at_a_time(read, list_unfinished(store, root, here))
    plan.unreadable += [str(its) for its in found if isinstance(its, TombstoneUnreadable)]
    return [its for its in found if isinstance(its, Tombstone) and its.is_in_force]


def _sort_in(tombstone: Tombstone, selector: Selector, plan: RetentionPlan, now: datetime) -> None:
    """Note what is to become of an unfinished deletion: a hold or a lock of the store keeps it, or it is finished."""
    selection, folder = plan.selection, selector.folders.get(tombstone.folder)
    if folder is None and (held := _hold_of_hidden(tombstone, plan.policy)):
        selection.held.append(Kept(Folder(tombstone.folder), f"{held}; older versions of it are left"))
        return
    hold = selector.hold_of_rest(tombstone.folder, plan.policy)
    same = [candidate for candidate in selection.candidates if candidate.folder.path == tombstone.folder]
    if hold and folder is not None:
        selection.held.append(Kept(folder, f"{hold}; its deletion began on {tombstone.begun_at:%Y-%m-%d}"))
    elif folder is None and tombstone.is_locked(now):
        plan.locked.append(tombstone)
    else:
        also = dict.fromkeys((*tombstone.with_sessions, *(path for candidate in same for path in candidate.sessions)))
        holds = {path: hold for path in also if (hold := selector.hold_of_rest(path, plan.policy))}
        selection.notices += [f"session {selector.folders[path].id} is kept: {hold}" for path, hold in holds.items()]
        sessions = tuple(path for path in also if path not in holds)
        plan.unfinished.append(tombstone.model_copy(update={"with_sessions": sessions}))
    selection.candidates = [candidate for candidate in selection.candidates if candidate not in same]


def _hold_of_hidden(tombstone: Tombstone, policy: Policy | None) -> str:
    """Return why the older versions of a recording are held of which nothing is visible; empty if they are not."""
    hidden = Facts(tombstone.kind, tombstone.id, tombstone.app_id, tombstone.session_id)
    return policy.hold_of(hidden, or_may=False) if policy is not None else ""


def _leave_sessions_to_recordings(plan: RetentionPlan) -> None:
    """Let documents go with their recording, and not by their own tombstones: as long as its marker stays, they do."""
    going = {path for stone in plan.unfinished if stone.kind == "recording" for path in stone.with_sessions}
    plan.unfinished = [stone for stone in plan.unfinished if stone.folder not in going]


def delete_recording(session: RetentionSession, target: Target, cause: Cause, policy_sha256: str) -> list[Tombstone]:
    """Delete a recording, with the documents of its session where they go with it; return what came of it.

    Args:
        session: what all stages share.
        target: what is to be deleted.
        cause: why.
        policy_sha256: of the policy by which that was decided; empty if there was none.

    Raises:
        PolicyChanged: the policy is another one by now, and may hold the recording; nothing is deleted, then.
    """
    with session.attempt() as store:
        if find_policy_sha256(store, session.settings.root) != policy_sha256:
            raise PolicyChanged(f"s3://{store.bucket}/{policy_key(session.settings.root)}")
        deletion = Deletion(store, session.settings.root, datetime.now(UTC), session.log)
        return deletion.delete(target, cause)


def target_of(candidate: Candidate, plan: RetentionPlan) -> Target:
    """Return what is to be deleted for a candidate of a plan."""
    folder = candidate.folder
    return Target(folder.kind, folder.id, folder.path, candidate.session_id, candidate.sessions, plan.made_at)


def target_again(tombstone: Tombstone) -> tuple[Target, Cause]:
    """Return what a tombstone says is to be deleted, and why."""
    sessions = tombstone.with_sessions
    target = Target(tombstone.kind, tombstone.id, tombstone.folder, tombstone.session_id, sessions, tombstone.begun_at)
    return target, Cause(tombstone.cause, tombstone.reason, tombstone.by)
