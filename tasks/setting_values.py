"""Values of settings: each function returns a value as it is used, or raises ValueError if it is malformed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
from pydantic import AfterValidator, SecretStr

if TYPE_CHECKING:
    from collections.abc import Callable

_ARCHIVE_URL = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9])(?:/(?P<prefix>.{0,400}))?")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'() -]+(?:/[A-Za-z0-9!_.*'() -]+)*")


def clean_token(token: SecretStr) -> SecretStr:
    """Return an API token without blanks around it."""
    # A stray newline or umlaut would surface in an exception of the HTTP library that quotes the whole header.
    text = token.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]+", text):
        message = "must be printable ASCII without spaces: the token alone, without Bearer"
        raise ValueError(message)
    return SecretStr(text)


def clean_api_base(url: str) -> str:
    """Return an http(s) URL, without user, query or fragment, and without a slash at its end."""
    try:
        usable = bool(httpx.URL(url).host and re.fullmatch(r"https?://[!-~]+", url)) and not set("?#@") & set(url)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        message = "must be an http(s) URL without user, query or fragment"
        raise ValueError(message)
    return url.rstrip("/")


def clean_endpoint(url: str) -> str:
    """Return a store's address, see `clean_api_base`, or an empty text."""
    return clean_api_base(url) if url else url


def clean_archive_url(url: str) -> str:
    """Return the URL of an archive, such as s3://bucket/prefix, without a slash at its end."""
    matched = _ARCHIVE_URL.fullmatch(url)
    prefix = (matched["prefix"] or "").strip("/") if matched else ""
    if not matched or (prefix and not _PREFIX.fullmatch(prefix)) or {".", ".."} & set(prefix.split("/")):
        message = "must look like s3://bucket/prefix; a prefix has letters, digits, blanks, !_.*'()- and single slashes"
        raise ValueError(message)
    return f"s3://{matched['bucket']}/{prefix}".rstrip("/")


def parse_archive_url(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix that a URL such as s3://bucket/prefix names."""
    bucket, _, prefix = clean_archive_url(url).removeprefix("s3://").partition("/")
    return bucket, prefix


def parsed_by(parse: Callable[[str], object]) -> AfterValidator:
    """Return what keeps a text as it is, provided that it can be parsed."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def clean_key_url(url: str) -> str:
    """Return the URL of a key that signatures are verified with: https, or on this machine."""
    url = clean_api_base(url)
    # Who can put a key of his own in its place can sign whatever he likes.
    if not url.startswith("https://") and httpx.URL(url).host not in {"127.0.0.1", "::1", "localhost"}:
        message = "must begin with https:// unless it is this machine's"
        raise ValueError(message)
    return url
