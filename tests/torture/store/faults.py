"""What may go wrong between a client and its store, each for one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import escape

from tests.torture.store.wire import PIECE, Message, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.torture.store.proxy import Exchange, Fault

SECRET = "X-Amz-Signature=5ec2e7"
"""What a store's or a balancer's own words may quote, and nobody may repeat."""
PROLOG = b'<?xml version="1.0" encoding="UTF-8"?>\n'
PAGE = f"""<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>
<h1>Bad gateway<hr>for https://store/bucket/key?{SECRET}</h1></body></html>""".encode()
XHTML = PROLOG + b'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>We will be back soon</h1></body></html>'


def error_document(code: str, message: str = "no") -> bytes:
    """Return what S3 says in an answer's body when it refuses."""
    said = f"{message}, see https://store/bucket/key?{SECRET}"
    return PROLOG + f"<Error><Code>{code}</Code><Message>{escape(said)}</Message></Error>".encode()


@dataclass(frozen=True)
class Says:
    """Something answers in the store's place."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/xml"})
    early: bool = False
    """Before the request's body is read, and then it hangs up, as a server does that will not have it."""

    def meet(self, exchange: Exchange) -> None:
        """Answer."""
        if not self.early:
            exchange.body()
        said = answer(self.status, self.headers, self.content)
        if exchange.method == "HEAD":
            exchange.send(said.head)
        else:
            exchange.answer(said)
        if self.early:
            exchange.hang_up()


def refusal(status: int, code: str, *, early: bool = False, **headers: str) -> Says:
    """Return an S3 error.

    Args:
        headers: more of them, with underscores for hyphens.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Says(status, error_document(code), {"Content-Type": "application/xml"} | named, early=early)


def page(status: int, content: bytes = PAGE) -> Says:
    """Return a web page of whatever stands before the store."""
    return Says(status, content, {"Content-Type": "text/html"})


@dataclass(frozen=True)
class Broken:
    """The connection breaks in the middle of the request's body, for both sides."""

    how: Literal["rst", "fin"]
    share: float = 0.5
    """Of the body, that arrives."""

    def meet(self, exchange: Exchange) -> None:
        """Let a part of the body through."""
        exchange.cut_off(exchange.body(int(exchange.request.length * self.share)))
        exchange.hang_up(reset=self.how == "rst")


@dataclass(frozen=True)
class Lost:
    """The store does it, and the client never hears of it."""

    how: Literal["rst", "fin", "hang"] = "rst"

    def meet(self, exchange: Exchange) -> None:
        """Forward the request, and throw the answer away."""
        exchange.forwarded(exchange.body())
        if self.how == "hang":
            exchange.wait_for_goodbye()
        else:
            exchange.hang_up(reset=self.how == "rst")


@dataclass(frozen=True)
class Hangs:
    """No answer ever comes, and the store does not hear of it."""

    def meet(self, exchange: Exchange) -> None:
        """Wait until the client gives up."""
        exchange.body()
        exchange.wait_for_goodbye()


@dataclass(frozen=True)
class BitFlipped:
    """A bit of the request's body arrives as another."""

    def meet(self, exchange: Exchange) -> None:
        """Forward the request with it."""
        exchange.answer(exchange.forwarded(flipped(exchange.body())))


@dataclass(frozen=True)
class Changed:
    """The store's answer arrives as another."""

    change: Callable[[Message], Message]

    def meet(self, exchange: Exchange) -> None:
        """Forward the request, and change the answer."""
        exchange.answer(self.change(exchange.forwarded(exchange.body())))


def content_changed(change: Callable[[bytes], bytes]) -> Changed:
    """Return the fault of another body in a successful answer."""
    return Changed(lambda said: said.with_content(change(said.content)) if said.status < 300 else said)


def flipped(body: bytes) -> bytes:
    """Return a body with one bit of its middle flipped."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


@dataclass(frozen=True)
class Truncated:
    """The answer's body ends before its announced length."""

    how: Literal["rst", "fin"] = "fin"
    share: float = 0.5

    def meet(self, exchange: Exchange) -> None:
        """Forward the request, and break the answer off."""
        said = exchange.forwarded(exchange.body())
        said = said.with_content(said.content)
        exchange.send(said.head + said.framed[: int(len(said.framed) * self.share)])
        exchange.hang_up(reset=self.how == "rst")


@dataclass(frozen=True)
class KeptAlive:
    """Status 200 comes at once, then white space, and what became of it in the end: S3 does so at a completion.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """

    content: bytes | None = None
    """What is said in the end; None: what the store said."""
    prolog_first: bool = True
    """Whether the XML declaration comes before the white space, as it has to."""
    spaces: int = 3
    pause_s: float = 0.02

    def meet(self, exchange: Exchange) -> None:
        """Answer in chunks."""
        body = exchange.body()
        head = answer(200, {"Content-Type": "application/xml"}, b"").without("content-length")
        exchange.send(head.with_header("Transfer-Encoding", "chunked").head)
        said = exchange.forwarded(body).content if self.content is None else self.content
        before, rest = (PROLOG, said[said.index(b"?>") + 2 :].lstrip()) if self.prolog_first else (b"", said)
        for piece in (before, *(b"  \n" for _ in range(self.spaces)), rest):
            if piece:
                exchange.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            exchange.closing.wait(self.pause_s)
        exchange.send(b"0\r\n\r\n")


@dataclass(frozen=True)
class Slow:
    """Bytes pass at a rate, in both directions."""

    bytes_per_second: float

    def meet(self, exchange: Exchange) -> None:
        """Forward the request and its answer slowly."""
        said = exchange.forwarded(exchange.body(bytes_per_second=self.bytes_per_second))
        exchange.send(said.head)
        for at in range(0, len(said.framed), PIECE):
            exchange.send(said.framed[at : at + PIECE])
            exchange.closing.wait(PIECE / self.bytes_per_second)
        exchange.over = said.closes


@dataclass(frozen=True)
class Outage:
    """The store is gone: connections break and are refused, for a while or until somebody brings it back."""

    for_s: float | None = None

    def meet(self, exchange: Exchange) -> None:
        """Let it go."""
        exchange.proxy.refuse(self.for_s)
        exchange.hang_up()


@dataclass(frozen=True)
class Late:
    """The client's connection breaks, and the request gets to the store when the client tries again."""

    def meet(self, exchange: Exchange) -> None:
        """Forward the request when the next of its kind has come."""
        body = exchange.body()
        exchange.hang_up(reset=True)
        exchange.let_go()
        exchange.proxy.wait_for_another(exchange.request)
        exchange.forwarded(body)


@dataclass(frozen=True)
class After:
    """The store does it, and something else is said in its place."""

    says: Says

    def meet(self, exchange: Exchange) -> None:
        """Forward the request, and answer otherwise."""
        exchange.forwarded(exchange.body())
        said = answer(self.says.status, self.says.headers, self.says.content)
        exchange.send(said.head if exchange.method == "HEAD" else said.head + said.framed)


ANYTIME: tuple[Fault, ...] = (
    refusal(500, "InternalError"),
    refusal(503, "SlowDown"),
    refusal(503, "SlowDown", Retry_After="0"),
    refusal(503, "ServiceUnavailable", early=True),
    refusal(429, "TooManyRequests"),
    refusal(400, "RequestTimeout"),
    page(502),
    Broken("rst"),
    Broken("fin"),
    Lost("rst"),
    Lost("fin"),
    BitFlipped(),
    Truncated("rst"),
    After(refusal(500, "InternalError")),
)
"""What may happen to any request now and then."""
