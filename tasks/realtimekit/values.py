"""Single values of the API's answers: whatever is sent, what comes out is of the type that is wanted, or absent."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tasks.text import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_SIZE = 2**63
LONGEST_URL = 65_536
"""Characters; httpx takes no more."""
_PLAIN_URL = re.compile(r"(?P<origin>https?://[^/\\]+)(?P<path>(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*/?)")
"""No path that httpx would write in another way: nothing in percent, and no segment that begins with a dot."""
YEARS = range(2000, 9000)
"""Some systems write "no time" as the year 1 or 1970, and "never" as 9999."""


def as_object(value: object) -> Mapping[str, Any]:
    """Return a JSON object; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    """Return a text without blanks around it; anything else counts as empty."""
    return value.strip() if isinstance(value, str) else ""


def as_name(value: object) -> str:
    """Return a name; some are URLs, and their signatures would be shown and differ at every look."""
    return redact_text(as_text(value))


def as_word(value: object) -> str:
    """Return an identifier; it goes into keys, headers and logs, so that what cannot be one counts as absent."""
    text = as_text(value)
    return text if re.fullmatch(r"[A-Za-z0-9_:-]{1,64}", text) else ""


def as_url(value: object) -> str:
    """Return an http(s) URL as it was sent; anything else counts as empty."""
    text = as_text(value)
    try:
        url = parse_url(text)
        usable = url.scheme in {"http", "https"} and url.host
    except (httpx.InvalidURL, ValueError):
        return ""
    return text if usable else ""


class Address(NamedTuple):
    """What a URL says up to its query."""

    scheme: str
    host: str
    path: str


@lru_cache(maxsize=8)
def parse_url(url: str) -> Address:
    """Parse a URL up to its query: that of a presigned one would take longer than all else that is done to a recording.

    A plain path is what it is. httpx looks at each character of a URL, which took a third of the time of a list of ten
    thousand recordings; the URLs of a list have few origins.

    Raises:
        InvalidURL: it is none; the rest can only be wrong by a control character, or too long.
    """
    if len(url) > LONGEST_URL or re.search(r"[\x00-\x1f\x7f]", url):
        raise httpx.InvalidURL("a control character, or too long")
    address = re.split(r"[?#]", url, maxsplit=1)[0]
    if plain := _PLAIN_URL.fullmatch(address):
        origin = _parse(plain["origin"])
        return Address(origin.scheme, origin.host, plain["path"] or "/")
    parsed = _parse(address)
    return Address(parsed.scheme, parsed.host, parsed.path)


@lru_cache(maxsize=8)
def _parse(url: str) -> httpx.URL:
    return httpx.URL(url)


def name_in_url(url: str) -> str:
    """Return the last part of the path of a URL that `as_url` has returned."""
    return redact_text(PurePosixPath(parse_url(url).path).name)


def as_number(value: object) -> float | None:
    """Return a finite number that is not negative, be it sent as a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def as_size(value: object) -> int | None:
    """Return a size in bytes; 0 counts as not known, as the API sends it before the upload is over."""
    number = as_number(value)
    if not number or not number.is_integer() or number >= LARGEST_SIZE:
        return None
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,19}\s*", value)):
        return int(value)  # beyond 2**53, a float is no longer exact
    return int(number)


def as_time(value: object) -> datetime | None:
    """Return a time in UTC; None for what is none, and for years that mean "no time" or "never"."""
    try:
        when = datetime.fromisoformat(as_text(value))
    except ValueError:
        return None
    try:
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except OverflowError:
        return None
    return when if when.year in YEARS else None
