"""URLs are read as httpx reads them, most of them without it."""

from __future__ import annotations

import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.realtimekit import values
from tasks.realtimekit.values import Address, as_url, parse_url

PIECES = ("https://", "HTTP://", "a", "B.c", "/", "//", ".", "..", "%20", "%", "é", ":80", ":", "@", "[::1]", "?q",
          "#f", " ", "\\", "~", "-", "_", "x.mp4", "&", ";", "xn--")  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_a_url_is_read_as_httpx_reads_it(text: str) -> None:
    for url in (text, f"https://host{text}", f"https://host/{text}"):
        try:
            theirs = httpx.URL(re.split(r"[?#]", url, maxsplit=1)[0])
            address = Address(theirs.scheme, theirs.host, theirs.path)
        except (httpx.InvalidURL, ValueError) as error:
            with pytest.raises(type(error)):
                parse_url(url)
        else:
            assert parse_url(url) == address


def test_the_urls_of_a_list_take_httpx_one_look_for_each_origin() -> None:
    values._parse.cache_clear()
    for number in range(50):
        assert as_url(f"https://bucket.example/app/{number}/video-{number}.mp4?X-Amz-Signature=%2F")
    assert values._parse.cache_info().misses == 1
