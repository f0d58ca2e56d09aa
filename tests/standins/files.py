"""The stand-in's file server: an S3-like answer to a GET with a presigned URL, honest or faulty."""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tests.standins.content import Slice
from tests.standins.faults import Answer, Exchange, next_fault, redirection
from tests.standins.lies import content_range
from tests.standins.loopback import Delivery, Incoming
from tests.standins.requests import FileRequest, Ledger, number_file_request
from tests.standins.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.content import MediaSource, StoredObject
    from tests.standins.knobs import Knobs
    from tests.standins.links import LinkOffice

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HOP = re.compile(r"/hop/(\d+|loop)(/.*)")

NO_SUCH_KEY = Answer.xml(404, "NoSuchKey", "The specified key does not exist.")
PRECONDITION_FAILED = Answer.xml(
    412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
)
INVALID_RANGE = Answer.xml(416, "InvalidRange", "The requested range is not satisfiable")


def asked_bytes(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the half-open bounds that a Range header asks for, None if there is no single valid range.

    Nothing can satisfy bounds whose start is not below their stop.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


class FileServer:
    """Answers requests for files."""

    def __init__(self, knobs: Knobs, links: LinkOffice, find: Callable[[str], MediaSource | None]) -> None:
        self.ledger: Ledger[FileRequest] = Ledger()
        self._knobs = knobs
        self._links = links
        self._find = find

    def answer(self, incoming: Incoming) -> Delivery:
        """Return the answer to one request."""
        hop = _HOP.fullmatch(incoming.target)
        target = hop[2] if hop else incoming.target
        request = self._take_in(incoming, target)
        try:
            if self._knobs.on_file_request is not None:
                self._knobs.on_file_request(request)
            reply = self._reply(incoming, request, target, hop[1] if hop else None)
        except BaseException:
            self.ledger.close()
            raise
        request.status = reply.status_sent
        return self._delivery(request, reply)

    def _take_in(self, incoming: Incoming, target: str) -> FileRequest:
        key = unquote(urlsplit(target).path)
        source = self._find(key)
        size = source.size if source else 0
        header = incoming.headers.get("range")
        start, stop = asked_bytes(header, size) or (0, size)
        name = key.rpartition("/")[2]
        request = FileRequest(incoming.method, key, name, header, start, stop, incoming.headers)
        self.ledger.open(request, number_file_request)
        return request

    def _delivery(self, request: FileRequest, reply: Reply) -> Delivery:
        def count(sent: int) -> None:
            if reply.media:
                request.sent += sent

        return Delivery(reply, self._knobs.bandwidth_per_connection, count, self.ledger.close)

    def _reply(self, incoming: Incoming, request: FileRequest, target: str, hop: str | None) -> Reply:
        url = f"{self._links.origin}{target}"
        if hop not in {None, "0"}:
            return redirection(url, hop if hop == "loop" else str(int(hop or 1) - 1), 302)
        refusal, request.expired = self._links.check(incoming, target)
        if refusal is not None:
            reply = refusal.reply()
            return reply.bodiless() if incoming.method == "HEAD" else reply
        source = self._find(request.key)
        exchange = Exchange(url, lambda: honest_reply(incoming, source.object if source else None))
        request.fault = None if hop else next_fault(self._knobs.file_faults, request)
        return request.fault.shape(exchange) if request.fault else exchange.honest


def honest_reply(incoming: Incoming, stored: StoredObject | None) -> Reply:
    """Return what S3 answers to a GET of this object."""
    if stored is None:
        return NO_SUCH_KEY.reply()
    condition = incoming.headers.get("if-match")
    if condition is not None and not _matches(condition, stored.etag):
        return PRECONDITION_FAILED.reply()
    bounds = asked_bytes(incoming.headers.get("range"), stored.size) if stored.ranges else None
    if bounds is None:
        return _media(stored, 0, stored.size, 200)
    start, stop = bounds
    if start >= stop:
        return INVALID_RANGE.with_header("Content-Range", f"bytes */{stored.size}").reply()
    whole = _media(stored, start, stop, 206)
    return whole.having({"Content-Range": content_range(start, stop, stored.size)})


def _matches(condition: str, etag: str | None) -> bool:
    """Compare strongly, as If-Match demands: a weak ETag never matches."""
    if condition.strip() == "*":
        return True
    return etag is not None and not etag.startswith("W/") and etag in [tag.strip() for tag in condition.split(",")]


def _media(stored: StoredObject, start: int, stop: int, status: int) -> Reply:
    reply = Reply(status, body=(Slice(stored.content, start, stop),), media=True)
    return reply.having(
        {
            "Content-Type": stored.content_type,
            "ETag": stored.etag,
            "Last-Modified": formatdate(stored.modified, usegmt=True),
            "Accept-Ranges": "bytes" if stored.ranges else None,
        }
    )
