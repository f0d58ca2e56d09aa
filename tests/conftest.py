"""What tests share: real stores that are started once, a fresh bucket for each test, and no settings from outside."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from tasks.store import new_s3_client
from tests.archiving import Archiving
from tests.standins.realtimekit import RealtimeKitStandIn
from tests.standins.stores import RcloneStore, Store, SwiftStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTIONS = 32
SWIFT_ONLY = "Swift runs on Linux alone"


@pytest.fixture(autouse=True)
def no_aws_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session", autouse=True)
def few_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let HTTP clients load one certificate instead of all: that takes longer than many a test, and none needs TLS."""
    end = "-----END CERTIFICATE-----\n"
    one = tmp_path_factory.mktemp("certificates") / "one.pem"
    one.write_text(certifi.contents().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one))
        yield


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if sys.platform != "linux":
        pytest.skip(SWIFT_ONLY)
    folder = tmp_path_factory.mktemp("swift")
    with SwiftStore(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("rclone")
    with RcloneStore(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def kit() -> Iterator[RealtimeKitStandIn]:
    """RealtimeKit; its send buffer is small, so that what it counts as sent is close to what was read."""
    with RealtimeKitStandIn(send_buffer=64 * 1024) as running:
        yield running


@pytest.fixture(scope="session")
def s3_clients() -> dict[str, Any]:
    """Clients by the name of their store: making one takes longer than many a test."""
    return {}


@pytest.fixture
def archiving_in(
    kit: RealtimeKitStandIn, s3_clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Store], Archiving]:
    def archiving(server: Store) -> Archiving:
        if not server.running:
            server.start()
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        client: Any = s3_clients.get(server.name) or new_s3_client(CONNECTIONS)
        s3_clients[server.name] = client
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=bucket)
        return Archiving(kit, server, client, bucket)

    return archiving


@pytest.fixture
def swift(swift_server: Store, archiving_in: Callable[[Store], Archiving]) -> Archiving:
    """An archive in a fresh bucket of OpenStack Swift."""
    return archiving_in(swift_server)


@pytest.fixture
def rclone(rclone_server: Store, archiving_in: Callable[[Store], Archiving]) -> Archiving:
    """An archive in a fresh bucket of rclone."""
    return archiving_in(rclone_server)


@pytest.fixture(params=["swift", "rclone"])
def bench(request: pytest.FixtureRequest) -> Archiving:
    """An archive in a fresh bucket of each store in turn."""
    archiving: Archiving = request.getfixturevalue(request.param)
    return archiving
