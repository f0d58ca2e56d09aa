"""What tests share: real stores that are started once, a fresh bucket for each test, and no settings from outside."""

from __future__ import annotations

import logging
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tasks import logs, redaction
from tasks.store import new_s3_client
from tests.standins.realtimekit import RealtimeKitStandIn
from tests.standins.stores import RcloneStore, Store, SwiftStore
from tests.torture.stage import (
    CONNECTIONS,
    SEND_BUFFER,
    archive_in,
    ignore_aws_settings,
    lead_to,
    load_one_certificate,
    load_service_models_once,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.archiving import Archiving

SWIFT_ONLY = "Swift runs on Linux alone"


class FlowsTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Shares tests out to the workers one by one, but all of the flows' to one: each would start a Prefect server."""

    def _split_scope(self, nodeid: str) -> str:
        return "flows" if nodeid.startswith("tests/flows/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Share out as said; xdist's own way, marks of groups, does nothing with pytest 9.2."""
    return FlowsTogether(config, log)


@pytest.fixture(autouse=True)
def no_aws_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore_aws_settings(monkeypatch)


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test begin without secrets that are known, and without filters of logs that would hide a leak."""
    monkeypatch.setattr(redaction, "_OWN", redaction.Concealed({}))
    yield
    for handler in logging.getLogger().handlers:
        handler.removeFilter(logs._concealed)


@pytest.fixture(scope="session", autouse=True)
def clients_made_quickly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        load_one_certificate(patch, tmp_path_factory.mktemp("certificates"))
        load_service_models_once(patch)
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
    """RealtimeKit, with a send buffer as `tests.torture.stage` says."""
    with RealtimeKitStandIn(send_buffer=SEND_BUFFER) as running:
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
        lead_to(server, monkeypatch)
        client: Any = s3_clients.get(server.name) or new_s3_client(CONNECTIONS)
        s3_clients[server.name] = client
        return archive_in(server, client, kit)

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
