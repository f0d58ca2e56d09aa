"""Cloudflare RealtimeKit: recordings from its API, and its webhooks.

`webhook_event` and `webhook_signature` are doors of their own: only the webhook needs them.
"""

from __future__ import annotations

from tasks.realtimekit.api_client import Cloudflare, Params
from tasks.realtimekit.availability import require_media, require_no_missing_media, require_some_media
from tasks.realtimekit.models import (
    RETENTION,
    UUID_PATTERN,
    MediaFile,
    Recording,
    RecordingStatus,
    parse_recording_id,
)
from tasks.realtimekit.parsing import parse_archived
from tasks.realtimekit.recordings import API_PATIENCE_S, RealtimeKit

__all__ = [
    "API_PATIENCE_S",
    "RETENTION",
    "UUID_PATTERN",
    "Cloudflare",
    "MediaFile",
    "Params",
    "RealtimeKit",
    "Recording",
    "RecordingStatus",
    "parse_archived",
    "parse_recording_id",
    "require_media",
    "require_no_missing_media",
    "require_some_media",
]
