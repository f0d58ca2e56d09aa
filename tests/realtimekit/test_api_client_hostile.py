"""Whoever answers in the API's place gets neither the token, nor our memory, nor our time."""

import gzip
import json
import logging
import tracemalloc
import zlib

import pytest

from tasks.errors import ApiNonsense, ApiUnavailable
from tasks.realtimekit import api_client
from tasks.realtimekit.recordings import RealtimeKit
from tests.standins.faults import Answer, Drip
from tests.standins.realtimekit import RealtimeKitStandIn
from tests.support.calling import ID, TOKEN, client, failure


def test_a_redirect_is_not_followed_and_the_token_stays_here(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    with RealtimeKitStandIn() as elsewhere:
        for target in (elsewhere.recordings_url, f"{kit.recordings_url}/{ID}"):
            kit.api_faults = [Answer(302, {"Location": target})]
            error = failure(api)
            assert isinstance(error, ApiNonsense)
            assert "HTTP 302" in str(error)
        assert elsewhere.api_requests == []
    assert len(kit.api_requests) == 2


@pytest.mark.parametrize("status", [200, 302, 401, 404, 429, 500])
def test_an_answer_that_repeats_the_token_does_not_get_it_shown(
    kit: RealtimeKitStandIn, api: RealtimeKit, status: int
) -> None:
    stuffed = "x" * 290 + TOKEN
    for message in (f"bad token {TOKEN}", stuffed, f"Bearer {TOKEN}", f"https://h/?token={TOKEN}"):
        kit.api_faults = [Answer.failure(1, message, status).with_header("Retry-After", "900")]
        assert "leak" not in str(failure(api))
        kit.api_faults = [Answer(status, {"Content-Type": message, "Retry-After": "900"})]
        assert "leak" not in str(failure(api))


def test_a_token_that_is_no_header_is_not_shown_either(kit: RealtimeKitStandIn) -> None:
    with client(kit, token=TOKEN + "\n", patience_s=0) as api:
        assert isinstance(failure(api), ApiUnavailable)


def test_a_message_is_one_short_printable_line(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    kit.api_faults = [Answer.failure(1, "a\nb\x1b[2J\u202e\ud800 https://h/p?sig=leak " + "x" * 100_000, 400)]
    error = failure(api)
    assert str(error).isprintable()
    assert len(str(error)) < 500
    assert "a b[2J https://h/p xxx" in str(error)


def test_a_huge_answer_is_not_read_to_its_end(
    kit: RealtimeKitStandIn, api: RealtimeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "LARGEST_ANSWER", 100_000)
    kit.api_faults = [Answer(200, {}, bytes(50_000_000))]
    assert "more than 100,000 bytes" in str(failure(api))


def test_an_answer_that_is_compressed_is_read(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    known = json.dumps({"success": True, "data": {"id": ID, "status": "UPLOADED"}}).encode()
    for coding, packed in (("gzip", gzip.compress(known)), ("deflate", zlib.compress(known)), ("identity", known)):
        kit.api_faults = [Answer(200, {"Content-Encoding": coding}, packed)]
        assert api.recording(ID).status == "UPLOADED"
    kit.api_faults = [Answer(200, {"Content-Encoding": "br"}, known)]
    assert "Content-Encoding br" in str(failure(api))
    kit.api_faults = [Answer(200, {"Content-Encoding": "gzip"}, known)]
    assert api.recording(ID).media, "what is damaged is asked for again"


def test_an_answer_that_inflates_beyond_all_bounds_takes_no_memory(
    kit: RealtimeKitStandIn, api: RealtimeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "LARGEST_ANSWER", 100_000)
    bomb = gzip.compress(bytes(30_000_000))
    kit.api_faults = [Answer(200, {"Content-Encoding": "gzip"}, bomb)]
    tracemalloc.start()
    try:
        assert "more than 100,000 bytes" in str(failure(api))
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_that_trickles_in_is_given_up(
    kit: RealtimeKitStandIn, api: RealtimeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "LONGEST_ANSWER_S", 0.1)
    kit.api_faults = [Drip(100)]
    api.recording(ID)
    assert len(kit.api_requests) == 2


def test_no_log_shows_the_token(kit: RealtimeKitStandIn, api: RealtimeKit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kit.api_faults = [Answer.html(502)]
    api.recording(ID)
    assert TOKEN not in caplog.text
