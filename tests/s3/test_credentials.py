"""Credentials that expire under way are read anew where they came from; what cannot be renewed is told at once."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from tasks.errors import StoreRefused
from tasks.s3.capabilities import StoreCapabilities
from tasks.s3.client import new_s3_client
from tasks.s3.credentials import RenewedCredentials
from tasks.s3.multipart import Store
from tests.torture.store.faults import error_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.archiving import Archiving

OLD, NEW = "old-token", "new-token"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("tasks.retry.LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr("tasks.s3.credentials.MIN_RELOAD_INTERVAL_S", 0.0)


class Guarded:
    """A client of a real store, before which requests with the old session's token are refused once it has expired."""

    def __init__(self, code: str = "ExpiredToken") -> None:
        self.client: Any = new_s3_client(4)
        self.seen: Counter[str] = Counter()
        self.refused = 0
        self.expired = False
        self.on_refusal: Callable[[], object] = lambda: None
        self._code = code
        self.client.meta.events.register_first("before-send.s3", self._guard)

    def _guard(self, request: Any, **_: Any) -> Any:
        token = request.headers.get("X-Amz-Security-Token", "none")
        token = token.decode() if isinstance(token, bytes) else token
        self.seen[token] += 1
        if not self.expired or token == NEW:
            return None
        self.refused += 1
        self.on_refusal()
        body = b"" if request.method == "HEAD" else error_document(self._code)

        class Raw:
            def stream(self) -> Iterator[bytes]:
                yield body

        return AWSResponse(request.url, 400, HTTPHeaders(), Raw())


@pytest.fixture
def keep(rclone: Archiving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Write the store's keys with a session's token to the file of credentials."""
    file = tmp_path / "credentials"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(token: str) -> None:
        keys = {"aws_access_key_id": rclone.server.access_key, "aws_secret_access_key": rclone.server.secret_key,
                "aws_session_token": token}  # fmt: skip
        file.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items()))

    write(OLD)
    return write


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestExpired"])
def test_a_file_of_credentials_is_read_anew_when_they_expire_under_way_and_the_transfer_goes_on(
    rclone: Archiving, keep: Callable[[str], None], code: str
) -> None:
    guarded = Guarded(code)
    store = Store(guarded.client, rclone.bucket, 30)
    upload = store.begin_upload("key", "video/mp4", {})
    first = store.put_part(upload, 1, bytearray(b"a" * rclone.part))
    guarded.expired = True
    guarded.on_refusal = lambda: keep(NEW) if guarded.refused == 3 else None
    second = store.put_part(upload, 2, b"b")
    assert b"".join(store.read(store.complete(upload, [first, second]))) == b"a" * rclone.part + b"b"
    assert guarded.refused >= 3
    assert guarded.seen[NEW] >= 3


def test_an_object_is_looked_at_with_new_credentials_though_head_cannot_say_that_the_old_ones_have_expired(
    rclone: Archiving, keep: Callable[[str], None]
) -> None:
    guarded = Guarded()
    store = Store(guarded.client, rclone.bucket, 30)
    store.put("key", b"bytes", "video/mp4")
    guarded.expired = True
    keep(NEW)
    found = store.head("key")
    assert found is not None
    assert found.size == 5
    assert store.reports_checksums


def test_a_program_that_gives_credentials_is_asked_again_before_they_were_to_expire(
    rclone: Archiving, keep: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del keep
    server, program, token = rclone.server, tmp_path / "program.py", tmp_path / "token"
    program.write_text(
        "import json, pathlib\n"
        f"token = pathlib.Path({str(token)!r}).read_text()\n"
        f"keys = {{'AccessKeyId': {server.access_key!r}, 'SecretAccessKey': {server.secret_key!r}}}\n"
        "print(json.dumps({'Version': 1, 'SessionToken': token, 'Expiration': '2999-01-01T00:00:00Z', **keys}))\n"
    )
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {sys.executable} {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    token.write_text(OLD)
    guarded = Guarded()
    store = Store(guarded.client, rclone.bucket, 30)
    store.put("key", b"bytes", "video/mp4")
    guarded.expired = True
    guarded.on_refusal = lambda: token.write_text(NEW)
    assert store.get("key") == b"bytes"


def test_a_file_that_is_half_written_or_gone_for_a_moment_is_waited_for(
    rclone: Archiving, keep: Callable[[str], None], tmp_path: Path
) -> None:
    guarded = Guarded()
    store = Store(guarded.client, rclone.bucket, 30)
    store.put("key", b"bytes", "video/mp4")
    guarded.expired = True
    file = tmp_path / "credentials"
    moments: list[Callable[[], object]] = [
        lambda: keep(NEW),
        file.unlink,
        lambda: file.write_text("[default]\naws_access_key_id = half\n"),
        lambda: file.write_text("[def"),
    ]
    guarded.on_refusal = lambda: moments.pop()() if moments else None
    assert store.get("key") == b"bytes"
    assert not moments


def test_credentials_that_are_never_renewed_are_told_as_expired_when_patience_ends(
    rclone: Archiving, keep: Callable[[str], None]
) -> None:
    del keep
    guarded = Guarded()
    store = Store(guarded.client, rclone.bucket, 1.5)
    store.put("key", b"bytes", "video/mp4")
    guarded.expired = True
    with pytest.raises(StoreRefused, match=r"ExpiredToken.*put new ones where they come from") as caught:
        store.get("key")
    assert guarded.refused > 2
    assert OLD not in str(caught.value)


def test_credentials_that_have_expired_before_a_run_are_told_after_one_more_look(
    rclone: Archiving, keep: Callable[[str], None]
) -> None:
    guarded = Guarded()
    guarded.expired = True
    with pytest.raises(StoreRefused, match="have expired"):
        Store(guarded.client, rclone.bucket, 30).get("key")
    assert guarded.refused == 2
    guarded.on_refusal = lambda: keep(NEW)
    assert Store(guarded.client, rclone.bucket, 30).get("key") is None


def test_parts_that_fail_together_start_a_program_once_a_second_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.s3.credentials.MIN_RELOAD_INTERVAL_S", 60.0)
    asked: list[Credentials] = []

    def find() -> Credentials:
        asked.append(Credentials("key", "secret", NEW, method="custom-process"))
        return asked[-1]

    renewed = RenewedCredentials(Credentials("key", "secret", OLD, method="custom-process"), find)
    for _ in range(3):
        renewed.note({"Error": {"Code": "ExpiredToken"}})
        assert renewed.get_frozen_credentials().token == NEW
    assert len(asked) == 1


def test_credentials_of_the_environment_do_not_change_under_way_and_are_told_at_once(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", OLD)
    guarded = Guarded()
    capabilities = StoreCapabilities()
    store = Store(guarded.client, rclone.bucket, 30, capabilities=capabilities)
    store.put("key", b"bytes", "video/mp4")
    guarded.expired = True
    with pytest.raises(StoreRefused, match=r"ExpiredToken.*environment, \.env") as caught:
        store.get("key")
    assert guarded.refused == 1
    assert not caught.value.retryable
