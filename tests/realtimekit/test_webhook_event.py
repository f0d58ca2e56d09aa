"""Of a webhook's body only what is documented is believed, and only what somebody has to look at starts a run."""

import json
from typing import Any

import pytest

from tasks.errors import WebhookMalformed
from tasks.realtimekit.webhook_event import OF_SESSIONS, TO_ARCHIVE, UNDER_WAY, WebhookEvent, parse_event
from tests.standins.signer import ORGANIZATION, session_event, status_update

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


def read(payload: Any) -> WebhookEvent:
    return parse_event(json.dumps(payload).encode())


@pytest.mark.parametrize("status", ["UPLOADED", "ERRORED"])
def test_what_is_final_is_for_a_run_to_look_at(status: str) -> None:
    announced = read(status_update(ID, status))
    assert (announced.recording_id, announced.status, announced.app_id) == (ID, status, "")
    assert announced.is_to_archive
    assert not announced.is_of_unknown_status


@pytest.mark.parametrize("status", ["INVOKED", "RECORDING", "PAUSED", "UPLOADING"])
def test_what_is_under_way_needs_nothing(status: str) -> None:
    announced = read(status_update(ID, status))
    assert not announced.is_to_archive
    assert not announced.is_of_unknown_status


def test_an_unknown_status_is_neither_crashed_on_nor_taken_for_final() -> None:
    announced = read(status_update(ID, "TELEPORTED"))
    assert announced.is_of_unknown_status
    assert not announced.is_to_archive
    assert not TO_ARCHIVE & UNDER_WAY


def test_an_id_is_brought_into_its_canonical_form_and_may_have_either_name() -> None:
    assert read(status_update(ID.upper())).recording_id == ID
    assert read(status_update(ID, id=None)).recording_id == ID
    assert read(status_update("", recordingId=ID)).recording_id == ID


@pytest.mark.parametrize("named", [{"appId": "app-1"}, {"app_id": "app-1"}])
def test_the_app_is_known_if_the_event_names_it(named: dict[str, str]) -> None:
    assert read(status_update(ID) | named).app_id == "app-1"
    assert read(status_update(ID, **named)).app_id == "app-1"


@pytest.mark.parametrize("event", OF_SESSIONS)
def test_an_event_of_a_session_is_for_a_run_to_look_at_and_nothing_but_ids_is_kept(event: str) -> None:
    announced = read(session_event(event, ID.upper()))
    assert announced == WebhookEvent(event, session_id=ID, organization_id=ORGANIZATION)
    assert announced.is_to_archive
    assert not announced.is_of_unknown_status
    assert read(session_event(event, ID) | {"appId": "app-1"}).app_id == "app-1"


def test_the_id_of_a_session_is_all_that_an_event_needs() -> None:
    for payload in ({"meeting": {"sessionId": ID}}, {"sessionId": ID}, {"meeting": None, "sessionId": ID}):
        assert read({"event": "meeting.summary", **payload}).session_id == ID


@pytest.mark.parametrize(
    "event",
    ["meeting.started", "meeting.participantJoined", "livestreaming.statusUpdate", "", "RECORDING.STATUSUPDATE"],
)
def test_other_events_are_no_business_of_ours_whatever_they_say(event: str) -> None:
    announced = read({"event": event, "recording": "of something", "meeting": {"sessionId": ID}, "streamKey": "leak"})
    assert announced == WebhookEvent(event)
    assert not announced.is_to_archive
    assert not announced.is_of_unknown_status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"recording_id=1",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"event": 1}',
        b'{"event": "recording.statusUpdate"}',
        b'{"event": "recording.statusUpdate", "recording": []}',
        b"[" * 100_000,
        json.dumps(status_update(ID, status=None)).encode(),  # type: ignore[arg-type]
        json.dumps(status_update("not-an-id")).encode(),
        json.dumps(status_update("../" + ID)).encode(),
        json.dumps(status_update("", recordingId=None)).encode(),
        json.dumps(status_update(ID))[:-1].encode(),
        *(json.dumps(session_event(event, "not-an-id")).encode() for event in OF_SESSIONS),
        json.dumps(session_event("meeting.ended", "../" + ID)).encode(),
        json.dumps({"event": "meeting.transcript", "meeting": {"id": ID}}).encode(),
        json.dumps({"event": "meeting.summary", "meeting": {"sessionId": [ID]}}).encode(),
        json.dumps({"event": "meeting.chatSynced"}).encode(),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_not_as_documented_is_said_to_be_so(body: bytes) -> None:
    with pytest.raises(WebhookMalformed) as raised:
        parse_event(body)
    assert "leak-canary" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_what_comes_from_the_network_is_short_and_printable() -> None:
    announced = read(status_update(ID, "X\n" * 5000) | {"appId": "a\x1b[31m" * 5000})
    assert announced.status.isprintable()
    assert announced.app_id.isprintable()
    assert len(announced.status) + len(announced.app_id) < 200
