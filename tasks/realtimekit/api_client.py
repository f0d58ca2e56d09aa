"""Cloudflare's API as such: authentication, envelope, error codes, rate limits, and answers that are not the API's."""

from __future__ import annotations

import json
import time
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from tasks.errors import (
    AnswerTooLarge,
    AnswerWithoutData,
    ApiNonsense,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    ConnectionInsecure,
    RecordingNotFound,
    TransferStopped,
)
from tasks.retry import Patience, retry_after_seconds
from tasks.text import safe_line
from tasks.tls import explain_distrust

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Event

Params: TypeAlias = "Mapping[str, str | int | bool | Sequence[str]]"

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes: a page of a hundred track recordings with 400 files each has less, and smaller pages follow a larger one."""
LONGEST_ANSWER_S = 60.0
"""For the body of one answer, however steadily it trickles in."""

_AUTH_HINT = "Check CLOUDFLARE_API_TOKEN: it needs the permission Realtime, for the account in CLOUDFLARE_ACCOUNT_ID."
_NOT_FOUND_HINT = "Check the id, CLOUDFLARE_ACCOUNT_ID and REALTIMEKIT_APP_ID, or app_id: the {} belongs to one app."


class Cloudflare:
    """Requests to the API: questions, asked until there is an answer, and changes, each sent once.

    Args:
        http: client for the API; the token goes into each request's header and nowhere else.
        stop: set to end all waiting at once.
        patience_s: seconds that one call goes on trying while the API is unavailable.
        block_s: seconds that one call sits out, besides, because the API limits our rate and says for how long.
        not_found: the error for a 404.
        kind: what a 404 says is not there, as a word.
    """

    def __init__(
        self,
        http: httpx.Client,
        token: str,
        stop: Event,
        patience_s: float,
        block_s: float = 0.0,
        *,
        not_found: type[ApiRefused] = RecordingNotFound,
        kind: str = "recording",
    ) -> None:
        self._http = http
        self._token = token
        self._stop = stop
        self._patience_s = patience_s
        self._block_s = block_s
        self._not_found = not_found
        self._not_found_hint = _NOT_FOUND_HINT.format(kind)

    def get(self, url: str, params: Params, holds: str = "data") -> dict[str, Any]:
        """Return the envelope of a successful answer; its data is not null.

        Args:
            holds: what the data is called: the rest of Cloudflare's API says `result`.

        Raises:
            RecordingNotFound or what is given in its place, ApiRefused, ApiNonsense, ConnectionInsecure: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        patience, left_s = Patience(self._patience_s, self._stop), self._block_s
        attempt = 0
        while True:
            patience.check()
            attempt += 1
            try:
                return self._send_once("GET", url, holds, params)
            except ApiUnavailable as away:
                asked_s = (isinstance(away, ApiThrottled) and away.retry_after) or 0.0
                if not 0.0 < asked_s <= left_s:
                    patience.pause(away, attempt)
                    continue
                left_s -= asked_s
                if self._stop.wait(asked_s):
                    raise TransferStopped from None

    def change(self, method: str, url: str, document: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Send a request that changes something, and return the envelope of a successful answer.

        It is not sent again: one that nobody answered may have been carried out all the same.

        Args:
            method: POST, PATCH or DELETE.
            url: of what is changed.
            document: to be sent as JSON; None for a request without a body.

        Raises:
            As `get` does.
        """
        return self._send_once(method, url, "data", {}, document)

    def _send_once(
        self, method: str, url: str, holds: str, params: Params, document: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept-Encoding": "gzip"}
        failure = distrusted = ""
        try:
            # No redirects: the API has none, and the token is for the API alone.
            with self._http.stream(
                method, url, params=dict(params), json=document, headers=headers, follow_redirects=False
            ) as response:
                body = _read(response)
        except httpx.RequestError as error:
            failure, distrusted = f"{type(error).__name__}: {error}", explain_distrust(error)
        if distrusted:
            raise ConnectionInsecure(httpx.URL(url).netloc.decode(), distrusted)
        if failure:  # raised outside of the handler: httpx's error holds the request, and with it the token
            raise ApiUnavailable(self._fit(failure))
        return self._opened(response, body, holds)

    def _opened(self, response: httpx.Response, body: bytes, holds: str) -> dict[str, Any]:
        """Return the envelope of a successful answer; everything else becomes one of our errors."""
        envelope = _envelope(body)
        code, message = _first_error(envelope or {})
        status = response.status_code
        message = self._fit(message or response.reason_phrase or "no message")
        if status in (408, 429) or status >= 500:
            failure = ApiThrottled if status == 429 else ApiUnavailable
            raise failure(f"HTTP {status}, {message}", retry_after_seconds(response.headers.get("Retry-After")))
        if status in (401, 403):
            raise ApiRefused(status, code, message, _AUTH_HINT)
        if envelope is None or not (response.is_success or response.is_client_error):
            kind = response.headers.get("Content-Type", "no content type")
            raise ApiNonsense(self._fit(f"HTTP {status} with {kind}, {len(body)} bytes, where its JSON should be"))
        if status == 404:
            raise self._not_found(status, code, message, self._not_found_hint)
        if response.is_client_error or envelope["success"] is not True:
            raise ApiRefused(status, code, message)
        if envelope.get(holds) is None:
            raise AnswerWithoutData(f"HTTP {status} says success, and holds no data")
        return envelope

    def _fit(self, text: str) -> str:
        """Return a message of the API as one short line that may be shown, without the token."""
        return safe_line(text.replace(self._token, "***"))


def _as_it_is() -> Callable[[bytes, int], bytes]:
    return lambda chunk, most: chunk[:most]


def _inflated() -> Callable[[bytes, int], bytes]:
    """Return what takes the compression off, and makes no more of a chunk than it is told to."""
    inflater = zlib.decompressobj(wbits=47)  # gzip or zlib

    def inflate(chunk: bytes, most: int) -> bytes:
        try:
            return inflater.decompress(chunk, most)
        except zlib.error:
            pass
        raise ApiUnavailable("an answer that is damaged: it cannot be decompressed")

    return inflate


_CODINGS = {"": _as_it_is, "identity": _as_it_is, "gzip": _inflated, "x-gzip": _inflated, "deflate": _inflated}


def _read(response: httpx.Response) -> bytes:
    began = time.monotonic()
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise ApiNonsense(f"an answer with Content-Encoding {coding[:40]}")
    inflate = _CODINGS[coding]()
    body = bytearray()
    for chunk in response.iter_raw():
        body += inflate(chunk, LARGEST_ANSWER + 1 - len(body))
        if len(body) > LARGEST_ANSWER:
            raise AnswerTooLarge(f"an answer of more than {LARGEST_ANSWER:,} bytes")
        if time.monotonic() - began > LONGEST_ANSWER_S:
            raise ApiUnavailable(f"the answer was still arriving after {LONGEST_ANSWER_S:.0f} s")
    return bytes(body)


def _envelope(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) and "success" in parsed else None


def _first_error(envelope: Mapping[str, Any]) -> tuple[int | None, str]:
    errors = envelope.get("errors")
    # Cloudflare's edge sends `errors`, RealtimeKit itself a single `error`.
    first = errors[0] if isinstance(errors, list) and errors else envelope.get("error")
    if not isinstance(first, dict):
        first = {"message": first or envelope.get("message")}
    code = str(first.get("code"))
    return (int(code) if code.isascii() and code.isdigit() and len(code) < 10 else None), str(
        first.get("message") or ""
    )
