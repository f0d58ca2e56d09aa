"""A document is read whole or not at all, and what comes in its place is refused."""

from __future__ import annotations

import gzip
import uuid
from threading import Event
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.download import PresignedUrl, fetch_document, fetch_upload, new_http_client
from tasks.download import documents as module
from tasks.errors import (
    ArchiverError,
    LinkRefused,
    SourceChanged,
    SourceLied,
    SourceMissing,
    SourceTooLarge,
    SourceUnavailable,
    TransferStopped,
)
from tasks.retry import Patience
from tests.standins.realtimekit import (
    Answer,
    Chunked,
    ChunkedEndsEarly,
    Drop,
    Fault,
    Gzip,
    HtmlPage,
    MediaSource,
    NoLength,
    Redirect,
    Refuse,
    StandInDocument,
    StandInSession,
)
from tests.support.calling import NoWaits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.realtimekit import RealtimeKitStandIn

TEXT = b'"1000","p","u","c","Alice","Hello"\n' * 3000


class Reader:
    """One document of the stand-in, and what reads it."""

    def __init__(self, kit: RealtimeKitStandIn, http: httpx.Client) -> None:
        self.kit = kit
        self.http = http
        self.stop = NoWaits()
        self.refreshes = 0
        self.gone = False
        self.session = kit.add_session(StandInSession(str(uuid.uuid4())))
        self.session.transcript = StandInDocument(MediaSource(TEXT, "text/csv"), "transcript.csv")

    @property
    def source(self) -> MediaSource:
        """The document at its source."""
        source = self.session.transcript.source
        assert source is not None
        return source

    def link(self) -> PresignedUrl:
        """Return a URL that works."""
        url = self.kit.upload_url(self.session, "x").replace("uploads/x", "transcript/transcript.csv")
        key = httpx.URL(url).path
        return PresignedUrl(self.kit._links.mint(key, self.kit.now()))

    def refresh(self) -> PresignedUrl | None:
        """Return a fresh URL, unless there is none any more."""
        self.refreshes += 1
        return None if self.gone else self.link()

    def fetch(self, most: int = 10**6, patience_s: float = 10) -> bytes:
        """Read the document."""
        patience = Patience(patience_s, self.stop)
        return fetch_document(self.http, "transcript", self.link(), self.refresh, patience, most).content


@pytest.fixture
def reader(kit: RealtimeKitStandIn) -> Iterator[Reader]:
    with new_http_client(2) as http:
        yield Reader(kit, http)


def test_an_etag_that_is_the_md5_of_the_bytes_proves_them(reader: Reader) -> None:
    assert reader.fetch() == TEXT
    assert len(reader.kit.file_requests) == 1


@pytest.mark.parametrize("etag", [None, 'W/"weak"', '"d41d8cd98f00b204e9800998ecf8427e-2"'])
def test_without_proof_two_readings_have_to_agree(reader: Reader, etag: Any) -> None:
    reader.source.replace(TEXT, etag)
    assert reader.fetch() == TEXT
    assert len(reader.kit.file_requests) == 2


def test_a_file_without_a_byte_is_an_answer(reader: Reader) -> None:
    reader.source.replace(b"")
    assert reader.fetch() == b""


@pytest.mark.parametrize(
    "fault",
    [Drop(100, "fin"), Drop(100, "rst"), Refuse("rst"), Answer(503), Answer.too_many_requests(1), HtmlPage(),
     Answer(403), Answer(404), Answer(410), ChunkedEndsEarly(100), Gzip(), NoLength(), Chunked(), Redirect()],
    ids=str,
)  # fmt: skip
def test_whatever_breaks_once_costs_another_attempt(reader: Reader, fault: Fault) -> None:
    reader.kit.file_faults = [fault]
    assert reader.fetch() == TEXT


def test_a_body_that_ends_early_twice_in_different_places_is_not_kept(reader: Reader) -> None:
    reader.kit.file_faults = [ChunkedEndsEarly(at) for at in (100, 200, 300, 400)]
    with pytest.raises(SourceChanged):
        reader.fetch()


def test_an_expired_url_is_refreshed_a_few_times_and_not_for_ever(reader: Reader) -> None:
    reader.kit.file_faults = [Answer(403)] * module.REFRESHES
    assert reader.fetch() == TEXT
    assert reader.refreshes == module.REFRESHES
    reader.kit.file_faults = lambda _request: Answer(403)
    with pytest.raises(LinkRefused):
        reader.fetch()


@pytest.mark.parametrize(
    "page", [b"<html>Just a moment</html>", b'<?xml version="1.0"?><Error/>', b'{"success": false, "error": {}}']
)
def test_an_error_page_is_refused_whatever_it_is_called(reader: Reader, page: bytes) -> None:
    reader.source.replace(page)
    with pytest.raises(SourceLied):
        reader.fetch()
    assert reader.refreshes == module.REFRESHES


def test_more_bytes_than_the_bound_are_not_read(reader: Reader) -> None:
    with pytest.raises(SourceTooLarge):
        reader.fetch(most=len(TEXT) - 1)
    bomb = gzip.compress(bytes(10**6))
    reader.kit.file_faults = [Answer(200, {"Content-Encoding": "gzip"}, bomb)]
    with pytest.raises(SourceTooLarge):
        reader.fetch(most=10**5)


def test_what_a_server_compressed_unasked_comes_as_it_was(reader: Reader) -> None:
    whole = Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(TEXT))
    reader.kit.file_faults = [whole, whole]
    assert reader.fetch() == TEXT
    assert len(reader.kit.file_requests) == 2
    cut = Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(TEXT)[:-20])
    unknown = Answer(200, {"Content-Encoding": "br"}, TEXT)
    reader.kit.file_faults = [cut, unknown]
    assert reader.fetch() == TEXT


def test_a_url_that_is_handed_out_no_more_is_missing(reader: Reader) -> None:
    reader.gone = True
    reader.kit.file_faults = [Answer(403)]
    with pytest.raises(SourceMissing):
        reader.fetch()


def test_a_server_that_stays_away_ends_the_patience(reader: Reader) -> None:
    reader.kit.file_faults = lambda _request: Answer.too_many_requests(7)
    with pytest.raises(SourceUnavailable):
        reader.fetch(patience_s=3)


def test_a_run_that_is_told_to_stop_stops(reader: Reader) -> None:
    reader.stop.set()
    with pytest.raises(TransferStopped):
        reader.fetch()


def test_no_url_is_in_any_error(reader: Reader) -> None:
    reader.kit.file_faults = lambda _request: Answer(403)
    with pytest.raises(ArchiverError) as raised:
        reader.fetch()
    assert "X-Amz" not in f"{raised.value!r} {raised.value.args} {raised.value.__dict__}"


def upload(reader: Reader, url: str, trusted: str) -> bytes:
    return fetch_upload(reader.http, "upload", url, trusted, Patience(2, Event()), 1000).content


def test_an_upload_on_the_chats_own_server_is_fetched(reader: Reader) -> None:
    reader.session.uploads["a.png"] = MediaSource(b"\x89PNG", "image/png")
    url = reader.kit.upload_url(reader.session, "a.png")
    assert upload(reader, url, url) == b"\x89PNG"


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/a",
        "https://localhost/a",
        "https://1.1.1.1:8443/a",
        "https://224.0.0.1/a",
        "https:///a",
        "file:///etc/passwd",
    ],
)
def test_a_stranger_leads_nobody_into_the_network_of_this_machine(reader: Reader, url: str) -> None:
    with pytest.raises(SourceLied):
        upload(reader, url, "https://chat.example/c")
    assert reader.kit.file_requests == []


def test_an_upload_that_redirects_is_not_followed(reader: Reader) -> None:
    reader.session.uploads["a.png"] = MediaSource(b"\x89PNG", "image/png")
    url = reader.kit.upload_url(reader.session, "a.png")
    reader.kit.file_faults = lambda _request: Redirect()
    with pytest.raises(SourceLied):
        upload(reader, url, url)
    assert len(reader.kit.file_requests) == 1
