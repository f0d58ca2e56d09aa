"""Signed links in a document's text: who holds one can fetch a file, so that no signature is archived.

A link whose query or fragment has a signature or a token keeps its address and loses the query. A mark takes the place
of the query, so that a reader sees that something was removed; so does one in the place of a user and a password. Every
other character stays as it came.
"""

from __future__ import annotations

import codecs
import re
from urllib.parse import unquote

REMOVED_QUERY = "?signature=removed"
"""What stands in the place of a query."""

_LINK = re.compile(
    r"""(?P<address>https?:(?:\\*/){2}[^\s"'<>?#,|^`{}]*)
        (?P<query>[?\#](?:[A-Za-z0-9\-._~%!$&*+;=:@/?\#\[\]]|\\+u00[0-9A-Fa-f]{2}|\\+/|,(?=[A-Za-z0-9%_.~-]+(?:[&=]|\\+u0026)))*)?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
"""A link without a query matches too, so that no text is searched twice. A fragment counts as a query.
JSON may escape slashes and ampersands, more than once where a text in JSON holds JSON. A comma ends a link in CSV.
Blanks are those of ASCII: a byte of a letter such as à would be one, too."""
_USER = re.compile(
    r"""(https?:(?:\\*/){2})[^\s"'<>?#/@\\,]{0,200}:[^\s"'<>?#/@\\,]{1,200}@""", re.IGNORECASE | re.ASCII
)
_ESCAPED = re.compile(r"\\+u00([0-9A-Fa-f]{2})")
_SIGNING = r"""(?:[a-z0-9._-]{0,40}(?:signature|token|secret|credential|hmac)
                 | sig | jwt | awsaccesskeyid | googleaccessid | ossaccesskeyid | key-pair-id)"""
_SIGNED = re.compile(
    rf"(?:^|[?&;\#])(?:amp;)?(?:x-(?:amz|goog|ms|oss|cos)-[a-z-]{{1,40}}|{_SIGNING})=",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_PARAMETER = rf"""(?:(?:[?&]|%(?:25)*(?:3f|26)|u00(?:3f|26))(?:amp;)?{_SIGNING}
                     | x-(?:amz|goog)-(?:signature|credential|security-token))(?:=|%(?:25)*3d|\\{{1,16}}u003d)"""
_LOOSE = re.compile(
    rf"(?P<name>{_PARAMETER})(?!removed\b)[a-z0-9%+/=_.~:*-]*[a-z0-9%+/=_~-]", re.VERBOSE | re.IGNORECASE | re.ASCII
)
"""A signature that stands in no link, or in a part of a link that nothing here could read, such as one after a
parenthesis. A comma ends it, as it may be in CSV."""
_REMOVED = re.compile(rf"{_PARAMETER}removed\b|/removed@", re.VERBOSE | re.IGNORECASE | re.ASCII)
_NESTED = 3
"""How often a link within a link may be percent-encoded."""
_WIDE = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def without_signatures(content: bytes) -> bytes:
    """Return a document without the signatures of links; the same bytes if there is none."""
    encoding = _encoding(content)
    text = content.decode(encoding, errors="surrogatepass")
    cleaned = _LOOSE.sub(r"\g<name>removed", _LINK.sub(_unsigned, _USER.sub(r"\1removed@", text)))
    return content if cleaned == text else cleaned.encode(encoding, errors="surrogatepass")


def count_removed(content: bytes) -> int:
    """Return in how many places an archived document has lost a signature."""
    return len(_REMOVED.findall(content.decode(_encoding(content), errors="surrogatepass")))


def _unsigned(link: re.Match[str]) -> str:
    query = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), link["query"] or "")
    end = query[len(query.rstrip(".:!*]")) :]  # of a sentence, or of what is written in bold
    for _ in range(_NESTED):
        if _SIGNED.search(query):
            return link["address"] + REMOVED_QUERY + end
        query = unquote(query, encoding="latin-1")
    return link[0]


def _encoding(content: bytes) -> str:
    """Return an encoding that gives every byte back; one byte a character where it is none of Windows' wide ones."""
    wide = next((name for mark, name in _WIDE if content.startswith(mark)), "")
    return wide if wide and len(content) % 2 == 0 else "latin-1"
