"""The event of RealtimeKit's webhook: which recording or session it is about, and whether a run is to be started.

Deliveries are repeated and come out of order. So none is believed but for the id: a run looks for itself. An event also
holds presigned URLs, and that of a livestream a key: nothing but ids, the status and the event's name is kept of it.
Source: https://developers.cloudflare.com/realtime/realtimekit/webhooks/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import RecordingIdInvalid, SessionIdInvalid, WebhookMalformed
from tasks.realtimekit.ids import parse_recording_id, parse_session_id
from tasks.realtimekit.models import RecordingStatus
from tasks.realtimekit.values import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS_UPDATE = "recording.statusUpdate"
MEETING_ENDED = "meeting.ended"
OF_SESSIONS = (MEETING_ENDED, "meeting.transcript", "meeting.summary", "meeting.chatSynced")
"""A session has ended, or a document of a session is there."""
NEEDED_EVENTS = (STATUS_UPDATE, *OF_SESSIONS)
"""What a webhook has to be subscribed to: each of these may start a run."""
TO_ARCHIVE = frozenset({RecordingStatus.UPLOADED, RecordingStatus.ERRORED})
"""Of an ERRORED recording no file will ever come: its run fails at once and says so, where people look for it."""
UNDER_WAY = frozenset(
    {RecordingStatus.INVOKED, RecordingStatus.RECORDING, RecordingStatus.PAUSED, RecordingStatus.UPLOADING}
)


@dataclass(frozen=True)
class WebhookEvent:
    """One event, as far as it matters here; ids, status and app are empty if it is about anything else."""

    event: str
    recording_id: str = ""
    status: str = ""
    app_id: str = ""  # empty as well if the event names none
    session_id: str = ""  # of an event about a session
    organization_id: str = ""  # the app's id as well, it seems; nobody promises that

    @property
    def is_to_archive(self) -> bool:
        """Whether a run has to look at the recording, or at the session."""
        return bool(self.session_id) or self.status in TO_ARCHIVE

    @property
    def is_of_unknown_status(self) -> bool:
        """Whether the status is none of the documented ones."""
        return self.event == STATUS_UPDATE and self.status not in TO_ARCHIVE | UNDER_WAY


def parse_event(body: bytes) -> WebhookEvent:
    """Read the body of a webhook whose signature is right.

    Raises:
        WebhookMalformed: it is not as documented.
    """
    payload = _parsed(body)
    event = payload.get("event")
    if not isinstance(event, str):
        raise WebhookMalformed("it names no event")
    if event in OF_SESSIONS:
        meeting = as_object(payload.get("meeting"))
        session_id = _session_id(event, meeting, payload)
        app_id, organization_id = _app_id(payload, meeting), _organization_id(payload, meeting)
        return WebhookEvent(event, app_id=app_id, session_id=session_id, organization_id=organization_id)
    return _status_update(payload) if event == STATUS_UPDATE else WebhookEvent(_shown(event))


def _status_update(payload: Mapping[str, Any]) -> WebhookEvent:
    recording = payload.get("recording")
    if not isinstance(recording, dict):
        raise WebhookMalformed(f"{STATUS_UPDATE} without a recording")
    status = recording.get("status")
    if not isinstance(status, str):
        raise WebhookMalformed(f"{STATUS_UPDATE} without a status")
    app_id = _app_id(payload, recording)
    organization_id = _organization_id(recording, payload, as_object(payload.get("meeting")))
    recording_id, status = _recording_id(recording), _shown(status).strip().upper()
    return WebhookEvent(STATUS_UPDATE, recording_id, status, app_id, organization_id=organization_id)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise WebhookMalformed(f"{len(body)} bytes that are no JSON object")
    return payload


def _recording_id(recording: Mapping[str, Any]) -> str:
    named = recording.get("id") or recording.get("recordingId")
    try:
        return parse_recording_id(str(named))
    except RecordingIdInvalid:
        pass
    raise WebhookMalformed(f"{STATUS_UPDATE} without a recording's id")


def _session_id(event: str, *places: Mapping[str, Any]) -> str:
    """Return the id of the session: it stands in the event's `meeting`, or, for a chat, beside the other fields."""
    named = next((place["sessionId"] for place in places if place.get("sessionId")), "")
    try:
        return parse_session_id(str(named))
    except SessionIdInvalid:
        pass
    raise WebhookMalformed(f"{event} without a session's id")


def _app_id(*places: Mapping[str, Any]) -> str:
    """Return the app's id. It is documented nowhere, but another app's event says so if it says anything.

    `organizationId` is not taken for it: nobody promises that they are the same, and all events would be ignored. One
    that is the id of an app is no coincidence, though.
    """
    named = [place.get(name) for place in places for name in ("appId", "app_id")]
    return next((_shown(name) for name in named if isinstance(name, str) and name), "")


def _organization_id(*places: Mapping[str, Any]) -> str:
    """Return the id of the organization, be it of the recording or of the meeting's organizer."""
    named = [place.get("organizationId") or as_object(place.get("organizedBy")).get("id") for place in places]
    return next((_shown(name) for name in named if isinstance(name, str) and name), "")


def _shown(text: str) -> str:
    """Return a short text that fits into a line of a log."""
    return "".join(c for c in text[:80] if c.isprintable())
