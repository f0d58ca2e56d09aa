"""Cloudflare RealtimeKit: recordings and sessions from its API, and its webhooks.

`webhook_event`, `webhook_signature` and `webhook_registrations` are doors of their own: only the webhook needs them.
"""

from __future__ import annotations

from tasks.realtimekit.account_apps import AccountApps, App
from tasks.realtimekit.api_client import Cloudflare, Params
from tasks.realtimekit.app_api import API_BLOCK_S, API_PATIENCE_S
from tasks.realtimekit.availability import require_media, require_no_missing_media, require_some_media
from tasks.realtimekit.ids import RecordingId, SessionId, parse_recording_id, parse_session_id
from tasks.realtimekit.models import (
    RETENTION,
    MediaFile,
    Recording,
    RecordingStatus,
)
from tasks.realtimekit.parsing import parse_archived
from tasks.realtimekit.recordings import RealtimeKit
from tasks.realtimekit.session_models import (
    DOCUMENT_KINDS,
    DocumentKind,
    DocumentUrl,
    ExpectedDocuments,
    MeetingSession,
    parse_session,
    without_peer_events,
)
from tasks.realtimekit.sessions import MeetingSessions

__all__ = [
    "API_BLOCK_S",
    "API_PATIENCE_S",
    "DOCUMENT_KINDS",
    "RETENTION",
    "AccountApps",
    "App",
    "Cloudflare",
    "DocumentKind",
    "DocumentUrl",
    "ExpectedDocuments",
    "MediaFile",
    "MeetingSession",
    "MeetingSessions",
    "Params",
    "RealtimeKit",
    "Recording",
    "RecordingId",
    "RecordingStatus",
    "SessionId",
    "parse_archived",
    "parse_recording_id",
    "parse_session",
    "parse_session_id",
    "require_media",
    "require_no_missing_media",
    "require_some_media",
    "without_peer_events",
]
