"""Settings with which the store cannot be reached, or not where it was meant, are told at once and by their names."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import StoreRefused, StoreUnavailable, TransferStopped
from tasks.s3.addressing import remove_bucket
from tasks.s3.capabilities import StoreCapabilities
from tasks.s3.client import new_s3_client
from tasks.s3.multipart import Store
from tests.support.certificates import self_signed
from tests.torture.store.faults import Broken
from tests.torture.store.proxy import StoreProxy
from tests.torture.store.scripts import always, everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.archiving import Archiving

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SECRET = "kept-to-ourselves"


@pytest.fixture(autouse=True)
def some_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file with a certificate for 127.0.0.1, signed by nobody but itself, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls") / "certificate.pem")


@contextmanager
def answering(meet: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[int]]]:
    """Run a server on loopback; give its port, and a list that grows with each connection."""
    connections: list[int] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(1)
            with connection, suppress(OSError):  # whoever refuses a certificate hangs up
                meet(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@contextmanager
def over_tls(certificate: Path, begin: Callable[[], object] = lambda: None) -> Iterator[tuple[int, list[int]]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def meet(connection: socket.socket) -> None:
        begin()
        with context.wrap_socket(connection, server_side=True) as line:
            line.recv(64 * 1024)
            line.sendall(NOT_FOUND)

    with answering(meet) as server:
        yield server


def told_of(port: int, monkeypatch: pytest.MonkeyPatch, **settings: str) -> str:
    """Return the refusal that a look at an object ends with."""
    for name, value in {"AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{port}", **settings}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreRefused) as caught:
        Store(new_s3_client(1), "bucket", 60).head("key")
    assert not caught.value.retryable
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_certificate_of_an_authority_of_ones_own_is_final_and_names_the_setting_with_which_it_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with over_tls(certificate) as (port, connections):
        assert "AWS_CA_BUNDLE names the file" in told_of(port, monkeypatch)
        assert len(connections) == 2, "and once more, to be sure"
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        assert Store(new_s3_client(1), "bucket", 60).head("key") is None


@pytest.mark.parametrize("content", [None, "no certificate\n"])
def test_a_file_of_certificates_that_is_missing_or_is_none_is_final_and_named(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_text(content)
    with over_tls(certificate) as (port, _):
        assert "Correct AWS_CA_BUNDLE" in told_of(port, monkeypatch, AWS_CA_BUNDLE=str(file))


def test_https_that_is_asked_of_a_port_without_tls_is_final_and_names_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(64 * 1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with answering(plain) as (port, _):
        assert "Correct AWS_ENDPOINT_URL_S3: it begins with https://" in told_of(port, monkeypatch)


def test_a_handshake_that_breaks_off_is_the_networks_fault_and_worth_another_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.01)
    with answering(lambda connection: bool(connection.recv(64 * 1024))) as (port, connections):  # type: ignore[arg-type]
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://127.0.0.1:{port}")
        with pytest.raises(StoreUnavailable):
            Store(new_s3_client(1), "bucket", 0.2).head("key")
        assert len(connections) > 1


def test_a_certificate_that_changes_under_way_is_waited_out_as_the_settings_were_right(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.01)
    capabilities, stop, begun = StoreCapabilities(), threading.Event(), count(1)
    capabilities.answered = True

    def begin() -> None:
        if next(begun) > 3:
            stop.set()

    with over_tls(certificate, begin) as (port, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://127.0.0.1:{port}")
        with pytest.raises(TransferStopped):
            Store(new_s3_client(1), "bucket", 60, stop, capabilities=capabilities).head("key")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\nmore", f" {SECRET}", f"{SECRET}\u2019"])
def test_credentials_that_no_store_can_have_given_are_named_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StoreRefused, match=rf"{name} cannot be used") as caught:
        new_s3_client(1)
    assert SECRET not in str(caught.value)


def test_a_header_that_cannot_be_sent_is_final_and_never_quoted(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = {"Version": 1, "AccessKeyId": f"{SECRET}\n", "SecretAccessKey": SECRET}
    (tmp_path / "told").write_text(json.dumps(told))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path / 'told'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr("tasks.s3.credentials.require_usable", lambda _: None)
    with pytest.raises(StoreRefused, match="AWS_ACCESS_KEY_ID or AWS_SESSION_TOKEN") as caught:
        Store(new_s3_client(1), rclone.bucket, 60).head("key")
    assert not {SECRET, "Signature"} & set(re.findall(r"[\w-]+", str(caught.value)))


def test_a_proxys_address_that_is_none_is_final_and_its_password_is_not_shown(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{SECRET}#1@host:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://store.invalid")
    with pytest.raises(StoreRefused, match="Correct HTTP_PROXY") as caught:
        Store(new_s3_client(1), rclone.bucket, 60).head("key")
    assert SECRET not in str(caught.value)


# The bucket's name in the store's address


@pytest.mark.parametrize(
    ("url", "corrected"),
    [
        ("https://x.r2.cloudflarestorage.com/films", "https://x.r2.cloudflarestorage.com"),
        ("https://x.r2.cloudflarestorage.com/films/", "https://x.r2.cloudflarestorage.com"),
        ("https://films.s3.eu-central-1.amazonaws.com", "https://s3.eu-central-1.amazonaws.com"),
        ("https://gateway:9000/s3/films", "https://gateway:9000/s3"),
        ("https://x.r2.cloudflarestorage.com", None),
        ("https://x.r2.cloudflarestorage.com/other", None),
        ("https://films-of-others.s3.amazonaws.com", None),
        ("http://127.0.0.1:9000", None),
    ],
)
def test_an_address_is_looked_at_for_the_buckets_name_in_its_path_and_its_host(url: str, corrected: str | None) -> None:
    assert remove_bucket(url, "films") == corrected


def test_an_address_that_names_the_bucket_is_refused_with_the_right_one_before_a_byte_moves(
    bench: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bench.server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{bench.server.endpoint_url}/{bench.bucket}")
    store = Store(new_s3_client(1), bench.bucket, 60)
    right, below = f"to {bench.server.endpoint_url};", f"s3://{bench.bucket}/{bench.bucket}"
    with pytest.raises(StoreRefused, match=rf"{right}.*{below}") as caught:
        store.put("key", b"bytes", "video/mp4")
    assert not caught.value.retryable
    assert bench.stored_keys() == []


def test_the_address_of_r2_needs_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://account.r2.cloudflarestorage.com/films")
    with pytest.raises(StoreRefused, match=r"Set .* to https://account\.r2\.cloudflarestorage\.com;"):
        Store(new_s3_client(1), "films", 60).head("key")


def test_a_gateway_whose_path_is_called_like_the_bucket_is_left_alone(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in rclone.server.environment().items():
        monkeypatch.setenv(name, value)
    client: Any = new_s3_client(1)
    client.meta._endpoint_url = f"https://gateway/storage/{rclone.bucket}"
    assert Store(client, rclone.bucket, 60).put("key", b"bytes", "video/mp4")


def test_a_store_that_is_away_is_not_taken_for_one_whose_address_names_the_bucket(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.01)
    with StoreProxy(rclone.server.port) as proxy:
        proxy.start_over(always(everything, Broken("rst"))())
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{proxy.url}/{rclone.bucket}")
        with pytest.raises(StoreUnavailable):
            Store(new_s3_client(1), rclone.bucket, 0.2).head("key")
    proxy.close()
