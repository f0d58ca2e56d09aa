"""A chat program's webhook on loopback, which remembers what it is sent."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/hooks/a%20b?token=se%26cret&empty="


class Chat(ThreadingHTTPServer):
    """A webhook that takes JSON.

    Its address has a path and a query that a careless client would change.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Webhook)
        self.status = 200
        self.messages: list[dict[str, Any]] = []
        self.paths: set[str] = set()

    @property
    def url(self) -> str:
        """The address of the webhook."""
        return f"http://127.0.0.1:{self.server_port}{PATH}"

    @property
    def texts(self) -> list[str]:
        """What was said, in order."""
        return [message["text"] for message in self.messages]


class _Webhook(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        """Take a message."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.add(self.path)
        self.server.messages.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening_chat() -> Iterator[Chat]:
    """Give a webhook that listens for as long as the block lasts."""
    with Chat() as chat:
        thread = Thread(target=chat.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield chat
        finally:
            chat.shutdown()
            thread.join()
