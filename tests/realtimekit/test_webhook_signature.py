"""Only what is signed with the published key is RealtimeKit's, and nobody can make us fetch that key all the time."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tasks.errors import KeyUnavailable
from tasks.realtimekit import webhook_signature
from tasks.realtimekit.webhook_signature import LARGEST_ANSWER, TRUSTED_FOR_S, PublishedKey, decode_signature
from tests.standins.signer import KeyPair, Signer
from tests.standins.wire import Cut, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

BODY = b'{"event": "recording.statusUpdate"}'


@pytest.fixture(scope="module")
def running() -> Iterator[Signer]:
    with Signer() as signer:
        yield signer


@pytest.fixture
def signer(running: Signer, monkeypatch: pytest.MonkeyPatch) -> Signer:
    monkeypatch.setattr(webhook_signature, "FETCH_INTERVAL_S", 0.001)
    running.published = Signer.document(running.keys)
    running.fetches = 0
    return running


def asking(
    signer: Signer, ask: Callable[[PublishedKey], Awaitable[None]], clock: Callable[[], float] = time.monotonic
) -> None:
    """Let somebody ask a key that nobody has asked yet."""

    async def go() -> None:
        async with httpx.AsyncClient() as http:
            await ask(PublishedKey(http, signer.url, clock))

    asyncio.run(go())


def test_what_is_signed_is_known_by_a_key_that_is_fetched_once(signer: Signer) -> None:
    async def ask(key: PublishedKey) -> None:
        for number in range(20):
            body = BODY + bytes([number])
            assert await key.has_signed(body, signer.keys.sign(body))
        assert await key.has_signed(b"", signer.keys.sign(b""))

    asking(signer, ask)
    assert signer.fetches == 1


def test_not_a_bit_of_body_or_signature_may_differ(signer: Signer) -> None:
    signed = base64.b64decode(signer.keys.sign(BODY))
    altered = [bytes([*signed[:at], signed[at] ^ 1, *signed[at + 1 :]]) for at in (0, 100, 255)]

    async def ask(key: PublishedKey) -> None:
        for body in (BODY[:-1], BODY + b" ", BODY.replace(b" ", b""), b""):
            assert not await key.has_signed(body, signer.keys.sign(BODY))
        assert not await key.has_signed(BODY, base64.b64decode(signer.keys.sign(BODY)).hex())
        for signature in altered:
            assert not await key.has_signed(BODY, base64.b64encode(signature).decode())

    asking(signer, ask)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda _: None,
        lambda _: "",
        lambda _: "%%%not-base64%%%",
        lambda good: good[:-1],
        lambda good: good + "A",
        lambda good: good[:100] + "\n" + good[100:],
        lambda good: base64.b32encode(base64.b64decode(good)).decode(),
        lambda good: "sha256=" + good,
        lambda good: good + good,
        lambda _: base64.b64encode(b"short").decode(),
        lambda _: "A" * 1_000_000,
        lambda _: "é" * 344,
    ],
    ids=range(12),
)
def test_what_is_no_signature_is_refused_without_asking_for_a_key(
    signer: Signer, rewrite: Callable[[str], str | None]
) -> None:
    async def ask(key: PublishedKey) -> None:
        assert not await key.has_signed(BODY, rewrite(signer.keys.sign(BODY)))

    asking(signer, ask)
    assert signer.fetches == 0


def test_keys_of_the_usual_sizes_are_taken() -> None:
    for bits in (2048, 3072, 4096):
        signature = decode_signature(base64.b64encode(bytes(bits // 8)).decode())
        assert signature is not None
        assert len(signature) * 8 == bits


def test_after_a_rotation_the_new_key_counts_and_the_old_one_does_not(signer: Signer) -> None:
    async def ask(key: PublishedKey) -> None:
        assert await key.has_signed(BODY, signer.keys.sign(BODY))
        old = signer.rotate()
        assert await key.has_signed(BODY, signer.keys.sign(BODY))
        assert signer.fetches == 2
        assert not await key.has_signed(BODY, old.sign(BODY))
        assert await key.has_signed(BODY, signer.keys.sign(BODY))

    asking(signer, ask)
    assert signer.fetches == 3


def test_a_rotation_right_after_a_forgery_is_noticed(signer: Signer) -> None:
    forger = KeyPair()

    async def ask(key: PublishedKey) -> None:
        for _ in range(3):
            assert not await key.has_signed(BODY, forger.sign(BODY))
            signer.rotate()
            assert await key.has_signed(BODY, signer.keys.sign(BODY))

    asking(signer, ask)


def test_a_key_is_not_believed_for_ever(signer: Signer) -> None:
    times = [1000.0]

    async def ask(key: PublishedKey) -> None:
        assert await key.has_signed(BODY, signer.keys.sign(BODY))
        old = signer.rotate()
        times[0] += TRUSTED_FOR_S - 1
        assert await key.has_signed(BODY, old.sign(BODY))
        times[0] += 2
        assert not await key.has_signed(BODY, old.sign(BODY))

    asking(signer, ask, clock=lambda: times[0])


def test_forgeries_cannot_make_us_fetch_at_their_pace(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_signature, "FETCH_INTERVAL_S", 0.05)
    signature = KeyPair().sign(BODY)
    began = time.monotonic()

    async def ask(key: PublishedKey) -> None:
        for _ in range(webhook_signature.FETCHES_AT_ONCE + 10):
            assert not await key.has_signed(BODY, signature)

    asking(signer, ask)
    assert 5 < signer.fetches <= webhook_signature.FETCHES_AT_ONCE + (time.monotonic() - began) / 0.05
    assert time.monotonic() - began >= 10 * 0.05


def test_forgeries_at_once_share_one_fetch_and_hold_nobody_up(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_signature, "FETCHES_AT_ONCE", 1)
    monkeypatch.setattr(webhook_signature, "FETCH_INTERVAL_S", 1.0)
    forged = KeyPair().sign(BODY)

    async def ask(key: PublishedKey) -> None:
        assert await key.has_signed(BODY, signer.keys.sign(BODY))
        forgeries = [asyncio.create_task(key.has_signed(BODY, forged)) for _ in range(100)]
        await asyncio.sleep(0)
        assert await key.has_signed(BODY, signer.keys.sign(BODY))
        assert not any(task.done() for task in forgeries)  # they wait until it is their turn, and it does not
        assert not any(await asyncio.gather(*forgeries))

    asking(signer, ask)
    assert signer.fetches == 2


EC_KEY = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NO_KEY = {
    "HTML": Reply.of(200, b"<html>Sign in to the network</html>"),
    "empty": Reply.of(200),
    "not JSON": Reply.of(200, b"\xff\x00"),
    "null": Reply.of(200, b"null"),
    "list": Reply.of(200, b"[]"),
    "nested": Reply.of(200, b"[" * 60_000),
    "no data": Reply.of(200, b'{"success": true}'),
    "null key": Reply.of(200, b'{"data": {"publicKey": null}}'),
    "number": Reply.of(200, b'{"data": {"publicKey": 7}}'),
    "no PEM": Reply.of(200, b'{"data": {"publicKey": "MIIB"}}'),
    "garbled PEM": Reply.of(
        200, b'{"data": {"publicKey": "-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----"}}'
    ),
    "surrogate": Reply.of(200, b'{"data": {"publicKey": "\\ud800"}}'),
    "elliptic": Reply.of(200, json.dumps({"data": {"publicKey": EC_KEY.decode()}}).encode()),
    "huge": Reply.of(200, b" " * (LARGEST_ANSWER + 1)),
    "elsewhere": Reply.of(302, b"", {"Location": "http://127.0.0.1:9/"}),
    "none": Reply.of(404, b"{}"),
    "broken": Reply.of(500, b"{}"),
    "cut": Reply(200, body=Reply.of(200, b"{" * 99).body, cut=Cut(10, "fin")),
    "hung up": Reply(200, cut=Cut(None, "rst")),
}


@pytest.mark.parametrize("published", NO_KEY.values(), ids=NO_KEY)
def test_without_a_key_nobody_can_tell_and_that_is_said(signer: Signer, published: Reply) -> None:
    signer.published = published

    async def ask(key: PublishedKey) -> None:
        with pytest.raises(KeyUnavailable) as raised:
            await key.has_signed(BODY, signer.keys.sign(BODY))
        assert signer.url in str(raised.value)
        assert raised.value.retryable

        signer.published = signer.document(signer.keys)
        assert await key.has_signed(BODY, signer.keys.sign(BODY))

    asking(signer, ask)


def test_a_weak_key_is_no_key(signer: Signer) -> None:
    weak = KeyPair(bits=1024)
    signer.published = signer.document(weak)

    async def ask(key: PublishedKey) -> None:
        with pytest.raises(KeyUnavailable, match="usable RSA key"):
            await key.has_signed(BODY, signer.keys.sign(BODY))
        assert not await key.has_signed(BODY, weak.sign(BODY))

    asking(signer, ask)


def test_a_known_key_goes_on_counting_while_the_address_is_away(signer: Signer) -> None:
    forged = KeyPair().sign(BODY)

    async def ask(key: PublishedKey) -> None:
        assert await key.has_signed(BODY, signer.keys.sign(BODY))
        signer.published = NO_KEY["broken"]
        assert await key.has_signed(BODY, signer.keys.sign(BODY))
        with pytest.raises(KeyUnavailable, match="HTTP 500"):  # it could be signed with a new one
            await key.has_signed(BODY, forged)
        assert await key.has_signed(BODY, signer.keys.sign(BODY))

    asking(signer, ask)


def test_all_who_wait_share_a_failure(signer: Signer) -> None:
    signer.published = NO_KEY["broken"]

    async def ask(key: PublishedKey) -> None:
        asked = [key.has_signed(BODY, signer.keys.sign(BODY)) for _ in range(100)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {KeyUnavailable}

    asking(signer, ask)
    assert signer.fetches == 1


def test_an_address_that_does_not_answer_is_not_waited_for(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_signature, "FETCH_TIMEOUT_S", 0.2)
    signer.published = Reply(200, cut=Cut(None, "stall"))

    async def ask(key: PublishedKey) -> None:
        with pytest.raises(KeyUnavailable, match="takes long"):
            await key.has_signed(BODY, signer.keys.sign(BODY))

    began = time.monotonic()
    asking(signer, ask)
    assert time.monotonic() - began < 10


def test_a_pem_whose_line_ends_are_escaped_twice_is_read(signer: Signer) -> None:
    escaped = signer.keys.pem.replace("\n", "\\n")
    signer.published = Reply.of(200, json.dumps({"data": {"publicKey": escaped}}).encode())

    async def ask(key: PublishedKey) -> None:
        assert await key.has_signed(BODY, signer.keys.sign(BODY))

    asking(signer, ask)
