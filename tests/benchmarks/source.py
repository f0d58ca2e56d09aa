"""The source: nginx, which sends from memory and takes next to no processor, each connection as fast as it is told."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

import httpx

from tests.standins.realtimekit import MediaSource, StandInRecording, SyntheticContent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standins.content import Content
    from tests.standins.realtimekit import RealtimeKitStandIn

SO_MAX_PACING_RATE = 47
"""Linux: bytes per second of a TCP connection; those accepted by a listening socket inherit it."""
PIECE = 4 * 1024 * 1024
STARTS_WITHIN_S = 10
FILES = "realtimekit-recordings"
_CONFIGURATION = """\
daemon off; {user} worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log {log};
  sendfile on; sendfile_max_chunk 512k; tcp_nopush on; keepalive_requests 1000000;
  types {{ video/mp4 mp4; audio/mpeg mp3; }}
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  client_max_body_size 0; proxy_cache_path cache keys_zone=answers:1m max_size=1g inactive=1d;
  server {{ listen 127.0.0.1:{port} backlog=1024{encrypted} {what} }}
}}
"""


def available() -> str | None:
    """Return where nginx is, None if it is not here."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


class Nginx:
    """nginx on a port of loopback, in a process of its own.

    Args:
        folder: an empty one, for its configuration and log.
        what: the directives of its only server.
        pace: bytes per second of each connection, from the kernel; None for as fast as can be. nginx's own `limit_rate`
            would not do: it lets a second's worth of each answer pass at once, and so all of an 8 MiB range.
        certificate: a file with a certificate and its key; None for http.
    """

    def __init__(self, folder: Path, what: str, pace: int | None = None, certificate: Path | None = None) -> None:
        self._folder = folder
        self._what = what
        self._pace = pace
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def origin(self) -> str:
        """Its address without a path."""
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> int:
        """How many requests it has answered, if it keeps a log."""
        return len((self._folder / "access.log").read_text().splitlines())

    def __enter__(self) -> Self:
        """Start it, and return when it answers."""
        with socket.socket() as listener:
            if self._pace is not None:
                listener.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, self._pace)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1024)
            self.port = listener.getsockname()[1]
            # A worker that is nobody could not read what only we may.
            user = "user root;" if os.geteuid() == 0 else ""
            text = _CONFIGURATION.format(
                user=user, port=self.port, log="access.log", what=self._what, encrypted=self._encryption()
            )
            (self._folder / "nginx.conf").write_text(text)
            # It takes listening sockets from an older self that was upgraded, by these numbers.
            inherited = {**os.environ, "NGINX": f"{listener.fileno()};"}
            command = [available() or "nginx", "-p", str(self._folder), "-c", "nginx.conf"]
            with (self._folder / "said").open("wb") as said:
                self._process = subprocess.Popen(
                    command, env=inherited, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
                    stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        try:
            self._await_answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    def _encryption(self) -> str:
        path = self._certificate
        return f" ssl; ssl_certificate {path}; ssl_certificate_key {path};" if path else ";"

    def _await_answer(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                httpx.get(self.origin, timeout=1, verify=not self._certificate)
            except httpx.HTTPError:
                if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                    raise RuntimeError((self._folder / "said").read_text()) from None
                time.sleep(0.02)
            else:
                return


class FileSource(Nginx):
    """Files behind the stand-in API's links, as nginx sends them: strong ETags, ranges, `If-Match`.

    The links' signatures and expiry are not looked at.

    Args:
        folder: an empty one with room for the files.
        pace: see `Nginx`.
        certificate: see `Nginx`.
    """

    def __init__(self, folder: Path, pace: int | None = None, certificate: Path | None = None) -> None:
        self._root = folder / "root"
        self._media = folder / "media"
        for made in (self._root, self._media):
            made.mkdir()
        super().__init__(folder, f"root {self._root};", pace, certificate)

    def add(self, kit: RealtimeKitStandIn, recording_id: str, size: int, seed: int = 1) -> StandInRecording:
        """Make a recording known to the API, its video here; recordings of the same size and seed share a file."""
        return self.add_content(kit, recording_id, SyntheticContent(size, seed))

    def add_content(self, kit: RealtimeKitStandIn, recording_id: str, content: Content) -> StandInRecording:
        """Make a recording of this content known to the API; recordings of equal content share a file."""
        recording = kit.add(StandInRecording(recording_id, video=MediaSource(content)))
        target = self._root / FILES / kit.app_id / recording_id / recording.video_name
        target.parent.mkdir(parents=True)
        target.symlink_to(self._file(content))
        return recording

    def _file(self, content: Content) -> Path:
        path = self._media / f"{content.fingerprint}.mp4"
        if not path.exists():
            write(content, path)
        return path


def write(content: Content, path: Path) -> None:
    """Write content to a file."""
    with path.open("wb") as file:
        for start in range(0, content.size, PIECE):
            file.write(content.read(start, start + PIECE))
