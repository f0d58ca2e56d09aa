"""A copy that is killed at any moment, from one store to another that asks for fewer requests, and carried on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from flows.audit_archive import audit
from tasks.engine import Engine
from tests.clock import python_path
from tests.flows.world import MIB, PROJECT, eventually
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import SMALLEST_PART
from tests.support.copying import SecondCopy, archive_of
from tests.torture.store.faults import Hangs, refusal
from tests.torture.store.scripts import always, at
from tests.torture.store.trouble import proxy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.standins.stores import Store as StoreServer
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import Fault
    from tests.torture.store.requests import StoreRequest

PARTS = 3
WRITES = (1, 3, 5, 6, 7, 9)
"""To the copy's store: of a small file, of a large one, and of tag files."""
WAYS = ("before", "within", "after")


def slow_down(request: StoreRequest) -> Fault | None:
    """Let the store ask for fewer requests: each second request with a body is refused at first."""
    is_refused = request.operation in {"PutObject", "UploadPart"} and request.attempt == 1 and len(request.key) % 2
    return refusal(503, "SlowDown") if is_refused else None


@contextmanager
def copies(environment: dict[str, str], part: int) -> Iterator[Callable[[str, int, str], int]]:
    """Give what runs a copy that dies at a write in some way, and returns its exit code."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.copy_child", str(part)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = inherited | environment | {"PYTHONPATH": python_path(PROJECT)}
    pipe: Any = subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=pipe, stdout=pipe, text=True) as process:

        def run(url: str, write: int, how: str) -> int:
            assert process.stdin
            assert process.stdout
            print(url, write, how, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run


def settings(rclone: Archiving, server: StoreServer, url: str) -> dict[str, str]:
    """Return the variables that a person would set."""
    return rclone.server.environment() | {
        "ARCHIVE_URL": f"s3://{rclone.bucket}/archive",
        "ARCHIVE_COPY_URL": "s3://bucket",
        "ARCHIVE_COPY_ENDPOINT_URL": url,
        "ARCHIVE_COPY_REGION": server.region,
        "ARCHIVE_COPY_ACCESS_KEY_ID": server.access_key,
        "ARCHIVE_COPY_SECRET_ACCESS_KEY": server.secret_key,
        "TRANSFER_CONCURRENCY": "4",
        "TASK_RETRIES": "0",
    }


def test_a_copy_that_is_killed_never_looks_whole_and_the_next_run_carries_on(
    rclone: Archiving, swift_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, part = swift_server, SMALLEST_PART["swift"]
    bucket = SecondCopy(rclone, server.client()).bucket
    audio = MediaSource(SyntheticContent(1000, seed=5), "audio/mpeg")
    recording = rclone.add(MediaSource(SyntheticContent((PARTS - 1) * part + 1234, seed=6)), audio=audio)
    rclone.archived(recording)
    archive = archive_of(rclone)
    with proxy_of(server) as proxy, copies(settings(rclone, server, proxy.url), part) as run:
        for number in WRITES:
            proxy.start_over(slow_down)
            copy = SecondCopy(rclone, server.client(), bucket, f"copy-{number}")
            code = run(copy.url, number, WAYS[number % 3])
            assert code == -signal.SIGKILL, f"write {number}"
            half = copy.objects()
            assert half.items() <= archive.items(), "what is there is right"
            assert not any(path.endswith("bagit.txt") for path in half) or half == archive
            assert run(copy.url, 0, "before") == 0
            assert copy.objects() == archive
            assert not copy.uploads()
            assert proxy.struck, "the store never asked for less"
        assert not proxy.errors
    for name, value in settings(rclone, server, server.endpoint_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ARCHIVE_COPY_URL", copy.url)
    report = audit(Engine(), of_copy=True)
    assert (report.archive_url, report.reread, report.damaged) == (copy.url, 1, ())
    (key,) = [path for path in archive if path.endswith(".mp3")]
    copy.put(key, b"x" * 1000)
    with pytest.raises(Exception, match=rf"flows.copy_archive --replace {recording.id}"):
        audit(Engine(), of_copy=True)


def test_a_copy_that_is_told_to_stop_ends_at_once_and_the_next_run_carries_on(
    rclone: Archiving, rclone_server: StoreServer
) -> None:
    copy, recording = SecondCopy(rclone, rclone_server.client()), rclone.add(20 * MIB)
    rclone.archived(recording)
    with proxy_of(rclone_server) as proxy:
        environment = os.environ | settings(rclone, rclone_server, proxy.url)
        environment |= {"ARCHIVE_COPY_URL": copy.url, "PYTHONPATH": python_path(PROJECT)}
        environment = {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}
        command = [sys.executable, "-W", "ignore", "-m", "flows.copy_archive"]
        proxy.start_over(always(at("UploadPart", part=2), Hangs())())
        with subprocess.Popen(command, cwd=PROJECT, env=environment) as process:
            eventually(lambda: proxy.struck and process.poll() is None)
            process.terminate()
            assert process.wait(10) == -signal.SIGTERM
        assert not any(path.endswith("bagit.txt") for path in copy.objects())
        proxy.start_over()
        subprocess.run(command, cwd=PROJECT, env=environment, check=True)
        sent = {request.query["partNumber"] for request in proxy.requests if request.operation == "UploadPart"}
    assert copy.objects() == archive_of(rclone)
    assert "2" in sent
    assert not copy.uploads()
