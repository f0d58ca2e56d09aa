"""Sessions are read whatever their answers look like, whole or not at all, and with GET alone."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.errors import ApiNonsense, ApiUnavailable, SessionIdInvalid, SessionNotFound
from tasks.realtimekit import DOCUMENT_KINDS, ExpectedDocuments, MeetingSessions, parse_session_id
from tasks.realtimekit.session_models import parse_document_url, parse_session, without_peer_events
from tests.standins.content import DROP
from tests.standins.realtimekit import Answer, MediaSource, StandInDocument, StandInSession
from tests.support.calling import NoWaits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.realtimekit import ApiRequest, Fault, RealtimeKitStandIn


@pytest.fixture
def api(kit: RealtimeKitStandIn) -> Iterator[MeetingSessions]:
    with httpx.Client(trust_env=False, timeout=5) as http:
        ids = (kit.account_id, kit.app_id, kit.token)
        yield MeetingSessions(http, kit.base_url, *ids, stop=NoWaits(), patience_s=5)


@pytest.mark.parametrize("is_nested", [False, True])
def test_details_are_read_flat_and_nested(kit: RealtimeKitStandIn, api: MeetingSessions, *, is_nested: bool) -> None:
    added = kit.add_session(StandInSession(is_nested=is_nested))
    session = api.session(added.id)
    assert (session.id, session.meeting_id, session.title) == (added.id, added.meeting_id, "Weekly sync")
    assert session.started_at == added.started_at.replace(microsecond=added.started_at.microsecond // 1000 * 1000)
    assert (session.is_live, session.details["id"]) == (False, added.id)
    assert session.expires is not None
    assert not session.is_over(session.expires)
    assert session.is_over(session.expires + timedelta(seconds=1))


def test_a_session_that_has_not_ended_is_live_whatever_stands_for_its_end(
    kit: RealtimeKitStandIn, api: MeetingSessions
) -> None:
    added = kit.add_session(StandInSession(status="LIVE"))
    assert api.session(added.id).is_live
    added.details = {"ended_at": "null"}
    assert api.session(added.id).is_live
    added.details = {"ended_at": "2026-11-20T09:31:00.000Z"}
    assert not api.session(added.id).is_live


def test_a_session_without_any_time_has_no_day_and_never_ends(kit: RealtimeKitStandIn, api: MeetingSessions) -> None:
    nothing = {"started_at": None, "ended_at": DROP, "created_at": 5}
    session = api.session(kit.add_session(StandInSession(details=nothing)).id)
    assert (session.day, session.expires, session.is_over(datetime.now(UTC))) == (None, None, False)


def test_a_session_that_is_not_known_and_another_than_asked_for(kit: RealtimeKitStandIn, api: MeetingSessions) -> None:
    with pytest.raises(SessionNotFound, match="the session belongs to one app"):
        api.session(str(uuid.uuid4()))
    added = kit.add_session(StandInSession(details={"id": str(uuid.uuid4())}))
    with pytest.raises(ApiNonsense):
        api.session(added.id)


@pytest.mark.parametrize("tells_total", ["beside", "within", ""])
@pytest.mark.parametrize("largest_page", [100, 20])
@pytest.mark.parametrize("count", [0, 1, 100, 205])
def test_participants_of_all_pages_come_once_in_their_order(
    kit: RealtimeKitStandIn, api: MeetingSessions, tells_total: Any, largest_page: int, count: int
) -> None:
    added = kit.add_session(StandInSession(tells_total=tells_total, largest_page=largest_page))
    added.add_participants(count)
    names = [one["display_name"] for one in api.participants(added.id)]
    assert names == [f"Mary {number}" for number in range(count)]


def test_events_of_participants_come_only_if_asked_for(kit: RealtimeKitStandIn, api: MeetingSessions) -> None:
    added = kit.add_session(StandInSession())
    added.add_participants(1)
    assert "peer_events" not in api.participants(added.id)[0]
    assert "peer_events" in api.participants(added.id, peer_events=True)[0]


def test_events_are_taken_out_however_they_are_spelled() -> None:
    person = {"id": "1", "peerEvents": [1], "inner": [{"peer_events": [2], "name": "x"}], "peer_report": {"ip": "3"}}
    assert without_peer_events(person) == {"id": "1", "inner": [{"name": "x"}]}


def test_half_a_list_of_participants_is_none(kit: RealtimeKitStandIn, api: MeetingSessions) -> None:
    def fail_from_page_two(request: ApiRequest) -> Fault | None:
        return Answer(503) if request.query.get("page_no") == ["2"] else None

    added = kit.add_session(StandInSession())
    added.add_participants(150)
    kit.api_faults = fail_from_page_two
    with pytest.raises(ApiUnavailable):
        api.participants(added.id)
    kit.api_faults = [None, Answer(503), Answer(502)]
    assert len(api.participants(added.id)) == 150


def test_a_list_that_never_ends_is_not_read_without_end(api: MeetingSessions, kit: RealtimeKitStandIn) -> None:
    added = kit.add_session(StandInSession())
    page = [{"id": str(number)} for number in range(100)]
    kit.api_faults = lambda _request: Answer.json({"success": True, "data": {"participants": page}})
    assert len(api.participants(added.id)) == 100
    kit.api_faults = lambda _request: Answer.json({"success": True, "data": {"participants": "many"}})
    with pytest.raises(ApiNonsense):
        api.participants(added.id)


@pytest.mark.parametrize("kind", DOCUMENT_KINDS)
@pytest.mark.parametrize("absence", ["404", "null", "no data"])
def test_a_document_that_is_not_there_yet_has_no_url(
    kit: RealtimeKitStandIn, api: MeetingSessions, kind: Any, absence: Any
) -> None:
    document = StandInDocument(MediaSource(b"x", "text/csv"), looks_before=1, absence=absence)
    added = kit.add_session(StandInSession())
    setattr(added, kind, document)
    assert api.document_url(added.id, kind) is None
    url = api.document_url(added.id, kind)
    assert url is not None
    assert url.expires_at is not None
    assert "X-Amz" not in repr(url)
    assert httpx.get(url.url).content == b"x"


@pytest.mark.parametrize(
    ("data", "is_there"),
    [
        ({"chat_download_url": "https://a.example/c"}, True),
        ({"chatDownloadUrl": "https://a.example/c"}, True),
        ({"chatDownloadURL": "https://a.example/c"}, True),
        ({"chat_download_url": ""}, False),
        ({"chat_download_url": "ftp://a.example/c"}, False),
        ({"chat_download_url": ["https://a.example/c"]}, False),
        ({"summaryDownloadUrl": "https://a.example/c"}, False),
        ([], False),
    ],
)
def test_urls_are_found_however_the_field_is_spelled(data: object, *, is_there: bool) -> None:
    assert (parse_document_url("chat", data) is not None) == is_there


def test_a_meeting_says_what_may_be_expected(kit: RealtimeKitStandIn, api: MeetingSessions) -> None:
    added = kit.add_session(StandInSession(settings={"transcribe_on_end": True, "persist_chat": False}))
    expected = api.expected_documents(added.meeting_id)
    assert [expected.expects(kind) for kind in DOCUMENT_KINDS] == [True, False, None]
    assert api.expected_documents("abcdef-ghijkl") == ExpectedDocuments()


def test_sessions_that_have_ended_are_listed(kit: RealtimeKitStandIn, api: MeetingSessions) -> None:
    now = datetime.now(UTC)
    ended = [kit.add_session(StandInSession(started_at=now - timedelta(hours=hours))) for hours in range(1, 131)]
    kit.add_session(StandInSession(status="LIVE"))
    kit.add_session(StandInSession(started_at=now - timedelta(days=9)))
    assert [one.id for one in api.ended_sessions(now - timedelta(days=7))] == [one.id for one in ended]
    (only,) = api.ended_sessions(now - timedelta(days=7), meeting_id=ended[3].meeting_id)
    assert only.id == ended[3].id
    plain = [one.describe() for one in ended[:2]]
    kit.api_faults = [Answer.json({"success": True, "data": plain, "paging": {"total_count": 2}})]
    assert [one.id for one in api.ended_sessions(now)] == [one.id for one in ended[:2]]


def test_nothing_but_get_is_ever_sent(kit: RealtimeKitStandIn, api: MeetingSessions) -> None:
    added = kit.add_session(StandInSession())
    api.session(added.id)
    api.participants(added.id)
    for kind in DOCUMENT_KINDS:
        api.document_url(added.id, kind)
    api.expected_documents(added.meeting_id)
    api.ended_sessions(datetime.now(UTC))
    assert {request.method for request in kit.api_requests} == {"GET"}


def test_ids_are_checked_and_made_canonical() -> None:
    its_id = str(uuid.uuid4())
    assert parse_session_id(f" {its_id.upper()} ") == its_id
    for wrong in ("", "..", f"{its_id}/x", "abcdef-ghijkl"):
        with pytest.raises(SessionIdInvalid):
            parse_session_id(wrong)


def test_what_a_stranger_may_send_in_the_place_of_details() -> None:
    senseless: list[dict[str, Any]] = [
        {},
        {"session": []},
        {"id": ["x"], "status": 5, "started_at": {}},
        {"session": {"id": "../x"}},
    ]
    for data in senseless:
        session = parse_session(data)
        assert (session.id, session.status, session.day) == ("", "UNKNOWN", None)
