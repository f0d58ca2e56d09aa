"""The ledger of a sweep: what becomes of each recording, from the plan to the result."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from tasks.archive import describe_missing
from tasks.figures import RecordingFigures, sum_up
from tasks.sweep.report import COLUMNS, NOT_ARCHIVED, Sweep, Swept
from tasks.sweep.survey import SOON

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from tasks.archive import ArchivedRecording
    from tasks.sweep.plan import Plan
    from tasks.sweep.report import SweptApp
    from tasks.sweep.scope import Scope
    from tasks.sweep.sessions import SessionSweep
    from tasks.sweep.survey import ListedRecording
    from tasks.text import Log

Outcome: TypeAlias = tuple[str, str]
"""The list of the result that a recording goes to, and what there is to say."""
REASON = 500
"""Characters of a reason that are kept."""
AND_PARTIAL = "; as others are still missing, it takes --partial, too"


class Ledger:
    """Notes what becomes of each recording, as far as it is known.

    Args:
        plan: what was found.
        scope: which recordings it is about.
        announced: which of them a webhook had started a run of, as far as Prefect can tell.
        log: told of each.
    """

    def __init__(self, plan: Plan, scope: Scope, announced: Mapping[str, bool], log: Log) -> None:
        self._plan = plan
        self._scope = scope
        self._announced = announced
        self._log = log
        self._to_go = 0
        self._transferred: list[RecordingFigures] = []
        self._lists: dict[str, list[Swept]] = defaultdict(list)
        self._lists["lost"] = [self._swept(listed, listed.obstacle) for listed in plan.lost]
        self._lists["not_downloadable"] = [self._swept(listed, listed.obstacle) for listed in plan.not_downloadable]
        self._lists["still_to_come"] = [self._swept(listed, listed.status) for listed in plan.coming]
        self._lists["stuck"] = [self._swept(listed, listed.status) for listed in plan.stuck]
        self._lists["deleted"] = [self._swept(listed, f"{known}.") for listed, known in plan.deleted]
        self._lists["errored"] = [self._swept(listed) for listed in plan.errored]
        self._partly = {listed.id for listed, _ in plan.partial}
        again = self._partly & {listed.id for listed in plan.to_archive}
        self._lists["gained_files"] = [
            self._swept(listed, f"{more}{AND_PARTIAL if listed.id in self._partly - again else ''}")
            for listed, more in plan.gained
        ]
        self._lists["partial"] = [
            self._swept(listed, f"{describe_missing(stated)} {self._prospect(listed, again)}")
            for listed, stated in plan.partial
        ]
        counts = (len(plan.to_archive), plan.already, len(plan.coming), len(plan.not_downloadable), len(plan.lost))
        log.info("%d to archive, %d archived already, %d still to come, %d not downloadable, %d lost.", *counts)

    def todo(self, limit: int, elsewhere: Container[str]) -> Sequence[ListedRecording]:
        """Return what to archive now, soonest expiry first; all else is noted as left.

        Args:
            limit: at most so many; 0 for all.
            elsewhere: what other runs are at work on. It is left to them, unless it is at risk: a run that died with
                its machine looks as if it were at work, and a second one does no harm.
        """
        mine = []
        for listed in self._plan.to_archive:
            if listed.id in elsewhere and not listed.is_at_risk(self._scope):
                self._lists["under_way"].append(self._swept(listed))
            else:
                mine.append(listed)
        todo = mine[: limit or None]
        self.leave(mine[len(todo) :])
        self._to_go = len(todo)
        return todo

    def leave(self, ones: Iterable[ListedRecording]) -> None:
        """Note that recordings are left for the next sweep."""
        self._lists["left"] += [self._swept(listed) for listed in ones]

    def note(self, listed: ListedRecording, outcome: Outcome, archived: ArchivedRecording | None = None) -> None:
        """Note what became of a recording.

        Args:
            listed: the recording.
            outcome: what became of it.
            archived: its archive, if this sweep has one for it.
        """
        name, reason = outcome
        if archived is not None and not archived.already_archived:
            self._transferred.append(RecordingFigures.model_validate(archived))
        if name == "archived" and listed.id in self._partly:
            reason = f"{reason} It replaces an archive without some of these files."
            for of_it in ("partial", "gained_files"):
                self._lists[of_it] = [swept for swept in self._lists[of_it] if swept.recording_id != listed.id]
        self._lists[name].append(self._swept(listed, reason))
        self._to_go -= 1
        place = f" {archived.archive_url}" if archived is not None else ""
        self._log.info("Recording %s: %s.%s %s %d to go.", listed.id, COLUMNS[name], place, reason, self._to_go)

    def result(
        self,
        sessions: Sequence[SessionSweep] = (),
        apps_failed: tuple[SweptApp, ...] = (),
        *,
        dry_run: bool,
        retries: int = 0,
    ) -> Sweep:
        """Return what the sweep returns.

        Args:
            sessions: what became of each app's sessions.
            apps_failed: what could not be looked at.
            dry_run: whether nothing was done.
            retries: stages that the sweep has run again.
        """
        plan, scope = self._plan, self._scope
        in_danger = {listed.id for listed in plan.to_archive if listed.is_at_risk(scope)} - self._partly
        in_danger |= {listed.id for listed in plan.not_downloadable if listed.overdue and listed.is_at_risk(scope)}
        kept_from = [swept for name in NOT_ARCHIVED for swept in self._lists[name] if swept.recording_id in in_danger]
        kept_from.sort(key=lambda swept: (swept.expires_at or SOON, swept.recording_id))
        lists = {name: tuple(ones) for name, ones in self._lists.items()}
        of_sessions = {
            f"sessions_{name}": tuple(swept for sweep in sessions for swept in getattr(sweep, name))
            for name in ("archived", "failed", "overdue", "left")
        }
        figures = sum_up(self._transferred)
        return Sweep(
            dry_run=dry_run,
            already_archived=plan.already,
            at_risk=tuple(kept_from),
            figures=figures.model_copy(update={"retries": figures.retries + retries}),
            seconds=round((datetime.now(UTC) - scope.now).total_seconds(), 1),
            **lists,
            **of_sessions,
            apps_failed=apps_failed,
        )

    def _prospect(self, listed: ListedRecording, again: Container[str]) -> str:
        if listed.id in again:
            return "By now the API hands out all files: the recording is to be archived again."
        if listed.expires is not None and listed.expires <= self._scope.now:
            return "The 7 days are over: nothing brings back what is missing."
        return "The recording is archived again once the API hands out all files."

    def _swept(self, listed: ListedRecording, reason: str = "") -> Swept:
        return Swept(
            recording_id=listed.id,
            app_id=listed.app_id,
            invoked_time=listed.invoked,
            expires_at=listed.expires,
            reason=reason[:REASON],
            announced=self._announced.get(listed.id),
        )
