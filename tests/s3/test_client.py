"""What boto3 does for each request is as it was where we do it in fewer steps: who asks, and the times in answers."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import UnknownServiceError
from botocore.utils import parse_timestamp

from tasks.s3.client import _list_services_quickly, _parse_timestamp, new_s3_client

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

TIMES = [
    "Thu, 26 Nov 2026 11:00:00 GMT",
    "Thursday, 26-Nov-26 11:00:00 GMT",
    "2026-11-26T11:00:00.123Z",
    "20261126T110000Z",
    "1795690800",
    "1795690800.5",
]


@pytest.mark.parametrize("app_id", ["", "mine"])
def test_a_store_is_told_which_program_asks_and_the_app_id_if_there_is_one(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch, app_id: str
) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", app_id)
    sent: list[Any] = []
    client: Any = new_s3_client(1)
    client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request))
    client.head_bucket(Bucket=rclone.bucket)
    (agent,) = [request.headers["User-Agent"].decode() for request in sent]
    assert agent.startswith("Boto3/")
    assert ("app/mine" in agent) == bool(app_id)


def test_only_the_data_of_s3_are_looked_for_and_other_services_are_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    listed, list_folder = list[str](), os.listdir

    def list_and_note(path: str) -> list[str]:
        listed.append(path)
        return list_folder(path)

    monkeypatch.setattr(os, "listdir", list_and_note)
    new_s3_client(1)
    assert {Path(path).name for path in listed} <= {"data", "s3", "models"}
    core = botocore.session.Session()
    _list_services_quickly(core)
    assert core.create_client("sts").meta.service_model.service_name == "sts"  # asks for the keys of roles
    with pytest.raises(UnknownServiceError):
        core.create_client("none-such")


@pytest.mark.parametrize("told", TIMES)
def test_times_are_those_that_botocore_would_find(told: str) -> None:
    assert _parse_timestamp(told) == parse_timestamp(told)


@pytest.mark.parametrize("told", ["x GMT", "Thu, 32 Nov 2026 11:00:00 GMT", "T"])
def test_what_is_no_time_is_the_error_that_botocore_makes_of_it(told: str) -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        _parse_timestamp(told)


def test_a_body_may_take_longer_than_the_connecting_may_as_long_as_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow line, a part of 8 MiB needs longer than the 10 s that connecting may take, however often it is sent."""
    monkeypatch.setattr("tasks.s3.client.CONNECT_TIMEOUT_S", 0.5)
    body, received = bytearray(24 * 1024 * 1024), bytearray()  # bytes would be read from like a file

    def take_slowly(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while len(received) < len(body) and (piece := connection.recv(256 * 1024)):
                received.extend(piece)
                time.sleep(0.01)
            connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        taken = threads.submit(take_slowly, listener)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        s3: Any = new_s3_client(1)
        began = time.monotonic()
        try:
            said = s3.upload_part(Bucket="bucket", Key="key", UploadId="1", PartNumber=1, Body=body)
        finally:
            listener.close()
        assert said["ETag"] == '"1"'
        assert time.monotonic() - began > 0.5
        taken.result()
