"""The ways in which a file server or an API can fail or lie, as values for the stand-ins' scripts.

A fault turns the honest answer into the one that goes over the wire. Those that lie about a file's bytes
leave answers without any (404, 412, 416) as they are.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

from tests.standins.wire import Cut, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.standins.requests import ApiRequest, FileRequest

HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Please wait.</body></html>"


class Exchange:
    """A request's URL and its honest answer, which is worked out only if a fault asks for it."""

    def __init__(self, url: str, honest: Callable[[], Reply]) -> None:
        self.url = url
        self._make_honest = honest

    @cached_property
    def honest(self) -> Reply:
        """The answer without a fault."""
        return self._make_honest()


class Fault(Protocol):
    """Something that goes wrong with one answer."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""


FileScript: TypeAlias = "list[Fault | None] | Callable[[FileRequest], Fault | None]"
"""Faults for the coming requests, taken from the list's front (None: behave), or a rule."""
ApiScript: TypeAlias = "list[Fault | None] | Callable[[ApiRequest], Fault | None]"
"""The same for the API."""


# Connections that break, hang or crawl


@dataclass(frozen=True, slots=True)
class Drop:
    """Closes the connection after so many bytes of the body."""

    after_bytes: int
    how: Literal["fin", "rst"] = "fin"

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(exchange.honest, cut=Cut(self.after_bytes, self.how))


@dataclass(frozen=True, slots=True)
class Refuse:
    """Closes the connection instead of answering."""

    how: Literal["fin", "rst"] = "fin"

    def shape(self, exchange: Exchange) -> Reply:  # noqa: ARG002 - there is no answer to shape
        """Return what is put on the wire."""
        return Reply(0, cut=Cut(None, self.how))


@dataclass(frozen=True, slots=True)
class Stall:
    """Sends nothing more after so many bytes of the body (None: not even headers) and holds the connection."""

    after_bytes: int | None = None

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        honest = Reply(0) if self.after_bytes is None else exchange.honest
        return replace(honest, cut=Cut(self.after_bytes, "stall"))


@dataclass(frozen=True, slots=True)
class Drip:
    """Sends the body slowly."""

    bytes_per_second: float

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(exchange.honest, bytes_per_second=self.bytes_per_second)


# Other answers


@dataclass(frozen=True, slots=True)
class Answer:
    """Any answer at all, instead of the honest one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def shape(self, exchange: Exchange) -> Reply:  # noqa: ARG002 - it replaces the honest answer
        """Return what is put on the wire."""
        return self.reply()

    def reply(self) -> Reply:
        """Return the answer, for use without a fault."""
        return Reply.of(self.status, self.body, self.headers)

    @classmethod
    def html(cls, status: int = 502) -> Answer:
        """Make a proxy's error page."""
        return cls(status, {"Content-Type": "text/html; charset=UTF-8"}, HTML)

    @classmethod
    def json(cls, document: object, status: int = 200) -> Answer:
        """Make an answer of any JSON."""
        return cls(status, {"Content-Type": "application/json"}, json.dumps(document).encode())

    @classmethod
    def xml(cls, status: int, code: str, message: str, **headers: str) -> Answer:
        """Make an S3 error document; underscores in the names of headers stand for hyphens."""
        text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, {"Content-Type": "application/xml", **named}, text.encode())

    @classmethod
    def slow_down(cls, retry_after: int | str | None = 1) -> Answer:
        """Make S3's 503 SlowDown, with seconds or an HTTP date to wait for."""
        headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
        return cls.xml(503, "SlowDown", "Please reduce your request rate.", **headers)

    @classmethod
    def internal_error(cls) -> Answer:
        """Make S3's 500."""
        return cls.xml(500, "InternalError", "We encountered an internal error. Please try again.")

    @classmethod
    def too_many_requests(cls, retry_after: int | str | None = 1) -> Answer:
        """Make a 429 in Cloudflare's envelope, with seconds or an HTTP date to wait for."""
        answer = cls.failure(10429, "Rate limited. Please wait and try again.", status=429)
        return answer if retry_after is None else answer.with_header("Retry-After", str(retry_after))

    @classmethod
    def failure(cls, code: int, message: str, status: int = 200) -> Answer:
        """Make Cloudflare's envelope of a failure, with whatever status."""
        errors = [{"code": code, "message": message}]
        return cls.json({"success": False, "errors": errors, "messages": [], "result": None}, status)

    @classmethod
    def refusal(cls, status: int, message: str) -> Answer:
        """Make RealtimeKit's own envelope of a failure, whose code repeats the status."""
        return cls.json({"success": False, "error": {"code": status, "message": message}}, status)

    @classmethod
    def no_data(cls) -> Answer:
        """Make a success whose data is null."""
        return cls.json({"success": True, "data": None})

    @classmethod
    def garbage_json(cls) -> Answer:
        """Make JSON that breaks off."""
        return cls(200, {"Content-Type": "application/json"}, b'{"success": true, "data": {"id": "')

    def with_header(self, name: str, value: str) -> Answer:
        """Return the answer with one more header."""
        return replace(self, headers={**self.headers, name: value})


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Answers 200 with a web page, as a captive portal or a challenge does."""

    def shape(self, exchange: Exchange) -> Reply:  # noqa: ARG002 - it replaces the honest answer
        """Return what is put on the wire."""
        return Answer.html(200).reply()


@dataclass(frozen=True, slots=True)
class Empty200:
    """Answers 200 with a Content-Length of 0."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        honest = exchange.honest.having({"Content-Range": None})
        return replace(honest, status=200, body=())


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends a file server's client through so many redirects before it gets the honest answer."""

    hops: int = 1
    status: int = 302

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return redirection(exchange.url, str(self.hops - 1), self.status)


@dataclass(frozen=True, slots=True)
class RedirectLoop:
    """Sends the client round in circles."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return redirection(exchange.url, "loop", 302)


def redirection(url: str, hops: str, status: int) -> Reply:
    """Make a redirect to the same file with so many hops to come, or "loop"."""
    parts = urlsplit(url)
    return Reply(status, {"Location": parts._replace(path=f"/hop/{hops}{parts.path}").geturl()})


# Scripts

R = TypeVar("R")


def next_fault(script: list[Fault | None] | Callable[[R], Fault | None], request: R) -> Fault | None:
    """Return what the script has for this request."""
    if not isinstance(script, list):
        return script(request)
    try:
        # One step, so that no two requests get the same item.
        return script.pop(0)
    except IndexError:
        return None


def at_random(seed: int, share: float, faults: Sequence[Fault]) -> Callable[[FileRequest], Fault | None]:
    """Make a script that breaks a share of the requests, the same ones in every run however they interleave."""

    def choose(request: FileRequest) -> Fault | None:
        dice = random.Random(f"{seed}/{request.key}/{request.start}/{request.attempt}")
        return dice.choice(faults) if dice.random() < share else None

    return choose
