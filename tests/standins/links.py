"""Presigned URLs as R2 makes them, and what a server says to a bad one."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import math
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tests.standins.faults import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tests.standins.knobs import ExpiryDialect, Knobs
    from tests.standins.loopback import Incoming

SIGNATURE_MISMATCH = Answer.xml(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your secret access key"
    " and signing method. ",
)
TWO_AUTHENTICATIONS = Answer.xml(
    400,
    "InvalidArgument",
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter"
    " or the Authorization header should be specified",
)
EXPIRED: Mapping[ExpiryDialect, Answer] = {
    "r2-403": Answer.xml(403, "ExpiredRequest", "Request has expired"),
    "r2-400": Answer.xml(400, "ExpiredRequest", "Request has expired"),
    "s3-403": Answer.xml(403, "AccessDenied", "Request has expired"),
    "gcs-400": Answer.xml(400, "ExpiredToken", "The provided token has expired."),
    "cdn-401": Answer(401),
    "cdn-403": Answer(403),
    "cdn-410": Answer(410),
    "signature-403": SIGNATURE_MISMATCH,
}
"""How each dialect says that a link has expired."""


@dataclass(eq=False, slots=True)
class Link:
    """One presigned URL that was handed out."""

    key: str
    query: tuple[tuple[str, str], ...]
    expires: datetime
    requests_left: int | None
    void: bool = False

    def signs(self, key: str, query: list[tuple[str, str]]) -> bool:
        """Say whether this is what was handed out, untouched."""
        return key == self.key and sorted(query) == sorted(self.query)

    def is_spent(self, now: datetime) -> bool:
        """Say whether it has expired, for whatever reason."""
        return self.void or self.requests_left == 0 or now >= self.expires

    def use(self) -> None:
        """Count one request."""
        if self.requests_left is not None:
            self.requests_left -= 1


class LinkOffice:
    """Hands presigned URLs out and checks them when they come back."""

    def __init__(self, knobs: Knobs) -> None:
        self.origin = ""
        self._knobs = knobs
        self._links: dict[str, Link] = {}
        self._stored: dict[str, tuple[str, datetime]] = {}  # URL and expiry by key, for links that are stored
        self._serial = itertools.count()
        self._lock = threading.Lock()

    def expiry(self, issued: datetime) -> datetime:
        """Return when a link that is minted now will expire."""
        return issued + timedelta(seconds=self._knobs.link_lifetime)

    def link(self, key: str, issued: datetime) -> str:
        """Return a presigned URL of a file: a new one, or the same as ever where links are stored."""
        if not self._knobs.links_are_stored:
            return self.mint(key, issued)
        url, expires = self._stored.get(key, ("", issued))
        if expires <= issued:
            url, expires = self.mint(key, issued), self.expiry(issued)
            self._stored[key] = url, expires
        return url

    def mint(self, key: str, issued: datetime) -> str:
        """Return a new presigned URL of a file."""
        query = self._signed_query(key, issued)
        link = Link(key, tuple(query.items()), self.expiry(issued), self._knobs.links_expire_after_requests)
        with self._lock:
            self._links[query["X-Amz-Signature"]] = link
        return f"{self.origin}{quote(key)}?{urlencode(query)}"

    def _signed_query(self, key: str, issued: datetime) -> dict[str, str]:
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
            "X-Amz-Credential": f"{'5' * 32}/{issued:%Y%m%d}/auto/s3/aws4_request",
            "X-Amz-Date": f"{issued:%Y%m%dT%H%M%SZ}",
            "X-Amz-Expires": str(math.ceil(self._knobs.link_lifetime)),
            "X-Amz-SignedHeaders": "host",
            "x-id": "GetObject",
        }
        # The serial number makes two links of one second differ, so that a refresh can be told from a repetition.
        signed = f"{next(self._serial)}\n{key}\n{urlencode(query)}"
        return {**query, "X-Amz-Signature": hmac.new(b"stand-in", signed.encode(), hashlib.sha256).hexdigest()}

    def check(self, incoming: Incoming, target: str) -> tuple[Answer | None, bool]:
        """Return the refusal of a request by its link (None: it is good), and whether that is for expiry."""
        parts = urlsplit(target)
        query = parse_qsl(parts.query, keep_blank_values=True)
        with self._lock:
            link = self._links.get(dict(query).get("X-Amz-Signature", ""))
            if link is None or incoming.method != "GET" or not link.signs(unquote(parts.path), query):
                return SIGNATURE_MISMATCH, False
            if "authorization" in incoming.headers:
                return TWO_AUTHENTICATIONS, False
            if link.is_spent(self._knobs.now()):
                return EXPIRED[self._knobs.expiry_dialect], True
            link.use()
        return None, False

    def expire_all(self) -> None:
        """Make every link handed out so far answer as expired."""
        with self._lock:
            for link in self._links.values():
                link.void = True
