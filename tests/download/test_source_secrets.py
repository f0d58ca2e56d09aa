"""A presigned URL is a key: it is in no log record of any logger, and in no error that comes out."""

import logging
import pickle
import traceback
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tasks.download.http_client import new_http_client, send_get
from tasks.errors import ArchiverError, ConnectionInsecure, SourceUnavailable
from tests.standins.realtimekit import (
    Answer,
    Drop,
    Fault,
    HtmlPage,
    OtherETag,
    RealtimeKitStandIn,
    Redirect,
    RedirectLoop,
    Refuse,
    Stall,
    SyntheticContent,
    WrongRange,
)
from tests.support.reading import PIECE, Reading, reading

CONTENT = SyntheticContent(3 * PIECE, seed=10)
LASTING: list[Fault] = [
    Answer(503),
    Answer(404),
    Answer(403),
    Answer(302, {"Location": "http://[bad?X-Amz-Signature=1"}),
    Answer(302, {"Location": "ftp://files.example/?X-Amz-Signature=1"}),
    Answer(302, {"Location": "http://127.0.0.1:1/?X-Amz-Signature=1"}),
    Answer(302, {"Location": "http://files.example:99999/?X-Amz-Signature=1"}),
    Answer(302, {"Location": "http://\u00ff\u00fe.example/\x7f?X-Amz-Signature=1"}),
    RedirectLoop(),
    Refuse(),
    Refuse("rst"),
    Drop(0),
    Stall(),
    Stall(0),
    HtmlPage(),
    WrongRange(1),
    OtherETag(),
]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Hear everything, and leave all levels as they were."""
    levels = {name: logging.getLogger(name).level for name in loggers()}
    caplog.handler.setLevel(logging.DEBUG)
    yield caplog
    for name in loggers():
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


def loggers() -> list[str]:
    return ["", *logging.root.manager.loggerDict]


def tell_everything() -> None:
    """Do as somebody who configures logging after the client was made."""
    for name in loggers():
        logging.getLogger(name).setLevel(logging.DEBUG)


def signature(it: Reading) -> str:
    return parse_qs(urlsplit(it.link.url).query)["X-Amz-Signature"][0]


def shown(told: pytest.LogCaptureFixture) -> str:
    """Return everything that the records hold, formatted and raw."""
    formatter = logging.Formatter("%(message)s")
    return "\n".join(f"{formatter.format(record)} {record.__dict__}" for record in told.records)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: ascii(fault)[:80])
def test_no_failure_shows_a_link_or_carries_one_along(fault: Fault, told: pytest.LogCaptureFixture) -> None:
    with reading(CONTENT, patience_s=0.15, stall_s=0.1, links_expire_after_requests=2) as it:
        tell_everything()
        it.source.open(PIECE)
        it.kit.file_faults = lambda _: fault
        with pytest.raises(ArchiverError) as caught:
            it.read(PIECE, CONTENT.size)
        said = "".join(traceback.format_exception(caught.value)) + shown(told)
        assert "X-Amz" not in said
        assert signature(it) not in said
        assert b"X-Amz" not in pickle.dumps(caught.value)
        for error in chain(caught.value):
            assert isinstance(error, ArchiverError)
            assert "X-Amz" not in repr(error) + str(error) + repr(error.args) + repr(vars(error))


def test_a_transfer_with_every_trouble_logs_no_link(told: pytest.LogCaptureFixture) -> None:
    with reading(CONTENT, links_expire_after_requests=2) as it:
        tell_everything()
        it.kit.file_faults = [Redirect(3), HtmlPage(), Drop(100), Refuse(), Answer(503), WrongRange(1), OtherETag()]
        assert it.fetch(PIECE) == it.content
        assert it.links.refreshes > 1
        assert "got a fresh URL" in shown(told)
        assert "X-Amz" not in shown(told)


def test_a_message_that_quotes_a_link_is_cut_before_its_query() -> None:
    def choke(request: httpx.Request) -> httpx.Response:
        message = f"cannot reach {request.url}"
        raise httpx.ConnectError(message)

    with httpx.Client(transport=httpx.MockTransport(choke)) as http, pytest.raises(SourceUnavailable) as caught:
        send_get(http, "video", "https://files.example/a.mp4?X-Amz-Signature=1", {})
    assert caught.value.reason == "ConnectError: cannot reach https://files.example/a.mp4"


@pytest.mark.parametrize("url", ["http://[x?X-Amz-Signature=1", "no-scheme?X-Amz-Signature=1", "http://\n?X-Amz=1", ""])
def test_a_link_that_is_no_url_fails_as_any_other(url: str) -> None:
    with httpx.Client() as http, pytest.raises(ArchiverError) as caught:
        send_get(http, "video", url, {})
    assert "X-Amz" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_server_that_does_not_speak_tls_is_told_at_once_and_without_the_url() -> None:
    query = "X-Amz-Signature=1"
    with RealtimeKitStandIn() as kit, new_http_client(5) as http, pytest.raises(ConnectionInsecure) as raised:
        send_get(http, "video", f"{kit.base_url.replace('http://', 'https://')}/a?{query}", {})
    assert "video, the server of its URL: the https connection cannot be trusted: it does not speak TLS" in str(
        raised.value
    )
    assert query not in "".join(traceback.format_exception(raised.value)).replace(f'"{query}"', "")
