"""Deletes recordings on purpose: those that the policy of retention lets go, or those that a request names.

uv run python -m flows.expire_archive                       # what the policy would let go; nothing is deleted
uv run python -m flows.expire_archive --delete [--max-deletions N]
uv run python -m flows.expire_archive --recording-id ID … --reason TEXT --by WHO --delete
uv run python -m flows.expire_archive --participant-id ID … --participant-name NAME … --reason TEXT --by WHO --delete
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks import command
from tasks.arguments import Metavar
from tasks.engine import DELETED, EXPIRED, SESSION_DELETED, Engine
from tasks.errors import DeletionIncomplete, FinalError, PolicyChanged, RequestUnclear
from tasks.realtimekit import RecordingId, parse_recording_id
from tasks.retention import (
    Cause,
    Deleted,
    ExpiryReport,
    Request,
    RetentionPlan,
    RetentionSession,
    delete_recording,
    describe_deleted,
    describe_held,
    describe_planned,
    describe_problems,
    plan_deletions,
    rows,
    summarize,
    target_again,
    target_of,
)
from tasks.session import StoreAccess
from tasks.settings import ArchiveSettings, load_settings

if TYPE_CHECKING:
    from tasks.retention import Target

MAX_DELETIONS = 100
MOST_DELETIONS = 100_000

PersonId = Annotated[str, Field(min_length=1, max_length=256), Metavar("ID")]
PersonName = Annotated[str, Field(min_length=1, max_length=256), Metavar("NAME")]
Text = Annotated[str, Field(max_length=500), Metavar("TEXT")]
Count = Annotated[int, Field(ge=1, le=MOST_DELETIONS)]


def expire(
    engine: Engine,
    *,
    delete: bool = False,
    max_deletions: Count = MAX_DELETIONS,
    recording_ids: tuple[RecordingId, ...] = (),
    participant_ids: tuple[PersonId, ...] = (),
    participant_names: tuple[PersonName, ...] = (),
    reason: Text = "",
    by: Text = "",
) -> ExpiryReport:
    """Delete what the archive's policy of retention lets go, or what a request names, and leave a tombstone of each.

    Without delete, only show what would be deleted. Without a policy in the archive, nothing expires.
    What is held by the policy stays, whoever asks. What a run began and did not finish is finished by the next.

    Args:
        delete: Really delete. Without it, nothing is changed.
        max_deletions: Delete at most so many recordings in this run, the oldest first. Deletions that earlier runs have
            begun do not count.
        recording_ids: Delete these recordings now, whatever their age, and no others.
        participant_ids: Delete all recordings and sessions now in which a participant with one of these ids took part,
            exactly as the archive has the id. Such parameters are kept by a Prefect server as long as the run.
        participant_names: The same for names, exactly as the archive has them. Two people may have the same name.
        reason: Why the request is made, for the tombstone, which stays for good. Write no name of a participant here.
        by: Who decided on the request, for the tombstone.

    Raises:
        PolicyInvalid: the policy is not well-formed, or means something that is not there; nothing is deleted.
        RequestUnclear: the request means something that is not there; nothing is deleted.
        DeletionIncomplete: something could not be deleted; the result is in it.
    """
    began = time.monotonic()
    request = Request(tuple(map(parse_recording_id, recording_ids)), participant_ids, participant_names)
    _require_clear(request, reason.strip(), by.strip(), delete=delete)
    settings = load_settings(ArchiveSettings)
    engine.prepare_process()
    session = RetentionSession(settings, StoreAccess(settings), engine.log)
    plan = engine.with_retries(settings)(plan_deletions, session, request, reason.strip())
    expiry = _Expiry(engine, session, plan, request, by.strip())
    report = expiry.run(max_deletions, dry_run=not delete)
    report = report.model_copy(update={"seconds": round(time.monotonic() - began, 3)})
    publish_table(engine, report)
    if delete:
        emit_completed(engine, settings, report)
    if problems := describe_problems(report):
        error = DeletionIncomplete(problems)
        error.result = report
        raise error
    return report


def _require_clear(request: Request, reason: str, by: str, *, delete: bool) -> None:
    if request.is_empty and (reason or by):
        raise RequestUnclear(("reason and by belong to a request; what the policy lets go has a reason by itself",))
    if delete and not request.is_empty and not (reason and by):
        raise RequestUnclear(("a request needs reason (why) and by (who decided): both stay in the tombstone",))


class _Expiry:
    """A run that knows what to do, and does it."""

    def __init__(
        self, engine: Engine, session: RetentionSession, plan: RetentionPlan, request: Request, by: str
    ) -> None:
        self._engine = engine
        self._session = session
        self._plan = plan
        self._request = request
        self._by = by
        self._url = session.settings.archive_url
        self._failed = list(plan.unreadable)
        self._is_stopped = False
        self._skipped = 0

    def run(self, max_deletions: int, *, dry_run: bool) -> ExpiryReport:
        """Delete, or tell what would be deleted."""
        plan = self._plan
        candidates = plan.selection.candidates[:max_deletions]
        if dry_run:
            unfinished = [describe_deleted(tombstone, self._url) for tombstone in plan.unfinished]
            deleted = [describe_planned(its, self._cause(its.reason), self._url) for its in candidates]
        else:
            unfinished = [one for stone in plan.unfinished for one in self._delete(*target_again(stone))]
            deleted = [one for its in candidates for one in self._delete(target_of(its, plan), self._cause(its.reason))]
        return ExpiryReport(
            dry_run=dry_run,
            policy_sha256=plan.policy_sha256,
            requested=not self._request.is_empty,
            looked_at=plan.selection.looked_at,
            deleted=tuple(deleted),
            unfinished=(*unfinished, *(describe_deleted(tombstone, self._url) for tombstone in plan.locked)),
            held=tuple(describe_held(kept, self._url) for kept in plan.selection.held),
            left=len(plan.selection.candidates) - len(candidates) + self._skipped,
            failed=tuple(self._failed),
            notices=tuple(plan.selection.notices),
        )

    def _cause(self, reason: str) -> Cause:
        if self._request.is_empty:
            return Cause("policy", reason, f"the policy of SHA-256 {self._plan.policy_sha256[:16]}")
        return Cause("request", reason, self._by)

    def _delete(self, target: Target, cause: Cause) -> list[Deleted]:
        if self._is_stopped:
            self._skipped += 1
            return []
        run = self._engine.with_retries(self._session.settings)
        try:
            tombstones = run(delete_recording, self._session, target, cause, self._plan.policy_sha256)
        except FinalError as error:  # of this one alone: the others are deleted all the same
            self._engine.log.error("%s %s: %s", target.kind, target.id, error)  # noqa: TRY400 - the text says all
            self._failed.append(f"{target.kind} {target.id}: {error}")
            self._is_stopped = isinstance(error, PolicyChanged)
            return []
        deleted = [describe_deleted(tombstone, self._url) for tombstone in tombstones]
        for its in deleted:
            emit_deleted(self._engine, its)
        return deleted


def emit_deleted(engine: Engine, deleted: Deleted) -> None:
    """Report a deletion in the log and with an event."""
    log = engine.log.info if deleted.state == "deleted" else engine.log.warning
    log("%s %s: %s.", deleted.kind.capitalize(), deleted.id, deleted.state)
    event = DELETED if deleted.kind == "recording" else SESSION_DELETED
    engine.emit(event, deleted.id, deleted.model_dump(mode="json"), deleted.kind)


def publish_table(engine: Engine, report: ExpiryReport) -> None:
    """Log what there is to say, and leave a table in Prefect's UI."""
    for notice in report.notices:
        engine.log.warning("%s.", notice[:1].upper() + notice[1:])
    description = f"{summarize(report)}."
    engine.log.info("%s", description)
    engine.publish_table("expire-archive-plan" if report.dry_run else "expire-archive", rows(report), description)


def emit_completed(engine: Engine, settings: ArchiveSettings, report: ExpiryReport) -> None:
    """Emit the event of a run that has come to its end, with numbers in place of lists."""
    figures = report.model_dump(mode="json", exclude={"deleted", "unfinished", "held", "failed", "notices"})
    counts = {name: len(getattr(report, name)) for name in ("deleted", "unfinished", "held", "failed")}
    engine.emit(EXPIRED, settings.archive_url.removeprefix("s3://"), figures | counts, "expiry")


def main(arguments: list[str] | None = None) -> int:
    """Delete from a terminal, or show what would be deleted.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return command.main(expire, "flows.expire_archive:expire_archive", ArchiveSettings, arguments)


if __name__ == "__main__":
    sys.exit(main())


from typing import Any

from tasks import cli
from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow


def _run_name() -> str:
    return f"expiry of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


@flow(name="expire-archive", flow_run_name=_run_name, persist_result=False)
@command.with_signature_of(expire)
def expire_archive(**parameters: Any) -> ExpiryReport:
    """Delete on purpose."""
    return cli.achieved(expire(PrefectEngine(), **parameters))
