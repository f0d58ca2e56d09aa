"""The stages of a sweep: find what is not archived, then archive it, a few at a time, or hand it out to other runs."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tasks import pipeline
from tasks.archive import missing_labels
from tasks.cancellation import CancellationGroup
from tasks.errors import ArchiverError, DeletedOnPurpose, NothingToDownload, NotUploadedInTime, SourceGone
from tasks.session import Session
from tasks.sweep.plan import merge_plans, plan_sweep
from tasks.text import RecordingLog, human_size
from tasks.transfer import LogLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasks.archive import ArchivedRecording
    from tasks.engine import Engine
    from tasks.realtimekit import Recording
    from tasks.run_history import StartRun
    from tasks.sweep.ledger import Outcome
    from tasks.sweep.plan import Plan
    from tasks.sweep.scope import Scope
    from tasks.sweep.survey import ListedRecording
    from tasks.text import Log
    from tasks.transfer import View


def find_unarchived(session: Session, app_ids: Sequence[str], scope: Scope) -> Plan:
    """Look at all recordings of some apps, and at what is archived of them."""
    plans = []
    for app_id in app_ids:
        with session.for_app(app_id).attempt() as attempt:
            plans.append(plan_sweep(attempt.api, attempt.archive, attempt.store, app_id, scope))
    return merge_plans(plans)


def archive_all(
    engine: Engine,
    todo: Sequence[ListedRecording],
    session: Session,
    at_once: int,
    note: Callable[[ListedRecording, Outcome, ArchivedRecording | None], None],
) -> None:
    """Archive recordings in this run, a few at a time; none that fails stops another.

    Args:
        engine: runs the stage of each.
        todo: in this order.
        session: whose settings, and whose client of the store, all of them share.
        at_once: how many.
        note: given what became of each, and its archive.
    """
    if not todo:
        return
    at_once, cancellation = min(at_once, len(todo)), CancellationGroup()
    with _sessions(engine, session, at_once, cancellation) as idle, ThreadPoolExecutor(at_once) as threads:

        def archive(listed: ListedRecording) -> ArchivedRecording:
            own = idle.get()
            # What becomes of each recording is noted; nobody reads all steps of hundreds of recordings.
            steps = RecordingLog(engine.log, listed.id, info=logging.DEBUG)
            try:
                its_session = own.for_app(listed.app_id).with_log(steps)
                return engine.run_once(archive_one_recording, its_session, listed.id, engine)
            finally:
                idle.put(own)

        # Prefect knows by context variables to which run a task belongs.
        futures = {threads.submit(copy_context().run, archive, listed): listed for listed in todo}
        try:
            for future in as_completed(futures):
                if error := future.exception():
                    note(futures[future], _outcome_of_failure(error), None)
                else:
                    note(futures[future], _outcome(archived := future.result()), archived)
        finally:
            cancellation.cancel()  # a run that is cancelled does not wait for what is under way
            threads.shutdown(cancel_futures=True)


def archive_one_recording(session: Session, recording_id: str, engine: Engine) -> ArchivedRecording:
    """Archive one of many recordings, all stages in one; or find that another run has done it meanwhile.

    Args:
        session: of no other recording that is archived at the same time, as a failure shuts its connections down.
        recording_id: also the name of the task's run.
        engine: emits the event.
    """
    outcome = pipeline.archive_recording(session, recording_id)
    if outcome.transferred is not None:
        engine.emit_archived(outcome.archived)
    return outcome.archived


@contextmanager
def _sessions(
    engine: Engine, session: Session, at_once: int, cancellation: CancellationGroup
) -> Iterator[SimpleQueue[Session]]:
    """Give sessions for so many recordings at once, which together take as many connections as one would."""
    concurrency = max(1, session.settings.transfer_concurrency // at_once)
    settings = session.settings.model_copy(update={"transfer_concurrency": concurrency})
    access, idle = session.store_access, SimpleQueue[Session]()

    def log_lines(recording: Recording, _log: Log) -> list[View]:
        return [LogLines(RecordingLog(engine.log, recording.id))]

    with ExitStack() as stack:
        for _ in range(at_once):
            own = engine.open_session(settings, store_access=access, cancellation=cancellation, views=log_lines)
            idle.put(stack.enter_context(own))
        yield idle


def _outcome(archived: ArchivedRecording) -> Outcome:
    if archived.already_archived and missing_labels(archived.findings):
        return "left", "The API hands out all files in its list, but not in the recording's details."
    if archived.already_archived:
        return "archived", "Another run was faster."
    count = len(archived.files)
    size = f"{human_size(archived.bytes)} in {'1 file' if count == 1 else f'{count} files'}."
    return "archived", " ".join([size, *archived.findings])


def _outcome_of_failure(error: BaseException) -> Outcome:
    match error:
        case SourceGone():
            return "lost", str(error)
        case NothingToDownload():
            return "not_downloadable", error.reason
        case NotUploadedInTime():
            return "still_to_come", error.status
        case DeletedOnPurpose():
            return "deleted", str(error)
        case ArchiverError():
            return "failed", str(error)
        case _:  # the text of what nobody foresaw may hold anything
            return "failed", f"{type(error).__name__}, which nobody foresaw. The log of its task run tells more."


def hand_out_all(
    todo: Sequence[ListedRecording], start: StartRun, own_app: str, note: Callable[[ListedRecording, Outcome], None]
) -> None:
    """Have recordings archived by runs of their own, begun in this order.

    Args:
        todo: in this order.
        start: starts the run of a recording, and returns the run's name and state.
        own_app: the app of the settings, which a run needs not be told.
        note: given what became of each.
    """
    for listed in todo:
        try:
            note(listed, ("handed_out", start(listed.id, "" if listed.app_id == own_app else listed.app_id)))
        except ArchiverError as error:
            note(listed, ("failed", str(error)))
