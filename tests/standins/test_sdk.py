"""Cloudflare's own Python SDK judges the stand-in: with strict validation, it refuses what its models do not know."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cloudflare import APIStatusError, Cloudflare

from tasks.realtimekit.webhook_event import NEEDED_EVENTS
from tasks.realtimekit.webhook_registrations import WebhookRegistrations
from tests.standins.realtimekit import MediaSource, StandInDocument, StandInRecording, StandInSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.realtimekit import RealtimeKitStandIn

VIDEO = MediaSource(b"video")
AUDIO = MediaSource(b"audio", "audio/mpeg")
SFTP = {"type": "sftp", "auth_method": "PASSWORD", "bucket": "b", "host": "sftp.example.com", "path": "p", "port": 22}
# The SDK's enumeration of storages has no "cloudflare", which the documentation of custom storage names.
AWS = {"type": "aws", "access_key": None, "region": "us-east-1", "bucket": "b", "path": "p"}


def connected(kit: RealtimeKitStandIn, *, strict: bool) -> Cloudflare:
    return Cloudflare(api_token=kit.token, base_url=kit.base_url, max_retries=0, _strict_response_validation=strict)


def one_recording(sdk: Cloudflare, kit: RealtimeKitStandIn, recording_id: str, account_id: str = "") -> Any:
    recordings = sdk.realtime_kit.recordings
    return recordings.get_one_recording(recording_id, account_id=account_id or kit.account_id, app_id=kit.app_id).data


@pytest.fixture
def sdk(kit: RealtimeKitStandIn) -> Iterator[Cloudflare]:
    with connected(kit, strict=True) as client:
        yield client


@pytest.mark.parametrize(
    "recording",
    [
        {"video": VIDEO},
        {"video": VIDEO, "audio": AUDIO, "storage_config": SFTP},
        {"video": VIDEO, "storage_config": AWS, "bucket_enabled": False},
        {"audio": AUDIO},
        {"video": VIDEO, "expired": True},
        *({"status": status} for status in ("INVOKED", "RECORDING", "UPLOADING", "ERRORED", "PAUSED")),
    ],
)
def test_the_sdk_takes_each_recording_alone_and_in_the_list(
    kit: RealtimeKitStandIn, sdk: Cloudflare, recording: dict[str, object]
) -> None:
    added = kit.add(StandInRecording(str(uuid.uuid4()), **recording))  # type: ignore[arg-type]
    one = one_recording(sdk, kit, added.id)
    assert (one.id, one.status) == (added.id, added.status)
    statuses: Any = [added.status, "UPLOADED"]
    page: Any = sdk.realtime_kit.recordings.get_recordings(
        kit.app_id, account_id=kit.account_id, status=statuses, per_page=100, sort_by="invokedTime"
    )
    assert [(found.id, found.meeting and found.meeting.id) for found in page.data] == [(added.id, added.meeting_id)]
    assert page.paging.total_count == 1


def test_the_sdk_takes_the_list_of_apps(kit: RealtimeKitStandIn, sdk: Cloudflare) -> None:
    apps: Any = sdk.realtime_kit.apps.get(account_id=kit.account_id).data
    assert [(app.id, app.created_at is not None) for app in apps] == [(kit.app_id, True)]


def test_the_sdk_registers_lists_edits_replaces_and_deletes_webhooks(kit: RealtimeKitStandIn, sdk: Cloudflare) -> None:
    webhooks, account_id = sdk.realtime_kit.webhooks, kit.account_id
    named: Any = {"account_id": account_id, "app_id": kit.app_id}
    url = "https://hooks.example.com/webhook"
    made: Any = webhooks.create_webhook(
        kit.app_id, account_id=account_id, events=["recording.statusUpdate"], name="archive", url=url
    )
    assert (made.data.name, made.data.url, made.data.events) == ("archive", url, ["recording.statusUpdate"])
    edited: Any = webhooks.edit_webhook(made.data.id, **named, events=["meeting.ended"], enabled=False).data
    assert (edited.name, edited.events, edited.enabled) == ("archive", ["meeting.ended"], False)
    replaced: Any = webhooks.replace_webhook(made.data.id, **named, events=["meeting.summary"], name="b", url=url).data
    assert (replaced.id, replaced.name, replaced.enabled) == (made.data.id, "b", True)
    listed: Any = webhooks.get_webhooks(kit.app_id, account_id=account_id)
    assert [one.events for one in listed.data] == [["meeting.summary"]]
    webhooks.delete_webhook(made.data.id, **named)
    with pytest.raises(APIStatusError):
        webhooks.get_webhook_by_id(made.data.id, **named)


def test_the_sdk_takes_a_webhook_that_the_archiver_has_registered(kit: RealtimeKitStandIn, sdk: Cloudflare) -> None:
    with httpx.Client(trust_env=False, timeout=5) as http:
        registrations = WebhookRegistrations(http, kit.base_url, kit.account_id, kit.app_id, kit.token)
        made = registrations.ensure("https://hooks.example.com/webhook").registration
    listed: Any = sdk.realtime_kit.webhooks.get_webhooks(kit.app_id, account_id=kit.account_id)
    assert [(one.id, tuple(one.events), one.enabled) for one in listed.data] == [(made.id, NEEDED_EVENTS, True)]


def test_without_strict_validation_the_sdk_hands_through_the_documented_list_of_tracks(kit: RealtimeKitStandIn) -> None:
    # The SDK's model says that download_url is a string; the documentation of track recordings shows a list.
    added = kit.add(StandInRecording(str(uuid.uuid4()), tracks={"default": {"a.webm": VIDEO}}))
    with connected(kit, strict=False) as client:
        assert isinstance(one_recording(client, kit, added.id).download_url, list)


def test_the_sdk_knows_the_refusals_of_the_edge_and_of_realtimekit(kit: RealtimeKitStandIn, sdk: Cloudflare) -> None:
    for account_id, status in ((kit.account_id, 404), ("other", 403)):
        with pytest.raises(APIStatusError) as raised:
            one_recording(sdk, kit, str(uuid.uuid4()), account_id)
        assert raised.value.status_code == status


def a_session(kit: RealtimeKitStandIn) -> StandInSession:
    session = kit.add_session(StandInSession(tells_total="beside"))
    session.add_participants(3)
    session.transcript = StandInDocument(MediaSource(b"t", "text/csv"), "transcript.csv")
    session.chat = StandInDocument(MediaSource(b"c", "text/csv"), "chat.csv")
    session.summary = StandInDocument(MediaSource(b"s", "text/plain"), "summary.txt")
    return session


def test_the_sdk_takes_a_session_alone_and_in_the_list(kit: RealtimeKitStandIn, sdk: Cloudflare) -> None:
    session, sessions = a_session(kit), sdk.realtime_kit.sessions
    kit.add_session(StandInSession(status="LIVE"))
    named: Any = {"account_id": kit.account_id, "app_id": kit.app_id}
    details: Any = sessions.get_session_details(session.id, **named, include_breakout_rooms=True).data
    assert (details.id, details.associated_id, details.status) == (session.id, session.meeting_id, "ENDED")
    listed: Any = sessions.get_sessions(kit.app_id, account_id=kit.account_id, status="ENDED", per_page=100)
    assert [one.id for one in listed.data.sessions] == [session.id]
    meeting: Any = sdk.realtime_kit.meetings.get_meeting_by_id(session.meeting_id, **named).data
    assert (meeting.id, meeting.transcribe_on_end) == (session.meeting_id, True)


@pytest.mark.parametrize("peer_events", [False, True])
def test_the_sdk_takes_the_participants_of_a_session(
    kit: RealtimeKitStandIn, sdk: Cloudflare, *, peer_events: bool
) -> None:
    session = a_session(kit)
    page: Any = sdk.realtime_kit.sessions.get_session_participants(
        session.id, account_id=kit.account_id, app_id=kit.app_id, include_peer_events=peer_events, per_page=2
    )
    assert [one.display_name for one in page.data.participants] == ["Mary 0", "Mary 1"]
    assert all(bool(one.peer_events) == peer_events for one in page.data.participants)


def test_the_sdk_takes_the_urls_of_a_sessions_documents(kit: RealtimeKitStandIn, sdk: Cloudflare) -> None:
    session, sessions = a_session(kit), sdk.realtime_kit.sessions
    named: Any = {"account_id": kit.account_id, "app_id": kit.app_id}
    transcript: Any = sessions.get_session_transcripts(session.id, **named).data
    assert (transcript.session_id, "transcript.csv?" in transcript.transcript_download_url) == (session.id, True)
    chat: Any = sessions.get_session_chat(session.id, **named).data
    assert "chat.csv?" in chat.chat_download_url
    summary: Any = sessions.get_session_summary(session.id, **named).data
    assert (summary.session_id, "summary.txt?" in summary.summary_download_url) == (session.id, True)
    session.summary.source = None
    with pytest.raises(APIStatusError) as raised:
        sessions.get_session_summary(session.id, **named)
    assert raised.value.status_code == 404
