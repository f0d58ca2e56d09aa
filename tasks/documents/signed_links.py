"""Signed links in a document's text: who holds one can fetch a file, so that no signature is archived.

A link whose query has a signature or a token keeps its address and loses its query. A mark takes the place of the
query, so that a reader sees that something was removed. Every other character stays as it came.
"""

from __future__ import annotations

import codecs
import re

REMOVED_QUERY = "?signature=removed"
"""What stands in the place of a query."""

_LINK = re.compile(
    r"""(?P<address>https?:(?:\\*/){2}[^\s"'<>?#,|^`{}]*)
        (?P<query>\?(?:[A-Za-z0-9\-._~%!$&*+;=:@/?\#\[\]]|\\+u00[0-9A-Fa-f]{2}|\\+/|,(?=[A-Za-z0-9%_.~-]+(?:[&=]|\\+u0026)))*)?""",
    re.VERBOSE | re.IGNORECASE,
)
"""A link without a query matches too, so that no text is searched twice.
JSON may escape slashes and ampersands, more than once where a text in JSON holds JSON. A comma ends a link in CSV."""
_ESCAPED = re.compile(r"\\+u00([0-9A-Fa-f]{2})")
_SIGNED = re.compile(
    r"""(?:^|[?&;\#])(?:amp;)?
        (?:x-(?:amz|goog|ms|oss|cos)-[a-z-]{1,40} | [a-z0-9._-]{0,40}(?:signature|token|secret|credential|hmac)
         | sig | jwt | awsaccesskeyid | googleaccessid | ossaccesskeyid | key-pair-id)=""",
    re.VERBOSE | re.IGNORECASE,
)
_LOOSE = re.compile(
    r"(?P<name>\bx-(?:amz|goog)-(?:signature|credential|security-token)(?:=|%3d|\\+u003d))(?!removed\b)[^\s\"'<>&\\]+",
    re.IGNORECASE,
)
"""A signature that stands in no link, or in one that nothing here could read."""
_REMOVED = re.compile(r"(?:\?signature|\bx-(?:amz|goog)-[a-z-]{1,40}(?:%3d|\\+u003d)?)=?removed\b", re.IGNORECASE)
_WIDE = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def without_signatures(content: bytes) -> bytes:
    """Return a document without the signatures of links; the same bytes if there is none."""
    encoding = _encoding(content)
    text = content.decode(encoding, errors="surrogatepass")
    cleaned = _LOOSE.sub(r"\g<name>removed", _LINK.sub(_unsigned, text))
    return content if cleaned == text else cleaned.encode(encoding, errors="surrogatepass")


def count_removed(content: bytes) -> int:
    """Return in how many places an archived document has lost a signature."""
    return len(_REMOVED.findall(content.decode(_encoding(content), errors="surrogatepass")))


def _unsigned(link: re.Match[str]) -> str:
    query = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), link["query"] or "")
    return link["address"] + REMOVED_QUERY if _SIGNED.search(query) else link[0]


def _encoding(content: bytes) -> str:
    """Return an encoding that gives every byte back; one byte a character where it is none of Windows' wide ones."""
    wide = next((name for mark, name in _WIDE if content.startswith(mark)), "")
    return wide if wide and len(content) % 2 == 0 else "latin-1"
