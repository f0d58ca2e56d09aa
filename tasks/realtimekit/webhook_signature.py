"""The signature of webhooks: verified with a key that RealtimeKit publishes, and changes now and then.

A signature proves that RealtimeKit sent a body, and nothing else: not to whom, not when, and none of the headers.
Source: https://developers.cloudflare.com/realtime/realtimekit/webhooks/
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tasks.errors import KeyUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

SMALLEST_KEY, LARGEST_KEY = 2048, 8192
"""Bits; a key of less proves nothing, one of more takes too long to compute with."""
TRUSTED_FOR_S = 86_400.0
"""A key that is no longer published is believed no longer than that."""
FETCH_TIMEOUT_S = 4.0
LARGEST_ANSWER = 64 * 1024
"""Bytes: the published document has less than 1,000."""
FETCHES_AT_ONCE = 5
FETCH_INTERVAL_S = 2.0
"""What fails to verify makes us fetch the key, as it may be signed with a new one. Whoever sends forgeries gets so
many fetches out of us at once, and then one in so many seconds, for all forgeries that have come meanwhile."""


class PublishedKey:
    """The key at an address, fetched when it is needed, kept, and fetched again when something does not verify.

    Args:
        http: for the address; it follows no redirects.
        url: where the key is published, as `{"data": {"publicKey": PEM}}`.
        clock: seconds.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._url = url
        self._clock = clock
        self._lock = asyncio.Lock()
        self._key: RSAPublicKey | None = None
        self._asked_at = 0.0  # when the fetch of that key began
        self._failure: tuple[float, KeyUnavailable] | None = None  # the last fetch, if it failed, and when
        self._next_fetch = clock() - FETCH_INTERVAL_S * (FETCHES_AT_ONCE - 1)

    async def fetch_ahead(self) -> None:
        """Fetch the key before it is needed, so that the first webhook does not wait for it; a failure waits for it."""
        with suppress(KeyUnavailable):
            now = self._clock()
            await self._fetched_since(now, now)

    async def has_signed(self, body: bytes, signature: str | None) -> bool:
        """Tell whether a body is signed with the key that is published now.

        It never says no by a key that was fetched before the body came: one that has changed since is fetched first.

        Args:
            body: as it came, byte for byte.
            signature: of RSA with SHA-256 and PKCS #1 v1.5 padding, in base64.

        Raises:
            KeyUnavailable: nobody can tell.
        """
        signed = decode_signature(signature)
        if signed is None:  # no key could make it right
            return False
        now = self._clock()
        known = await self._fetched_since(now - TRUSTED_FOR_S, now)
        if _verifies(known, signed, body):
            return True
        fresh = await self._fetched_since(now, now)
        return fresh is not known and _verifies(fresh, signed, body)

    async def _fetched_since(self, moment: float, now: float) -> RSAPublicKey:
        """Return a key that was fetched at or after a moment; all who wait for one share it, and a failure too."""
        if self._key is not None and self._asked_at >= moment:
            return self._key
        async with self._lock:
            if self._key is not None and self._asked_at >= moment:
                return self._key
            if self._failure is not None and self._failure[0] >= now:
                raise KeyUnavailable(*self._failure[1].args)
            await self._wait_for_turn()
            began = self._clock()
            try:
                async with asyncio.timeout(FETCH_TIMEOUT_S):
                    self._key = parse_key(self._url, await self._document())
            except (KeyUnavailable, TimeoutError) as error:
                unavailable = error if isinstance(error, KeyUnavailable) else KeyUnavailable(self._url, "it takes long")
                self._failure = self._clock(), unavailable
                raise unavailable from None
            self._asked_at = began
            return self._key

    async def _wait_for_turn(self) -> None:
        """Wait until the next fetch is due: a leaky bucket, kept as the time at which it will be empty."""
        empty = max(self._next_fetch, self._clock() - FETCH_INTERVAL_S * (FETCHES_AT_ONCE - 1))
        await asyncio.sleep(max(0.0, empty - self._clock()))
        self._next_fetch = empty + FETCH_INTERVAL_S

    async def _document(self) -> bytes:
        reason, document = "", bytearray()
        try:
            async with self._http.stream("GET", self._url, follow_redirects=False) as response:
                if response.status_code != httpx.codes.OK:
                    raise KeyUnavailable(self._url, f"HTTP {response.status_code}")
                async for chunk in response.aiter_bytes():
                    document += chunk
                    if len(document) > LARGEST_ANSWER:
                        raise KeyUnavailable(self._url, f"an answer of more than {LARGEST_ANSWER:,} bytes")
        except httpx.HTTPError as error:
            reason = type(error).__name__
        if reason:
            raise KeyUnavailable(self._url, reason)
        return bytes(document)


def decode_signature(signature: str | None) -> bytes | None:
    """Return the bytes of a signature, or None if they are no RSA signature of any key that we would take."""
    try:
        signed = base64.b64decode(signature or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    return signed if SMALLEST_KEY <= 8 * len(signed) <= LARGEST_KEY else None


def parse_key(url: str, document: bytes) -> RSAPublicKey:
    """Return the public key in the published document.

    Args:
        url: where it is from.
        document: its bytes.

    Raises:
        KeyUnavailable: there is none in it.
    """
    try:
        pem = json.loads(document)["data"]["publicKey"]
        # Some publish it with its line ends escaped twice.
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or not SMALLEST_KEY <= key.key_size <= LARGEST_KEY:
        raise KeyUnavailable(url, f"{len(document)} bytes without a usable RSA key at data.publicKey")
    return key


def _verifies(key: RSAPublicKey, signature: bytes, body: bytes) -> bool:
    try:
        key.verify(signature, body, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
