"""Whatever bytes come from behind a presigned URL: those of the file, or an error of ours that does not show it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.download.http_client import new_http_client
from tasks.download.presigned_urls import PresignedUrl, PresignedUrls
from tasks.download.source import Source
from tasks.errors import ArchiverError
from tasks.retry import Patience
from tests.support.calling import NoWaits
from tests.support.impostor import Impostor, impersonating
from tests.support.strategies import ANY_VALUE, damaged, examples, require_presentable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

CONTENT = bytes(range(256)) * 2
PART = 300
CANARY = "leak-canary"

NAMES = st.sampled_from(
    ["ETag", "Content-Range", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Location",
     "Retry-After", "Set-Cookie", "Connection", "Upgrade", "Trailer", "X-Any"]
)  # fmt: skip
VALUES = ANY_VALUE | st.sampled_from(
    ['"e"', 'W/"e"', '""', "bytes 0-299/512", "bytes 300-511/512", "bytes 0-299/*", "bytes */0", "bytes 0-0/1",
    "chunked",
     "gzip, chunked", "identity", "text/html", "video/mp4", f"https://h/p?sig={CANARY}", f"//u:{CANARY}@h/p",
     "//[", "ftp://h",
     "http://\xe9", "/a?b=" + CANARY, "300", "512", "0300", "+300", "300, 300", "3_00", "\x01", "a\tb", "close", "h2c"]
)  # fmt: skip
STATUSES = st.sampled_from(
    [206] * 9 + [200, 200, 100, 103, 204, 301, 302, 307, 400, 403, 404, 412, 416, 429, 500, 503, 999]
)


def honest(start: int) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of the range that is asked for from a byte on."""
    body = CONTENT[start : start + PART]
    said = f"bytes {start}-{start + len(body) - 1}/{len(CONTENT)}"
    return {"Content-Length": str(len(body)), "Content-Range": said, "ETag": '"e"', "Content-Type": "video/mp4"}, body


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Draw the bytes of an answer: mostly an honest one under some other headers."""
    headers, body = honest(draw(st.sampled_from([0, 0, PART])))
    headers |= draw(st.dictionaries(NAMES, VALUES, max_size=2))
    twice = draw(st.dictionaries(NAMES, VALUES, max_size=1))
    lines = "".join(f"{name}: {value}\r\n" for name, value in [*headers.items(), *twice.items()])
    return f"HTTP/1.1 {draw(STATUSES)} Any\r\n{lines}\r\n".encode("latin-1") + body


SCRIPTS = st.lists(
    st.one_of(answers(), answers(), answers(), damaged(answers()), st.binary(max_size=60)), min_size=1, max_size=5
)


@pytest.fixture(scope="module")
def impostor() -> Iterator[Impostor]:
    with impersonating() as server:
        yield server


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with new_http_client(2) as client:
        yield client


@examples(80)
@given(script=SCRIPTS)
@example(script=[b"HTTP/1.1 200 OK\r\nContent-Length: 512\r\n\r\n" + CONTENT])
def test_whatever_bytes_answer_they_are_the_files_or_the_error_is_ours(
    impostor: Impostor, http: httpx.Client, script: list[bytes]
) -> None:
    impostor.answers, impostor.asked = script, 0
    pauses = NoWaits()
    link = PresignedUrl(f"{impostor.origin}/a/b.mp4?X-Amz-Signature={CANARY}")
    links = PresignedUrls(
        {"video": link}, lambda: {"video": PresignedUrl(link.url)}, pauses, logging.getLogger(__name__)
    )
    source = Source(http, links, "video", Patience(0, pauses))
    try:
        opened = source.open(PART)
        if opened.ranged:
            found = b"".join(
                b"".join(source.read(at, min(at + PART, opened.size))) for at in range(0, opened.size, PART)
            )
        else:
            found = b"".join(source.read_all())
    except ArchiverError as error:
        require_presentable(error, CANARY)
    else:
        # A first answer that names another size, and keeps to it, is for the API's size to tell.
        assert len(found) == opened.size
        assert found == CONTENT or opened.size != len(CONTENT)
        assert opened.etag.isprintable()
    finally:
        source.close()
