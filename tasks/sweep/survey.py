"""What a sweep looks at: the API's recordings, each reduced to what the plan needs; and whether one is at risk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.errors import ApiRefused, NothingToDownload, RecordingNotFound
from tasks.realtimekit import RecordingStatus, require_media
from tasks.sweep.scope import STUCK

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from tasks.archive import Archive
    from tasks.realtimekit import RealtimeKit, Recording
    from tasks.sweep.scope import Look, Scope

EMPTY_ASKED = 50
"""Recordings, soonest expiry first, whose details are asked for where the list says that they have no file."""
SOON = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class ListedRecording:
    """What the API's list says of a recording, as far as a sweep needs it: no URL, and little memory."""

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
    session_id: str = ""  # of the meeting's session; empty if the API names none

    @property
    def urgency(self) -> tuple[datetime, str]:
        """The sort key, soonest expiry first; a recording with an unknown expiry may expire at any moment."""
        return self.expires or SOON, self.id

    @property
    def is_errored(self) -> bool:
        """Whether RealtimeKit failed, and no file will ever come."""
        return self.status == RecordingStatus.ERRORED

    def is_at_risk(self, scope: Scope) -> bool:
        """Tell whether the recording may be gone soon."""
        return self.expires is None or self.expires - scope.now <= scope.at_risk


def summarize(recording: Recording, app_id: str, folder: str, now: datetime, *, expired: bool) -> ListedRecording:
    """Return what a sweep needs to know of a recording.

    Args:
        recording: as the API's list, or its details, have it.
        app_id: of the recording.
        folder: of its bag.
        now: the time of the sweep.
        expired: whether the API lists it among those that have left RealtimeKit's bucket. A recording that still has
            its URLs before its time is over is not taken for lost.
    """
    left = recording.has_left_the_bucket(now)
    obstacle = find_obstacle(recording, now) if recording.status == RecordingStatus.UPLOADED else ""
    if expired and left:
        obstacle = obstacle or "it has left RealtimeKit's bucket, which keeps files for 7 days."
    return ListedRecording(
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
        stuck=recording.status not in {RecordingStatus.UPLOADED, RecordingStatus.ERRORED} and _is_late(recording, now),
        overdue=bool(recording.without_url),
        session_id=recording.session_id,
    )


def find_obstacle(recording: Recording, now: datetime | None = None) -> str:
    """Return why a recording cannot be downloaded; empty if it can.

    Args:
        recording: UPLOADED.
        now: the moment to judge its age at; without one, the present.
    """
    try:
        require_media(recording, now)
    except NothingToDownload as nothing:
        return nothing.reason
    return ""


def list_recordings(api: RealtimeKit, archive: Archive, app_id: str, scope: Scope) -> list[ListedRecording]:
    """Return all of an app's recordings that a sweep is about, each once, as last seen.

    Raises:
        ApiRefused, ApiNonsense, ApiUnavailable: half a list is none.
    """
    recordings: dict[str, ListedRecording] = {}
    for look in scope.looks():

        def summary(recording: Recording, expired: bool = look.expired) -> ListedRecording:  # noqa: FBT001 - bound for the loop
            return summarize(recording, app_id, archive.folder(recording), scope.now, expired=expired)

        recordings |= {recording.id: recording for recording in _list(api, look, summary)}
    return list(recordings.values())


def _list(api: RealtimeKit, look: Look, summary: Callable[[Recording], ListedRecording]) -> Iterable[ListedRecording]:
    try:
        return list(api.recordings(look.filters, summary, since=look.since, before=look.before))
    except ApiRefused as refused:
        if look.otherwise is None or refused.status not in {400, 422}:
            raise
    return api.recordings(look.otherwise, summary, since=look.since, before=look.before)


def verify_empty(
    api: RealtimeKit, recordings: Sequence[ListedRecording], archived: Container[str], now: datetime
) -> list[ListedRecording]:
    """Return the recordings, those without any file as their details have them.

    A list may leave out the files of all track recordings. So that nobody spoke is not believed by the list alone.

    Args:
        api: of the app.
        recordings: as the list has them.
        archived: ids of recordings that are archived: these are not asked for.
        now: the time of the sweep.
    """
    empty = sorted(
        (recording for recording in recordings if recording.empty and recording.id not in archived),
        key=lambda recording: recording.urgency,
    )
    asked = {recording.id: _ask(api, recording, now) for recording in empty[:EMPTY_ASKED]}
    return [asked.get(recording.id, replace(recording, empty=False)) for recording in recordings]


def ignore_kept_back_urls(
    api: RealtimeKit, recordings: Sequence[ListedRecording], archived: Container[str]
) -> Sequence[ListedRecording]:
    """Return the recordings without their obstacles, if the list keeps back URLs that the details hand out.

    The details of three recordings are asked for at the most, as any may be without files for good, or deleted
    meanwhile.
    """
    doubtful = [
        recording
        for recording in recordings
        if recording.obstacle and not recording.gone and recording.id not in archived
    ]
    doubtful.sort(key=lambda recording: recording.urgency)
    few = {recording.id: recording for recording in (*doubtful[:2], *doubtful[-1:])}
    if any(_is_kept_back(api, recording) for recording in few.values()):
        return [recording if recording.gone else replace(recording, obstacle="") for recording in recordings]
    return recordings


def _ask(api: RealtimeKit, recording: ListedRecording, now: datetime) -> ListedRecording:
    try:
        return summarize(api.recording(recording.id), recording.app_id, recording.folder, now, expired=False)
    except RecordingNotFound:
        return replace(recording, empty=False)


def _is_kept_back(api: RealtimeKit, recording: ListedRecording) -> bool:
    """Tell whether the API hands out in a recording's details what its list does not: then the list proves nothing."""
    try:
        return not find_obstacle(api.recording(recording.id))
    except RecordingNotFound:
        return False


def _is_late(recording: Recording, now: datetime) -> bool:
    return recording.day is not None and now - recording.day > STUCK
