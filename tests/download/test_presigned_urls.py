"""Presigned URLs expire; one refresh serves all readers; refused URLs and URLs without a refresh end in good time."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import get_args

import pytest

from tasks.download import presigned_urls
from tasks.download.presigned_urls import MAX_REFUSED_URLS
from tasks.download.recovery import FAILURES_BEFORE_REFRESH
from tasks.errors import ApiNonsense, ApiUnavailable, LinkRefused, SourceUnavailable
from tests.standins.realtimekit import (
    Answer,
    Drop,
    ExpiryDialect,
    Fault,
    FileRequest,
    Redirect,
    Refuse,
    SyntheticContent,
    at_random,
)
from tests.support.reading import ID, reading

CONTENT = SyntheticContent(1_600_000, seed=8)
PART = 100_000
READERS = 8


@pytest.mark.parametrize("dialect", get_args(ExpiryDialect))
def test_many_readers_share_links_that_expire_in_mid_transfer_in_every_dialect(dialect: ExpiryDialect) -> None:
    with reading(CONTENT, links_expire_after_requests=3, expiry_dialect=dialect) as it:
        assert it.fetch_in_parallel(PART, READERS) == it.content
        # Each link served three ranges before anybody asked for another.
        assert len(it.kit.api_requests) == math.ceil(CONTENT.size / PART / 3)
        assert it.kit.bytes_served() == CONTENT.size


def test_a_link_that_a_fresh_look_does_not_renew_is_used_while_it_works_and_not_asked_for_without_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(presigned_urls, "MIN_REFRESH_INTERVAL_S", 0.0)
    with reading(CONTENT, links_are_stored=True, link_lifetime=presigned_urls.REFRESH_AHEAD_S - 10) as it:
        assert it.fetch_in_parallel(PART, READERS) == it.content
        assert (it.links.refreshes, len(it.kit.api_requests)) == (1, 2)
    assert caplog.text.count("the API hands out the same URL again") == 1


def test_a_stored_link_that_is_refused_is_asked_for_again_and_told_at_last() -> None:
    with reading(CONTENT, links_are_stored=True, links_expire_after_requests=2) as it:
        with pytest.raises(LinkRefused):
            it.fetch(PART)
        assert len(it.kit.api_requests) == 1 + MAX_REFUSED_URLS


def test_links_that_serve_a_single_request_each_are_no_reason_to_give_up() -> None:
    with reading(CONTENT, links_expire_after_requests=1) as it:
        assert it.fetch(PART) == it.content
        assert it.links.refreshes == CONTENT.size / PART - 1 > MAX_REFUSED_URLS


def test_links_that_expire_while_connections_break_cost_no_byte_and_few_refreshes() -> None:
    faults: list[Fault] = [Drop(0), Drop(30_000, how="rst"), Refuse(), Answer.slow_down(None), Redirect()]
    with reading(CONTENT, links_expire_after_requests=5) as it:
        it.kit.file_faults = at_random(seed=9, share=0.4, faults=faults)
        assert it.fetch_in_parallel(PART, READERS) == it.content
        good = [request for request in it.requests if not request.expired]
        # Which reader meets which fault depends on the threads: one that meets several in a row asks for a URL, too.
        broken = [request for request in good if request.fault and not isinstance(request.fault, Redirect)]
        assert it.links.refreshes <= len(good) / 5 + len(broken) / FAILURES_BEFORE_REFRESH


def test_all_readers_refused_at_once_cause_a_single_refresh() -> None:
    with reading(CONTENT) as it:
        it.source.open(1)
        it.kit.expire_all_links()
        together = Barrier(READERS)

        def wait_for_all(request: FileRequest) -> None:
            if request.number <= 1 + READERS:
                together.wait(10)

        it.kit.on_file_request = wait_for_all
        with ThreadPoolExecutor(READERS) as pool:
            starts = [turn * PART for turn in range(READERS)]
            got = list(pool.map(lambda start: it.read(start + 1, start + PART), starts))
        assert got == [it.content[start + 1 : start + PART] for start in starts]
        assert (len(it.kit.api_requests), it.links.refreshes) == (2, 1)


def test_a_body_that_flows_goes_on_after_its_link_has_expired() -> None:
    with reading(CONTENT) as it:
        it.source.open(CONTENT.size)
        it.kit.expire_all_links()
        assert it.read(0, CONTENT.size) == it.content
        assert it.links.refreshes == 0


@pytest.mark.parametrize("readers", [1, READERS])
def test_links_that_never_work_again_are_refused_after_a_few_fresh_ones(readers: int) -> None:
    with reading(CONTENT) as it:
        it.source.open(1)
        it.kit.on_file_request = lambda _: it.kit.expire_all_links()
        with ThreadPoolExecutor(readers) as pool:
            reads = [pool.submit(it.read, 1, PART) for _ in range(readers)]
        assert all(isinstance(read.exception(), LinkRefused) for read in reads)
        assert "ExpiredRequest" in str(reads[0].exception())
        assert it.links.refreshes == MAX_REFUSED_URLS


def test_a_file_that_cannot_even_be_opened_is_refused_as_well() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = lambda _: Answer(403)
        with pytest.raises(LinkRefused) as caught:
            it.source.open(PART)
        assert caught.value.retryable


def test_an_api_that_fails_in_the_middle_of_a_refresh_is_outlasted() -> None:
    with reading(CONTENT) as it:
        it.source.open(1)
        it.kit.expire_all_links()
        it.kit.api_faults = [Answer.internal_error(), Refuse(), Answer.html(502), Answer.too_many_requests(None)] * 3
        assert it.read(1, PART) == it.content[1:PART]
        assert it.links.refreshes == 1


def test_an_api_that_stays_away_ends_with_its_own_error_once_patience_does() -> None:
    with reading(CONTENT, patience_s=0.2, pause_s=0.02) as it:
        it.source.open(1)
        it.kit.expire_all_links()
        it.kit.api_faults = lambda _: Answer.internal_error()
        with pytest.raises(ApiUnavailable):
            it.read(1, PART)


def test_a_recording_that_names_the_file_no_more_may_name_it_later() -> None:
    with reading(CONTENT, patience_s=2, pause_s=0.01) as it:
        it.source.open(1)
        it.kit.expire_all_links()
        withheld = Answer.json({"success": True, "data": {"id": ID, "status": "UPLOADED"}})
        it.kit.api_faults = [withheld, withheld]
        assert it.read(1, PART) == it.content[1:PART]
        it.kit.expire_all_links()
        it.kit.api_faults = lambda _: withheld
        with pytest.raises(SourceUnavailable, match="hands out no URL"):
            it.read(1, PART)


@pytest.mark.parametrize("nonsense", [Answer.html(200), Answer.garbage_json(), Answer.no_data()], ids=str)
def test_nonsense_in_the_place_of_a_fresh_link_is_believed_only_when_it_comes_again(nonsense: Answer) -> None:
    with reading(CONTENT) as it:
        it.source.open(1)
        for _ in range(2):
            it.kit.expire_all_links()
            it.kit.api_faults = [nonsense, nonsense]
            assert it.read(1, PART) == it.content[1:PART]
        it.kit.expire_all_links()
        it.kit.api_faults = lambda _: nonsense
        with pytest.raises(ApiNonsense):
            it.read(1, PART)


def test_a_link_that_leads_nowhere_time_and_again_is_replaced() -> None:
    with reading(CONTENT) as it:
        it.source.open(1)
        it.kit.lead_links_to("http://127.0.0.1:9")
        it.links.refresh("video", it.links.current("video"), "for a test")
        it.kit.lead_links_to(None)
        assert it.read(1, PART) == it.content[1:PART]
        assert it.links.refreshes == 2


def test_a_link_is_refreshed_ahead_of_time_once_and_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(CONTENT, link_lifetime=40) as it:
        it.source.open(1)
        monkeypatch.setattr("tasks.download.presigned_urls.MIN_REFRESH_INTERVAL_S", -1.0)
        it.kit.link_lifetime = 3600
        assert it.fetch_in_parallel(PART, READERS) == it.content
        assert it.links.refreshes == 1
        assert not any(request.expired for request in it.requests)


def test_clocks_that_disagree_do_not_cause_refreshes_over_and_over() -> None:
    with reading(CONTENT, clock_ahead=timedelta(hours=-3)) as it:
        assert it.link.expires_within(0)
        assert it.fetch_in_parallel(PART, READERS) == it.content
        assert it.links.refreshes == 0


def test_a_refresh_ahead_of_time_that_fails_leaves_the_old_link_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.presigned_urls.MIN_REFRESH_INTERVAL_S", -1.0)
    with reading(CONTENT, link_lifetime=40) as it:
        it.kit.api_faults = lambda _: Answer.failure(10000, "Authentication error", status=401)
        assert it.fetch(PART * 4) == it.content
        assert it.links.refreshes == 0
