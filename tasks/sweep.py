"""Knows what a sweep has to do: what is uploaded, what of it is archived, what comes first, and what is in danger.

All is decided from two lists, the API's of recordings and the store's of keys, as ten thousand recordings are looked
at every few minutes: no recording is asked about on its own before it is its turn.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING
from weakref import WeakSet

from tasks.day_folders import stored_files
from tasks.details import RETENTION
from tasks.errors import NothingToDownload, RecordingNotFound
from tasks.realtimekit import require_media

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from threading import Event

    from tasks.archive import Archive
    from tasks.cloudflare import Params
    from tasks.details import Recording
    from tasks.realtimekit import RealtimeKit
    from tasks.store import Store

UNDER_WAY = ("INVOKED", "RECORDING", "UPLOADING")
"""What the list can be asked for; it knows no PAUSED."""
LONGEST_RECORDING = timedelta(days=1)
SOON = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Scope:
    """Which recordings a sweep is about."""

    now: datetime
    at_risk: timedelta = timedelta(days=1)  # what expires within that time is in danger
    unswept: timedelta = timedelta(0)  # since the last sweep told what it had found
    within: timedelta = timedelta(0)  # invoked within that time; 0: whenever
    meeting_id: str = ""  # empty: of any meeting

    @property
    def loud(self) -> timedelta:
        """For how long after its expiry a lost recording is told loudly: as long as before it, and once in any case."""
        return self.at_risk + self.unswept

    def looks(self) -> list[Params]:
        """Return the lists to ask the API for: a recording that moves on meanwhile is still to come in a later one."""
        since = self.now - self.within if self.within else None
        coming = self.now - 2 * LONGEST_RECORDING
        expired = self.now - RETENTION - LONGEST_RECORDING - self.loud
        looks = [
            self._look(max(coming, since or coming), status=UNDER_WAY),
            self._look(since, status=["UPLOADED"], expired=False),
        ]
        if since is None or since < self.now - RETENTION:
            looks.append(self._look(max(expired, since or expired), status=["UPLOADED"], expired=True))
        return looks

    def _look(self, since: datetime | None, **asked: Sequence[str] | bool) -> Params:
        meeting = {"meeting_id": self.meeting_id} if self.meeting_id else {}
        start = {"start_time": f"{since:%Y-%m-%dT%H:%M:%SZ}"} if since else {}
        return {**asked, **meeting, **start}


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
    obstacle: str = ""  # why it cannot be downloaded; empty if it can
    gone: bool = False  # the obstacle is that its seven days are over
    elsewhere: bool = False  # the API names a storage of the customer's own
    overdue: bool = False  # uploaded without a usable URL, though the API does hand out others of the app's
    partial: bool = False  # it has obstacles, but some of its files can be downloaded

    @property
    def urgency(self) -> tuple[datetime, str]:
        """What to sort by, soonest expiry first; what nobody knows the expiry of may expire at any moment."""
        return self.expires or SOON, self.id

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
        obstacle=obstacle,
        gone=bool(obstacle) and (left or expired),
        elsewhere=recording.storage_type not in {"", "cloudflare"},
        overdue=bool(recording.without_url),
        partial=bool(recording.media) and bool(obstacle),
    )


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
        expired = look.get("expired") is True

        def summary(recording: Recording, expired: bool = expired) -> Listed:  # noqa: FBT001 - bound for the loop
            return listed(recording, app_id, archive.folder(recording), scope.now, expired=expired)

        found |= {one.id: one for one in api.recordings(look, summary)}
    return list(found.values())


@dataclass(frozen=True)
class Plan:
    """What a sweep found, and is to do; all of it soonest expiry first."""

    to_archive: tuple[Listed, ...] = ()
    already: int = 0  # are archived
    gained: tuple[tuple[Listed, str], ...] = ()  # archived, but the API has more files now: which
    coming: tuple[Listed, ...] = ()  # not uploaded yet
    not_downloadable: tuple[Listed, ...] = ()
    lost: tuple[Listed, ...] = ()  # expired, and not archived


def planned(
    recordings: Iterable[Listed],
    archived: Mapping[str, Mapping[str, int]],
    kept: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> Plan:
    """Decide what is to be done.

    Of a recording whose files are not all handed out, the others are brought into safety, once.

    What expired without being archived is lost. But recordings that went straight to a storage of the customer's own
    look the same when their time is over: so where the API names such a storage, or hands out nothing at all for any
    of the app's recordings whose time is not over, nothing of the app counts as lost. Where it does hand out others,
    what has no file is overdue.

    Args:
        recordings: all that the sweep is about.
        archived: how many files of each kind the archives hold, by the recording's id.
        kept: the same of what is stored, but is no archive.
    """
    ordered = sorted(recordings, key=lambda one: one.urgency)
    uploaded = [one for one in ordered if one.status == "UPLOADED"]
    missing = [one for one in uploaded if one.id not in archived]
    in_time = [one for one in uploaded if not one.gone]
    bucket_off = {one.app_id for one in in_time} - {one.app_id for one in in_time if one.files}
    on = {one.app_id for one in in_time if one.files and not one.elsewhere}
    missing = [replace(one, overdue=True) if one.app_id in on and _is_overdue(one) else one for one in missing]
    lost = {one.id for one in missing if one.gone and not one.elsewhere and one.app_id not in bucket_off}
    more = [(one, _gained(one, archived[one.id])) for one in uploaded if one.id in archived]
    todo = [one for one in missing if not one.obstacle or _is_unsafe(one, kept.get(one.id, {}))]
    left = {one.id for one in missing} - {one.id for one in todo} - lost
    return Plan(
        to_archive=tuple(todo),
        already=len(uploaded) - len(missing),
        gained=tuple((one, gained) for one, gained in more if gained),
        coming=tuple(one for one in ordered if one.status != "UPLOADED"),
        not_downloadable=tuple(one for one in missing if one.id in left),
        lost=tuple(one for one in missing if one.id in lost),
    )


def _is_unsafe(one: Listed, kept: Mapping[str, int]) -> bool:
    return one.partial and not one.gone and bool(_gained(one, kept))


def _is_overdue(one: Listed) -> bool:
    return bool(one.obstacle) and not one.gone and not one.elsewhere


def _gained(one: Listed, archived: Mapping[str, int]) -> str:
    more = {kind: count - archived.get(kind, 0) for kind, count in one.files.items()}
    return ", ".join(f"{count} more of {kind}/" for kind, count in sorted(more.items()) if count > 0)


def plan_for(api: RealtimeKit, archive: Archive, store: Store, app_id: str, scope: Scope) -> Plan:
    """Look at all of an app's recordings, and at what is archived of them; nothing is touched.

    Raises:
        ApiRefused, ApiNonsense, ApiUnavailable, StoreRefused, StoreUnavailable: half a plan is none.
    """
    found = all_listed(api, archive, app_id, scope)
    stored = stored_files(store, {one.id: one.folder for one in found if one.status == "UPLOADED"})
    archived = {recording_id: its.files for recording_id, its in stored.items() if its.is_bag}
    kept = {recording_id: its.files for recording_id, its in stored.items() if not its.is_bag}
    doubtful = sorted((one for one in found if _is_doubtful(one, archived)), key=lambda one: one.urgency)
    # A few of them, as any may be without files for good, or deleted meanwhile.
    if any(_kept_back(api, one) for one in {one.id: one for one in (*doubtful[:2], *doubtful[-1:])}.values()):
        found = [one if one.gone else replace(one, obstacle="") for one in found]
    return planned(found, archived, kept)


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
        coming=together(lambda plan: plan.coming),
        not_downloadable=together(lambda plan: plan.not_downloadable),
        lost=together(lambda plan: plan.lost),
    )


class Brake:
    """Ends the work of several threads at once, each of which has a stop of its own."""

    def __init__(self) -> None:
        self._stops: WeakSet[Event] = WeakSet()
        self._lock = Lock()
        self._pulled = False

    def reach(self, stop: Event) -> None:
        """Have a stop set when the brake is pulled, or now if it was."""
        with self._lock:
            self._stops.add(stop)
        if self._pulled:
            stop.set()

    def pull(self) -> None:
        """Set all stops, those to come as well."""
        with self._lock:
            self._pulled = True
            stops = list(self._stops)
        for stop in stops:
            stop.set()
