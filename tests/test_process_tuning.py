"""A settled process has few heaps and collects no imported objects; bodies are read past h11, and as h11 reads them."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import h11
import httpx
import pytest

from tasks.process_tuning import READ_BYTES, read_bodies_directly
from tests.support.certificates import self_signed
from tests.support.impostor import impersonating
from tests.support.programs import said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.impostor import Impostor

HEAPS = """
import ctypes, sys
from threading import Barrier, Thread
from tasks.process_tuning import settle
if sys.argv[1:]:
    settle()
libc, all_there = ctypes.CDLL(None), Barrier(6)
libc.fdopen.restype = ctypes.c_void_p
def take():
    bytearray(100_000)
    all_there.wait()
    bytearray(100_000)
threads = [Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""
FROZEN = """
import gc
from tasks.process_tuning import settle
settle()
frozen, later = gc.get_freeze_count(), [[number] for number in range(1000)]
settle()
print(frozen > 1000, gc.get_freeze_count() == frozen, gc.is_tracked(later[0]))
"""
START = """
import gc, sys
from tasks.process_tuning import settle, start_quickly
usual = gc.get_threshold()
start_quickly()
import httpx
started = gc.get_threshold()
settle()
print(started > usual, gc.get_threshold() == usual, "httpx._main" in sys.modules, callable(httpx.main))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives each thread a heap of its own")
@pytest.mark.parametrize(("settled", "heaps"), [((), 7), (("settled",), 2)], ids=["by default", "settled"])
def test_threads_share_two_heaps(settled: tuple[str, ...], heaps: int) -> None:
    assert said(HEAPS, *settled).count("<heap nr=") == heaps


def test_what_is_there_is_frozen_once_and_what_comes_later_is_not() -> None:
    assert said(FROZEN).split() == ["True", "True", "True"]


def test_a_command_starts_with_a_rare_collection_of_garbage_and_without_the_command_line_of_httpx() -> None:
    assert said(START).split() == ["True", "True", "False", "True"]


def test_settling_does_no_harm_where_the_c_library_knows_no_heaps() -> None:
    program = "import ctypes; ctypes.CDLL = lambda name: object(); "
    program += "from tasks.process_tuning import settle; settle(); print('ok')"
    assert said(program) == "ok\n"


BODY = bytes(range(256)) * (4 * READ_BYTES // 256)
LENGTH = f"Content-Length: {len(BODY)}\r\n".encode()
HEAD = b"HTTP/1.1 200 OK\r\n"
TLS_RECORD = 16 * 1024
"""Bytes, of which OpenSSL hands out no more at once."""


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Impostor]:
    certificate = self_signed(tmp_path / "certificate.pem") if request.param == "https" else None
    with impersonating(certificate) as server:
        yield server


def new_client(server: Impostor) -> httpx.Client:
    read_bodies_directly()
    return httpx.Client(base_url=server.origin, verify=False)  # noqa: S501 - what is tried here are bodies


def fetch(server: Impostor, *answers: bytes) -> list[bytes | str]:
    """Return the bodies of answers in turn, or what httpx says of them."""
    server.answers = list(answers)
    with new_client(server) as client:
        return [_fetch(client) for _ in answers]


def _fetch(client: httpx.Client) -> bytes | str:
    try:
        with client.stream("GET", "/") as response:
            return b"".join(response.iter_raw())
    except httpx.HTTPError as error:
        return str(error)


def test_h11_sees_the_begin_of_a_body_of_known_length_and_no_more(
    server: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[int] = []
    receive = h11.Connection.receive_data

    def count(self: h11.Connection, data: bytes) -> None:
        received.append(len(data))
        receive(self, data)

    monkeypatch.setattr(h11.Connection, "receive_data", count)
    assert fetch(server, HEAD + LENGTH + b"\r\n" + BODY) == [BODY]
    assert len(received) == 1


@pytest.mark.parametrize("server", ["https"], indirect=True)
def test_of_an_encrypted_body_what_has_come_is_one_piece(server: Impostor) -> None:
    body = BODY[: 6 * TLS_RECORD]
    server.answers = [HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body]
    with new_client(server) as client, client.stream("GET", "/") as response:
        server.sent.acquire()
        pieces = list(response.iter_raw())
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) > TLS_RECORD


@pytest.mark.parametrize(
    ("head", "body", "outcome"),
    [
        (LENGTH, BODY, BODY),
        (LENGTH, BODY[:-1], f"(received {len(BODY) - 1} bytes, expected {len(BODY)})"),
        (LENGTH, b"", f"(received 0 bytes, expected {len(BODY)})"),
        (LENGTH, BODY + b"more", BODY),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), BODY),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s" % (len(BODY), BODY[:-1]), "incomplete chunked read"),
        (b"Connection: close\r\n", BODY, BODY),
        (b"Content-Length: 0\r\n", b"", b""),
    ],
    ids=["whole", "short", "nothing", "long", "chunked", "chunked and short", "until the end", "empty"],
)
def test_a_body_is_read_as_h11_reads_it(server: Impostor, head: bytes, body: bytes, outcome: bytes | str) -> None:
    (answer,) = fetch(server, HEAD + head + b"\r\n" + body)
    assert outcome in answer if isinstance(outcome, str) and isinstance(answer, str) else answer == outcome


@pytest.mark.parametrize("body", [b"right", BODY], ids=["small", "large"])
def test_what_follows_an_answer_unasked_is_not_taken_for_the_next_answer(server: Impostor, body: bytes) -> None:
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    wrong = HEAD + b"Content-Length: 5\r\n\r\nwrong"
    assert fetch(server, HEAD + length + body + wrong, HEAD + length + body) == [body, body]
