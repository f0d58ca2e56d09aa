"""Knows what a sweep has to do: what is uploaded, what of it is archived, what comes first, and what is in danger.

All is decided from two lists, the API's of recordings and the store's of keys, as ten thousand recordings are looked
at every few minutes: no recording is asked about on its own before it is its turn.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasks.archive import can_be_whole, read_missing, stored_files
from tasks.errors import ApiRefused, NothingToDownload, RecordingNotFound
from tasks.realtimekit import require_media
from tasks.sweep.scope import STUCK

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from tasks.archive import Archive
    from tasks.realtimekit import RealtimeKit, Recording
    from tasks.s3 import Store
    from tasks.sweep.scope import Look, Scope

EMPTY_ASKED = 50
"""Recordings, soonest expiry first, whose details are asked for where the list says that they have no file."""
PARTIAL_ASKED = 200
"""Archives whose findings are read where the lists raise doubts that they are whole."""
SOON = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Listed:
    """What the API's list tells of a recording, as far as a sweep needs it: no URL, and little memory."""

    id: str
    app_id: str
    status: str
    invoked: datetime | None
    expires: datetime | None  # see `Recording.expires`
    folder: str  # of its bag
    files: Mapping[str, int] = field(default_factory=dict)  # how many the API hands out, by kind
    unlinked: Mapping[str, int] = field(default_factory=dict)  # how many others it names without a usable URL, by kind
    obstacle: str = ""  # why it cannot be downloaded; empty if it can
    gone: bool = False  # the obstacle is that its seven days are over
    elsewhere: bool = False  # the API names a storage of the customer's own
    empty: bool = False  # the API says, while its time is not over, that there is no file: nobody spoke
    stuck: bool = False  # it should have been uploaded long ago, and is not
    overdue: bool = False  # uploaded without a usable URL, though the API does hand out others of the app's

    @property
    def urgency(self) -> tuple[datetime, str]:
        """What to sort by, soonest expiry first; what nobody knows the expiry of may expire at any moment."""
        return self.expires or SOON, self.id

    @property
    def is_errored(self) -> bool:
        """Whether RealtimeKit failed, and no file will ever come."""
        return self.status == "ERRORED"

    def is_at_risk(self, scope: Scope) -> bool:
        """Tell whether it may be gone soon."""
        return self.expires is None or self.expires - scope.now <= scope.at_risk


def listed(recording: Recording, app_id: str, folder: str, now: datetime, *, expired: bool) -> Listed:
    """Return what a sweep needs to know of a recording.

    Args:
        folder: of its bag.
        expired: whether the API lists it among those that have left RealtimeKit's bucket; a recording that still has
            its URLs before its time is over is not taken for lost.
    """
    left = recording.has_left_the_bucket(now)
    obstacle = _obstacle(recording, now) if recording.status == "UPLOADED" else ""
    if expired and left:
        obstacle = obstacle or "it has left RealtimeKit's bucket, which keeps files for 7 days."
    return Listed(
        id=recording.id,
        app_id=app_id,
        status=recording.status,
        invoked=recording.day,
        expires=recording.expires,
        folder=folder,
        files=dict(Counter(media.kind for media in recording.media)),
        unlinked=dict(Counter(label.split("/")[0] for label in recording.without_url)),
        obstacle=obstacle,
        gone=bool(obstacle) and (left or expired),
        elsewhere=recording.is_elsewhere,
        empty=recording.has_no_tracks and not left,
        stuck=recording.status not in {"UPLOADED", "ERRORED"} and _is_late(recording, now),
        overdue=bool(recording.without_url),
    )


def _is_late(recording: Recording, now: datetime) -> bool:
    return recording.day is not None and now - recording.day > STUCK


def _obstacle(recording: Recording, now: datetime | None = None) -> str:
    try:
        require_media(recording, now)
    except NothingToDownload as nothing:
        return nothing.reason
    return ""


def all_listed(api: RealtimeKit, archive: Archive, app_id: str, scope: Scope) -> list[Listed]:
    """Return all of an app's recordings that a sweep is about, each once, as last seen."""
    found: dict[str, Listed] = {}
    for look in scope.looks():

        def summary(recording: Recording, expired: bool = look.expired) -> Listed:  # noqa: FBT001 - bound for the loop
            return listed(recording, app_id, archive.folder(recording), scope.now, expired=expired)

        found |= {one.id: one for one in _looked(api, look, summary)}
    return list(found.values())


def _looked(api: RealtimeKit, look: Look, summary: Callable[[Recording], Listed]) -> Iterable[Listed]:
    try:
        return list(api.recordings(look.filters, summary, since=look.since, before=look.before))
    except ApiRefused as refused:
        if look.otherwise is None or refused.status not in {400, 422}:
            raise
    return api.recordings(look.otherwise, summary, since=look.since, before=look.before)


@dataclass(frozen=True)
class Plan:
    """What a sweep found, and is to do; all of it soonest expiry first."""

    to_archive: tuple[Listed, ...] = ()
    already: int = 0  # are archived
    gained: tuple[tuple[Listed, str], ...] = ()  # archived, but the API has more files now: which
    partial: tuple[tuple[Listed, tuple[str, ...]], ...] = ()  # archived without some files: what the archives state
    coming: tuple[Listed, ...] = ()  # not uploaded yet
    stuck: tuple[Listed, ...] = ()  # not uploaded for days: somebody has to ask RealtimeKit
    errored: tuple[Listed, ...] = ()  # no file will ever come
    not_downloadable: tuple[Listed, ...] = ()
    lost: tuple[Listed, ...] = ()  # expired, and not archived


def planned(
    recordings: Iterable[Listed],
    archived: Mapping[str, Mapping[str, int]],
    kept: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    partial: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Plan:
    """Decide what is to be done.

    Of a recording whose files are not all handed out, the others are brought into safety, once. An archive that states
    that files are missing is made again once all files are handed out.

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
    ordered = sorted(recordings, key=lambda one: one.urgency)
    uploaded = [one for one in ordered if one.status == "UPLOADED"]
    others = [one for one in ordered if one.status != "UPLOADED"]
    missing = [one for one in uploaded if one.id not in archived]
    in_time = [one for one in uploaded if not one.gone]
    bucket_off = {one.app_id for one in in_time} - {one.app_id for one in in_time if one.files}
    on = {one.app_id for one in in_time if one.files and not one.elsewhere}
    missing = [replace(one, overdue=True) if one.app_id in on and _is_overdue(one) else one for one in missing]
    lost = {one.id for one in missing if one.gone and not one.elsewhere and one.app_id not in bucket_off}
    more = [(one, _gained(one.files, archived[one.id])) for one in uploaded if one.id in archived]
    todo = [one for one in missing if not one.obstacle or _is_unsafe(one, kept.get(one.id, {}))]
    lacking = [(one, partial[one.id]) for one in uploaded if one.id in archived and one.id in partial]
    again = [
        one for one, findings in lacking if not one.obstacle and can_be_whole(archived[one.id], findings, one.files)
    ]
    left = {one.id for one in missing} - {one.id for one in todo} - lost
    return Plan(
        to_archive=tuple(sorted([*todo, *again], key=lambda one: one.urgency)),
        already=len(uploaded) - len(missing) - len(again),
        gained=tuple((one, gained) for one, gained in more if gained),
        partial=tuple(lacking),
        coming=tuple(one for one in others if not one.stuck and not one.is_errored),
        stuck=tuple(one for one in others if one.stuck),
        errored=tuple(one for one in others if one.is_errored),
        not_downloadable=tuple(one for one in missing if one.id in left),
        lost=tuple(one for one in missing if one.id in lost),
    )


def _is_unsafe(one: Listed, kept: Mapping[str, int]) -> bool:
    return not one.gone and bool(_gained(one.files, kept))


def _is_overdue(one: Listed) -> bool:
    return bool(one.obstacle) and not one.gone and not one.elsewhere and not one.empty


def _gained(files: Mapping[str, int], archived: Mapping[str, int]) -> str:
    more = {kind: count - archived.get(kind, 0) for kind, count in files.items()}
    return ", ".join(f"{count} more of {kind}/" for kind, count in sorted(more.items()) if count > 0)


def plan_for(api: RealtimeKit, archive: Archive, store: Store, app_id: str, scope: Scope) -> Plan:
    """Look at all of an app's recordings, and at what is archived of them; nothing is touched.

    Raises:
        ApiRefused, ApiNonsense, ApiUnavailable, StoreRefused, StoreUnavailable: half a plan is none.
    """
    found: Sequence[Listed] = all_listed(api, archive, app_id, scope)
    stored = stored_files(store, {one.id: one.folder for one in found if one.status == "UPLOADED"})
    archived = {recording_id: its.files for recording_id, its in stored.items() if its.is_bag}
    kept = {recording_id: its.files for recording_id, its in stored.items() if not its.is_bag}
    found = _asked_again(api, found, archived, scope.now)
    doubtful = sorted((one for one in found if _is_doubtful(one, archived)), key=lambda one: one.urgency)
    # A few of them, as any may be without files for good, or deleted meanwhile.
    if any(_kept_back(api, one) for one in {one.id: one for one in (*doubtful[:2], *doubtful[-1:])}.values()):
        found = [one if one.gone else replace(one, obstacle="") for one in found]
    return planned(found, archived, kept, _partial(store, found, archived, scope.told))


def _partial(
    store: Store, found: Sequence[Listed], archived: Mapping[str, Mapping[str, int]], told: Container[str]
) -> dict[str, tuple[str, ...]]:
    """Return what the archives state that lack files, by the recording's id.

    Those are read that the last sweep told of, as the API may name no file of a recording whose time is over, and those
    of which the API names more files than they hold. Most of these only gained files, so that the others come first.
    """
    doubtful = [one for one in found if one.id in archived and (one.id in told or _is_less(one, archived[one.id]))]
    doubtful.sort(key=lambda one: (one.id not in told and not one.unlinked, one.urgency))
    doubtful = doubtful[:PARTIAL_ASKED]
    stated = read_missing(store, [one.folder for one in doubtful])
    return {one.id: findings for one, findings in zip(doubtful, stated, strict=True) if findings}


def _is_less(one: Listed, archived: Mapping[str, int]) -> bool:
    named = Counter(one.files) + Counter(one.unlinked) if one.unlinked else one.files
    return bool(_gained(named, archived))


def _asked_again(
    api: RealtimeKit, found: Sequence[Listed], archived: Container[str], now: datetime
) -> Sequence[Listed]:
    """Return what is known once the details were asked of recordings that the list says to have no file.

    A list may leave out the files of all track recordings. So nobody's silence is believed by the list alone.
    """
    empty = sorted((one for one in found if one.empty and one.id not in archived), key=lambda one: one.urgency)
    asked = {one.id: _detailed(api, one, now) for one in empty[:EMPTY_ASKED]}
    return [asked.get(one.id, replace(one, empty=False)) for one in found]


def _detailed(api: RealtimeKit, one: Listed, now: datetime) -> Listed:
    try:
        return listed(api.recording(one.id), one.app_id, one.folder, now, expired=False)
    except RecordingNotFound:
        return replace(one, empty=False)


def _is_doubtful(one: Listed, archived: Container[str]) -> bool:
    return bool(one.obstacle) and not one.gone and one.id not in archived


def _kept_back(api: RealtimeKit, doubtful: Listed) -> bool:
    """Tell whether the API hands out in a recording's details what its list does not: then the list proves nothing."""
    try:
        return not _obstacle(api.recording(doubtful.id))
    except RecordingNotFound:
        return False


def merged(plans: Iterable[Plan]) -> Plan:
    """Return the plans of several apps as one, soonest expiry first over all of them."""
    plans = list(plans)

    def together(part: Callable[[Plan], Iterable[Listed]]) -> tuple[Listed, ...]:
        return tuple(sorted((one for plan in plans for one in part(plan)), key=lambda one: one.urgency))

    return Plan(
        to_archive=together(lambda plan: plan.to_archive),
        already=sum(plan.already for plan in plans),
        gained=tuple(one for plan in plans for one in plan.gained),
        partial=tuple(one for plan in plans for one in plan.partial),
        coming=together(lambda plan: plan.coming),
        stuck=together(lambda plan: plan.stuck),
        errored=together(lambda plan: plan.errored),
        not_downloadable=together(lambda plan: plan.not_downloadable),
        lost=together(lambda plan: plan.lost),
    )
