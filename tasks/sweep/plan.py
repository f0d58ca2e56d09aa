"""The plan of a sweep: what to archive, what comes first, and what is lost. `survey` tells what is at risk.

All is decided from two lists, the API's of recordings and the store's of keys, as ten thousand recordings are looked
at every few minutes: no recording is asked about on its own before it is its turn.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasks.archive import can_be_whole, find_deleted, read_missing, stored_files
from tasks.errors import SessionIdInvalid
from tasks.realtimekit import RETENTION, RecordingStatus, parse_session_id
from tasks.sweep.scope import UNDER_WAY
from tasks.sweep.session_schedule import SeenSession
from tasks.sweep.survey import ignore_kept_back_urls, list_recordings, verify_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from tasks.archive import Archive
    from tasks.realtimekit import RealtimeKit
    from tasks.s3 import Store
    from tasks.sweep.scope import Scope
    from tasks.sweep.survey import ListedRecording

PARTIAL_ASKED = 200
"""Archives whose findings are read where the lists raise doubts that they are whole."""


@dataclass(frozen=True)
class Plan:
    """What a sweep found, and is to do; all of it soonest expiry first."""

    to_archive: tuple[ListedRecording, ...] = ()
    already: int = 0  # are archived
    gained: tuple[tuple[ListedRecording, str], ...] = ()  # archived, but the API has more files now: which
    partial: tuple[
        tuple[ListedRecording, tuple[str, ...]], ...
    ] = ()  # archived without some files: what the archives state
    coming: tuple[ListedRecording, ...] = ()  # not uploaded yet
    stuck: tuple[ListedRecording, ...] = ()  # not uploaded for days: somebody has to ask RealtimeKit
    errored: tuple[ListedRecording, ...] = ()  # no file will ever come
    not_downloadable: tuple[ListedRecording, ...] = ()
    lost: tuple[ListedRecording, ...] = ()  # expired, and not archived
    deleted: tuple[tuple[ListedRecording, str], ...] = ()  # not archived, as it was deleted on purpose: what is known
    sessions: tuple[SeenSession, ...] = ()  # of all recordings that are no longer under way


def make_plan(
    recordings: Iterable[ListedRecording],
    archived: Mapping[str, Mapping[str, int]],
    kept: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    partial: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Plan:
    """Decide what is to be done; pure.

    Of a recording whose files are not all handed out, the other files are stored, once. A partial archive is made again
    once all files are handed out.

    What expired without being archived is lost. But recordings that went straight to a storage of the customer's own
    look the same when their time is over: so where the API names such a storage, or hands out nothing at all for any
    of the app's recordings whose time is not over, nothing of the app counts as lost. Where it does hand out others,
    what has no file is overdue.

    Args:
        recordings: all that the sweep is about.
        archived: how many files of each kind the archives hold, by the recording's id.
        kept: the same of what is stored, but is no archive.
        partial: what the archives state that lack files, by the recording's id.
    """
    ordered = sorted(recordings, key=lambda listed: listed.urgency)
    uploaded = [listed for listed in ordered if listed.status == RecordingStatus.UPLOADED]
    others = [listed for listed in ordered if listed.status != RecordingStatus.UPLOADED]
    missing = [listed for listed in uploaded if listed.id not in archived]
    in_time = [listed for listed in uploaded if not listed.gone]
    bucket_off = {listed.app_id for listed in in_time} - {listed.app_id for listed in in_time if listed.files}
    on = {listed.app_id for listed in in_time if listed.files and not listed.elsewhere}
    missing = [
        replace(listed, overdue=True) if listed.app_id in on and _is_overdue(listed) else listed for listed in missing
    ]
    lost = {listed.id for listed in missing if listed.gone and not listed.elsewhere and listed.app_id not in bucket_off}
    more = [(listed, _count_more(listed.files, archived[listed.id])) for listed in uploaded if listed.id in archived]
    todo = [listed for listed in missing if not listed.obstacle or _has_unstored_files(listed, kept.get(listed.id, {}))]
    lacking = [(listed, partial[listed.id]) for listed in uploaded if listed.id in archived and listed.id in partial]
    again = [
        listed
        for listed, findings in lacking
        if not listed.obstacle and can_be_whole(archived[listed.id], findings, listed.files)
    ]
    left = {listed.id for listed in missing} - {listed.id for listed in todo} - lost
    return Plan(
        to_archive=tuple(sorted([*todo, *again], key=lambda listed: listed.urgency)),
        already=len(uploaded) - len(missing) - len(again),
        gained=tuple((listed, gained) for listed, gained in more if gained),
        partial=tuple(lacking),
        coming=tuple(listed for listed in others if not listed.stuck and not listed.is_errored),
        stuck=tuple(listed for listed in others if listed.stuck),
        errored=tuple(listed for listed in others if listed.is_errored),
        not_downloadable=tuple(listed for listed in missing if listed.id in left),
        lost=tuple(listed for listed in missing if listed.id in lost),
        sessions=tuple(_sessions_of(ordered)),
    )


def _sessions_of(recordings: Iterable[ListedRecording]) -> Iterable[SeenSession]:
    """Return the sessions that have recordings, each once; while one is under way, its session has not ended."""
    sessions: dict[tuple[str, str], SeenSession] = {}
    under_way = set()
    for recording in recordings:
        try:
            key = recording.app_id, parse_session_id(recording.session_id)
        except SessionIdInvalid:
            continue
        if recording.status in UNDER_WAY and not recording.stuck:
            under_way.add(key)
        ended = recording.expires - RETENTION if recording.expires else None
        known = sessions.get(key)
        last = max((time for time in (ended, known.ended if known else None) if time), default=None)
        sessions[key] = SeenSession(key[1], recording.app_id, last)
    return (session for key, session in sessions.items() if key not in under_way)


def _has_unstored_files(listed: ListedRecording, kept: Mapping[str, int]) -> bool:
    return not listed.gone and bool(_count_more(listed.files, kept))


def _is_overdue(listed: ListedRecording) -> bool:
    return bool(listed.obstacle) and not listed.gone and not listed.elsewhere and not listed.empty


def _count_more(files: Mapping[str, int], archived: Mapping[str, int]) -> str:
    more = {kind: count - archived.get(kind, 0) for kind, count in files.items()}
    return ", ".join(f"{count} more of {kind}/" for kind, count in sorted(more.items()) if count > 0)


def plan_sweep(api: RealtimeKit, archive: Archive, store: Store, app_id: str, scope: Scope) -> Plan:
    """Look at all of an app's recordings, and at what is archived of them; nothing is changed.

    Raises:
        ApiRefused, ApiNonsense, ApiUnavailable, StoreRefused, StoreUnavailable: half a plan is none.
    """
    recordings = list_recordings(api, archive, app_id, scope)
    uploaded = [listed for listed in recordings if listed.status == RecordingStatus.UPLOADED]
    stored = stored_files(store, {listed.id: listed.folder for listed in uploaded})
    archived = {recording_id: folder.files for recording_id, folder in stored.items() if folder.is_bag}
    kept = {recording_id: folder.files for recording_id, folder in stored.items() if not folder.is_bag}
    found = find_deleted(store, (listed.folder for listed in uploaded if listed.id not in archived))
    # Of a tombstone that cannot be read, the run that is to archive its recording tells: the others are archived.
    deleted = {folder: tombstone for folder, tombstone in found.items() if tombstone is not None}
    alive = [listed for listed in recordings if listed.folder not in deleted]
    alive = verify_empty(api, alive, archived, scope.now)
    alive = list(ignore_kept_back_urls(api, alive, archived))
    plan = make_plan(alive, archived, kept, _read_partial(store, alive, archived, scope.told))
    gone = ((listed, deleted[listed.folder].describe()) for listed in recordings if listed.folder in deleted)
    return replace(plan, deleted=tuple(gone))


def _read_partial(
    store: Store, recordings: Sequence[ListedRecording], archived: Mapping[str, Mapping[str, int]], told: Container[str]
) -> dict[str, tuple[str, ...]]:
    """Return the findings of the archives that state that files are missing, by the recording's id.

    Read are the archives that the last sweep told of, as the API may name no file of a recording whose time is over,
    and those of which the API names more files than they hold. Most of the latter only gained files, and come last.
    """
    doubtful = [
        listed
        for listed in recordings
        if listed.id in archived and (listed.id in told or _names_more(listed, archived[listed.id]))
    ]
    doubtful.sort(key=lambda listed: (listed.id not in told and not listed.unlinked, listed.urgency))
    doubtful = doubtful[:PARTIAL_ASKED]
    stated = read_missing(store, [listed.folder for listed in doubtful])
    return {listed.id: findings for listed, findings in zip(doubtful, stated, strict=True) if findings}


def _names_more(listed: ListedRecording, archived: Mapping[str, int]) -> bool:
    named = Counter(listed.files) + Counter(listed.unlinked) if listed.unlinked else listed.files
    return bool(_count_more(named, archived))


def merge_plans(plans: Iterable[Plan]) -> Plan:
    """Return the plans of several apps as one, soonest expiry first over all of them."""
    plans = list(plans)

    def join(part: Callable[[Plan], Iterable[ListedRecording]]) -> tuple[ListedRecording, ...]:
        return tuple(sorted((listed for plan in plans for listed in part(plan)), key=lambda listed: listed.urgency))

    return Plan(
        to_archive=join(lambda plan: plan.to_archive),
        already=sum(plan.already for plan in plans),
        gained=tuple(listed for plan in plans for listed in plan.gained),
        partial=tuple(listed for plan in plans for listed in plan.partial),
        coming=join(lambda plan: plan.coming),
        stuck=join(lambda plan: plan.stuck),
        errored=join(lambda plan: plan.errored),
        not_downloadable=join(lambda plan: plan.not_downloadable),
        lost=join(lambda plan: plan.lost),
        deleted=tuple(listed for plan in plans for listed in plan.deleted),
        sessions=tuple(session for plan in plans for session in plan.sessions),
    )
