"""The way of a recording, from its id to a verified, committed archive: start reading here.

    fetch_details        what RealtimeKit says of the recording
    find_archive         whether it is archived, and whole: then there is nothing to do
    wait_until_uploaded  until its files can be downloaded
    transfer_media       every byte into the store, resumed where an earlier run was ended, each file proved
    commit_archive       checksums and metadata, and the marker last: from then on it is visible as archived

`archive_recording` tells their order, and is the only place that does. The flow runs each stage as a task of Prefect's,
a command without a Prefect server runs each with retries, and the sweep runs them all in one task.
What belongs to the recording's session follows afterwards, see `session_pipeline`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar

from tasks.archive import can_be_completed, require_not_deleted, revoke_tombstone
from tasks.errors import ArchiverError, TransferStopped
from tasks.realtimekit import require_media, require_some_media
from tasks.text import human_size
from tasks.transfer import Transferred, show_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.archive import ArchivedRecording
    from tasks.realtimekit import Recording
    from tasks.session import Session

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS_S = [5.0, 20.0, 60.0]
"""Between the attempts at a stage; the last one counts for all that follow."""
TITLE_S = 2.0
"""How long a meeting's title is waited for at the most."""


@dataclass(frozen=True)
class Options:
    """What a person may want of an archive, besides that there is one."""

    wait_timeout_s: float = 0.0  # how long to wait for a recording that is not uploaded yet
    overwrite: bool = False  # archive it again, although it is archived
    accept_size: bool = False  # take another size than the API announces, if the source holds it twice alike
    partial: bool = False  # archive without the files that have no usable URL
    keep_names: bool = False  # with overwrite: replace no archive that has a track of another name
    despite_deletion: bool = False  # archive it although it was deleted on purpose


class RunStage(Protocol):
    """Runs one stage: as it is, or again after an error that is worth it."""

    def __call__(self, stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the stage, and return its result."""


class Outcome(NamedTuple):
    """An archive, and what the transfer took; None if the recording was archived already."""

    archived: ArchivedRecording
    transferred: Transferred | None
    recording: Recording  # as last seen


def run_once(stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a stage as it is."""
    return stage(*args, **kwargs)


def archive_recording(
    session: Session, recording_id: str, options: Options | None = None, run: RunStage = run_once
) -> Outcome:
    """Archive one recording, or find that it is archived.

    Args:
        session: the run's clients.
        recording_id: in its canonical form.
        options: what a person wants.
        run: how each stage is run.

    Raises:
        NotUploadedInTime: the wait was too short; the recording as last seen is in it.
        ArchiverError: whatever a stage meets; final or worth retrying, as the error says.
    """
    options = options or Options()
    recording = run(fetch_details, session, recording_id)
    if options.despite_deletion:
        run(revoke_deletion, session, recording)
    # Before the wait: of a recording whose seven days are over, only the archive is left.
    if not options.overwrite and (archived := run(find_archive, session, recording)):
        if not can_be_completed(archived, recording):
            return Outcome(archived, None, recording)
        options = replace(
            options, overwrite=True, keep_names=True
        )  # it states that files are missing: now all are there
    ready = run(wait_until_uploaded, session, recording, options.wait_timeout_s)
    # While this run waited, another may have archived it.
    if ready is not recording and not options.overwrite and (archived := run(find_archive, session, ready)):
        return Outcome(archived, None, ready)
    transferred = run(transfer_media, session, ready, options)
    archived = run(commit_archive, session, ready, transferred, options)
    return Outcome(_with_figures(archived, transferred, ready, options), transferred, ready)


def fetch_details(session: Session, recording_id: str) -> Recording:
    """Fetch a recording's details from the API."""
    with session.attempt() as attempt:
        recording = attempt.api.recording(recording_id)
    session.log.info("Recording %s is %s, with %d media files.", recording.id, recording.status, len(recording.media))
    return recording


def find_archive(session: Session, recording: Recording) -> ArchivedRecording | None:
    """Look whether the recording is archived, and whole; nothing in the store is changed.

    Raises:
        DeletedOnPurpose: it is not archived, as it was deleted.
    """
    with session.attempt() as attempt:
        archived = attempt.archive.find(recording)
        if archived is None:
            require_not_deleted(attempt.store, attempt.archive.folder(recording))
    if archived is not None:
        session.log.info("Already archived, and whole: %s", archived.archive_url)
    return archived


def revoke_deletion(session: Session, recording: Recording) -> None:
    """Let a recording be archived again that was deleted on purpose; its tombstone says so from then on."""
    with session.attempt() as attempt:
        folder = attempt.archive.folder(recording)
        if revoke_tombstone(attempt.store, session.settings.root, folder, datetime.now(UTC)):
            session.log.warning("Recording %s was deleted on purpose, and is archived again.", recording.id)


def wait_until_uploaded(session: Session, recording: Recording, timeout_s: float) -> Recording:
    """Wait until the recording is UPLOADED and can be downloaded."""
    with session.attempt() as attempt:
        interval_s = session.settings.poll_interval
        ready = attempt.api.wait_until_uploaded(recording, timeout_s=timeout_s, interval_s=interval_s, log=session.log)
    require_some_media(ready)
    return ready


def transfer_media(session: Session, recording: Recording, options: Options) -> Transferred:
    """Bring every media file into the store; with `overwrite`, beside what is archived, which stays as it is.

    With `partial`, files without a usable URL may be missing, but none of those that the archive has.
    """
    tally = session.new_tally()
    with session.attempt() as attempt, show_progress(tally, session.views(recording)):
        if options.overwrite:  # else it was checked when no archive was found
            require_not_deleted(attempt.store, attempt.archive.folder(recording))
        transfer = attempt.transfer(recording, tally)
        payloads = attempt.payloads(recording, accept_size=options.accept_size)
        attempt.archive.require_lockable()
        if options.overwrite:  # of what is archived, nothing is in danger
            attempt.archive.require_unlocked(recording)
            if not options.partial:
                require_media(recording)
            by_name = options.partial or options.keep_names
            attempt.archive.require_no_loss(recording, [payload.path for payload in payloads], by_name=by_name)
        started = time.monotonic()
        files = transfer.transfer_all(payloads, keep_existing=options.overwrite)
    seconds, fetched = time.monotonic() - started, sum(file.done - file.already for file in tally.files())
    transferred = Transferred(files, fetched, seconds, transfer.links.refreshes, transfer.resumes)
    session.log.info("%s", transferred)
    return transferred


def commit_archive(
    session: Session, recording: Recording, transferred: Transferred, options: Options
) -> ArchivedRecording:
    """Make the recording's archive visible, whole and at once."""
    recording = _with_title(session, recording)
    with session.attempt() as attempt:
        archived = attempt.transfer(recording, session.new_tally()).commit(
            attempt.archive,
            recording,
            transferred.files,
            overwrite=options.overwrite,
            partial=options.partial,
        )
    session.log.info(
        "Archived: %s (%d files, %s)", archived.archive_url, len(archived.files), human_size(archived.bytes)
    )
    return archived


def _with_figures(
    archived: ArchivedRecording, transferred: Transferred, recording: Recording, options: Options
) -> ArchivedRecording:
    """Return a result with what the transfer took, and how long the recording had ended before it was archived.

    An archive that another run committed, or that replaces one, says nothing of how long its recording was without one.
    """
    effort = {"refreshes": transferred.refreshes, "resumes": transferred.resumes}
    ended = recording.stopped_time
    is_first = not options.overwrite and not archived.already_archived
    lag_s = max(0.0, round((datetime.now(UTC) - ended).total_seconds(), 1)) if ended and is_first else None
    return archived.model_copy(update={**effort, "lag_s": lag_s})


def _with_title(session: Session, recording: Recording) -> Recording:
    """Return the recording with its meeting's title, which the session's details have; as it is if they do not come.

    They are asked for once, and for two seconds: no recording waits for a title.
    """
    if recording.title or not recording.session_id:
        return recording
    try:
        with session.limited(TITLE_S, patience_s=0) as limited, limited.attempt() as attempt:
            meeting = attempt.meeting_sessions.session(recording.session_id)
    except TransferStopped:
        raise
    except ArchiverError as error:
        session.log.info("The title of the meeting of recording %s is not known. %s", recording.id, error)
        return recording
    return recording.with_meeting(meeting.meeting_id, meeting.title)
