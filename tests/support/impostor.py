"""Something on a port that is not what it should be: it answers with bytes, whatever it is asked."""

from __future__ import annotations

import socketserver
import ssl
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 12
"""Requests that no single call needs, if it is answered always the same."""


class Impostor(socketserver.ThreadingTCPServer):
    """Gives each request the next of its answers, the last one again and again but not for ever, and hangs up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Turn)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers: list[bytes] = [b""]
        self.asked = 0
        self.sent = threading.Semaphore(0)
        """Released for each answer that is on its way as a whole."""
        self._counting = threading.Lock()

    def next_answer(self) -> bytes:
        """Return what the next request gets: after many, nothing."""
        with self._counting:
            turn, self.asked = self.asked, self.asked + 1
        return self.answers[min(turn, len(self.answers) - 1)] if turn < MANY else b""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that hung up first."""


class _Turn(socketserver.StreamRequestHandler):
    server: Impostor

    def handle(self) -> None:
        """Read a request, whatever it is, and give the next answer."""
        size, expects = 0, False
        while (line := self.rfile.readline().strip().lower()) != b"":
            size = int(line.partition(b":")[2]) if line.startswith(b"content-length:") else size
            expects = expects or line.startswith(b"expect:")
        if expects:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.rfile.read(size)
        self.wfile.write(self.server.next_answer())
        self.server.sent.release()


@contextmanager
def impersonating(certificate: Path | None = None) -> Iterator[Impostor]:
    """Run an impostor.

    Args:
        certificate: a file with a certificate and its key; None for http.
    """
    with Impostor() as server:
        if certificate:
            encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            encryption.load_cert_chain(certificate)
            server.socket = encryption.wrap_socket(server.socket, server_side=True)
            server.origin = server.origin.replace("http:", "https:")
        thread = threading.Thread(target=partial(server.serve_forever, 0.01))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
