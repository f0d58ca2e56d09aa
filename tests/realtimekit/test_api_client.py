"""The client of the API gets through what passes, and says clearly what does not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from tasks.errors import (
    AnswerWithoutData,
    ApiNonsense,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ConnectionInsecure,
    FinalError,
    RecordingNotFound,
    TransferStopped,
)
from tasks.realtimekit.recordings import RealtimeKit
from tests.standins.faults import Answer, Drop, Fault, HtmlPage, Refuse, Stall
from tests.standins.realtimekit import RealtimeKitStandIn
from tests.support.calling import ID, TOKEN, NoWaits, client, failure


@pytest.fixture
def stop() -> NoWaits:
    return NoWaits()


@pytest.fixture
def api(kit: RealtimeKitStandIn, stop: NoWaits) -> Iterator[RealtimeKit]:
    with client(kit, stop) as api:
        yield api


TRANSIENT: list[Fault] = [
    Answer.too_many_requests(7),
    Answer.failure(10000, "Internal error", 500),
    Answer.html(502),
    Answer(503),
    Answer(408),
    Answer(599, {}, b"\xff\xfe garbage"),
    Refuse("fin"),
    Refuse("rst"),
    Drop(20, "fin"),
    Drop(20, "rst"),
    Answer(200, {"Content-Encoding": "gzip", "Content-Type": "application/json"}, b"not gzip"),
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=repr)
def test_what_passes_is_tried_again_until_it_has_passed(
    kit: RealtimeKitStandIn, api: RealtimeKit, stop: NoWaits, fault: Fault
) -> None:
    kit.api_faults = [fault, fault, fault]
    assert api.recording(ID).id == ID
    assert len(kit.api_requests) == 4
    assert len(stop.waits) == 3


def test_retry_after_is_kept_to_as_seconds_and_as_a_date(
    kit: RealtimeKitStandIn, api: RealtimeKit, stop: NoWaits
) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    kit.api_faults = [Answer.too_many_requests(7), Answer.too_many_requests(when), Answer.too_many_requests("soon")]
    api.recording(ID)
    assert stop.waits[0] == 7
    assert 10 < stop.waits[1] <= 20
    assert stop.waits[2] < 5


def test_a_limit_of_our_rate_is_sat_out_and_is_no_failure_but_not_for_ever(
    kit: RealtimeKitStandIn, api: RealtimeKit, stop: NoWaits
) -> None:
    kit.api_faults = [Answer.too_many_requests(60), Answer.too_many_requests(240)]
    assert api.recording(ID).id == ID
    assert stop.waits == [60, 240]
    kit.api_faults = [Answer.too_many_requests(200), Answer.too_many_requests(200)]
    error = failure(api)
    assert isinstance(error, ApiThrottled)
    assert "Run again in 200 s" in str(error)


def test_an_api_that_hangs_is_given_up_after_the_patience(kit: RealtimeKitStandIn) -> None:
    kit.api_faults = [Stall(), Stall(20)]
    with client(kit, timeout_s=0.1, patience_s=0) as api:
        assert "ReadTimeout" in str(failure(api))
        assert "ReadTimeout" in str(failure(api))


def test_an_api_that_nobody_is_behind_is_unavailable(kit: RealtimeKitStandIn) -> None:
    kit.close()
    with client(kit, timeout_s=1, patience_s=0) as api:
        error = failure(api)
    assert isinstance(error, ApiUnavailable)
    assert "ConnectError" in str(error)


def test_a_retry_after_beyond_the_patience_is_handed_on(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    kit.api_faults = [Answer.too_many_requests(600)]
    error = failure(api)
    assert isinstance(error, ApiUnavailable)
    assert error.retry_after == 600
    assert "HTTP 429, Rate limited" in str(error)


def test_a_stop_ends_the_attempts(kit: RealtimeKitStandIn, api: RealtimeKit, stop: NoWaits) -> None:
    kit.api_faults = lambda _: Answer(503)
    kit.on_api_request = lambda _: stop.set()
    assert isinstance(failure(api), TransferStopped)
    assert len(kit.api_requests) == 1


FINAL: list[tuple[Fault, type[FinalError], str]] = [
    (Answer.failure(10000, "Authentication error", 401), ApiRefused, "HTTP 401, code 10000): Authentication error."),
    (Answer.failure(10000, "Authentication error", 403), ApiRefused, "CLOUDFLARE_API_TOKEN"),
    (Answer.html(403), ApiRefused, "HTTP 403): Forbidden."),
    (Answer.failure(1001, "Recording not found", 404), RecordingNotFound, "code 1001): Recording not found."),
    (Answer.failure(1002, "Bad query", 400), ApiRefused, "HTTP 400, code 1002): Bad query."),
    (Answer.failure(1003, "Not today"), ApiRefused, "HTTP 200, code 1003): Not today."),
    (Answer.json({"success": False, "error": {"code": 409, "message": "Older"}}), ApiRefused, "code 409): Older."),
    (Answer.json({"success": False, "message": "Plain"}), ApiRefused, "HTTP 200): Plain."),
    (Answer.json({"success": False, "errors": ["odd", 5]}), ApiRefused, "HTTP 200): odd."),
    (Answer.json({"success": "true", "data": {"id": ID}}), ApiRefused, "HTTP 200): OK."),
    (Answer.json({"detail": "Not Found"}, 404), ApiNonsense, "HTTP 404"),
    (Answer.no_data(), AnswerWithoutData, "no data"),
    (Answer.garbage_json(), ApiNonsense, "application/json"),
    (Answer.json([1]), ApiNonsense, "where its JSON should be"),
    (Answer.json({"success": True, "data": [1]}), ApiNonsense, "another recording"),
    (Answer.json({"success": True, "data": {"id": ID[::-1]}}), ApiNonsense, "another recording"),
    (Answer.json({"success": True, "data": {"id": None}}), ApiNonsense, "another recording"),
    (HtmlPage(), ApiNonsense, "text/html"),
    (Answer(204), ApiNonsense, "no content type, 0 bytes"),
    (Answer(200, {}, b"\xff\xfe\xfd"), ApiNonsense, "3 bytes"),
    (Answer(200, {}, b'{"success":' + b"[" * 200_000), ApiNonsense, "200011 bytes"),
    (Answer(200, {}, b'{"success": true, "data": {"id": ' + b"9" * 5000 + b"}}"), ApiNonsense, "5035 bytes"),
]


@pytest.mark.parametrize(("fault", "kind", "says"), FINAL, ids=lambda value: repr(value)[:60])
def test_what_no_retry_helps_is_told_at_once(
    kit: RealtimeKitStandIn, api: RealtimeKit, fault: Fault, kind: type[FinalError], says: str
) -> None:
    kit.api_faults = [fault]
    error = failure(api)
    assert type(error) is kind
    assert says in str(error)
    assert len(kit.api_requests) == 1


def test_https_asked_of_a_port_that_does_not_speak_it_is_told_at_once(kit: RealtimeKitStandIn, stop: NoWaits) -> None:
    with httpx.Client() as http:
        url = kit.base_url.replace("http://", "https://")
        api = RealtimeKit(http, url, kit.account_id, kit.app_id, TOKEN, stop=stop, patience_s=60)
        with pytest.raises(ConnectionInsecure, match=r"127\.0\.0\.1:\d+: .* does not speak TLS.*SSL_CERT_FILE"):
            api.recording(ID)
    assert stop.waits == []
