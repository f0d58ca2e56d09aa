"""One Prefect server for all tests of the flows, and for each test a world of its own: an API, a bucket, settings."""
# ruff: noqa: E402
# (Prefect reads its environment when it is imported)

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

PREFECT_HOME = tempfile.mkdtemp(prefix="prefect-home-")
atexit.register(shutil.rmtree, PREFECT_HOME, ignore_errors=True)
os.environ |= {
    "PREFECT_HOME": PREFECT_HOME,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.1",
    "PREFECT_CLI_COLORS": "false",
    "DO_NOT_TRACK": "1",
}

from prefect.context import _temporary_global_settings_context, get_settings_context
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)

from tests.flows.duty import PrefectServer
from tests.flows.world import World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.standins.realtimekit import RealtimeKitStandIn
    from tests.standins.stores import Store


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[str]:
    """A real Prefect server in a process of its own; yields its API's URL."""
    # Not Prefect's own `prefect_test_harness`: it imports the whole server into this process, too.
    folder = tmp_path_factory.mktemp("prefect")
    database = f"sqlite+aiosqlite:///{folder / 'prefect.db'}"
    settings = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        # Nobody works on what tests schedule: they would mark more and more runs as late, and lock SQLite all the time.
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        # Nor does anything here wait for what these do, and they look into the database all the time.
        "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_ENABLED": "false",
        # What an event starts is tried with the tests for duty alone.
        "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": str(pytestconfig.option.markexpr == "duty").lower(),
        "PREFECT_UI_ENABLED": "false",
    }
    with ExitStack() as stack:
        server = stack.enter_context(PrefectServer(folder, **settings))
        changes = {
            PREFECT_API_URL: server.api,
            PREFECT_SERVER_DATABASE_CONNECTION_URL: database,
            # With heartbeats, every flow waits up to a second for their thread to end.
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        }
        stack.enter_context(temporary_settings(changes))
        # A thread that was started without its starter's context would start a server of its own.
        stack.enter_context(_temporary_global_settings_context(get_settings_context()))
        yield server.api
        # What their threads hold is of no use to anybody, but without a server they would try to send it for a minute.
        for sender in (APILogWorker, EventsWorker):
            sender.drain_all(timeout=10)


@pytest.fixture
def world(prefect_api: str, kit: RealtimeKitStandIn, any_server: Store, tmp_path: Path) -> World:
    """An API with no recordings yet, an empty bucket, and the server: all that a run needs."""
    return new_world(kit, any_server, prefect_api, tmp_path)


@pytest.fixture
def plain(kit: RealtimeKitStandIn, any_server: Store, tmp_path: Path) -> World:
    """An API with no recordings yet and an empty bucket, and no Prefect server."""
    return new_world(kit, any_server, "", tmp_path)


@pytest.fixture(params=["with a server", "plainly"])
def either(request: pytest.FixtureRequest) -> World:
    """The world with a Prefect server, and the one without, in turn."""
    world: World = request.getfixturevalue("plain" if request.param == "plainly" else "world")
    return world


def _set_up(world: World, patch: pytest.MonkeyPatch) -> World:
    for name, value in world.settings().items():
        patch.setenv(name, value)
    if world.prefect_api:
        patch.setenv("PREFECT_API_URL", world.prefect_api)
    else:
        patch.delenv("PREFECT_API_URL", raising=False)
    patch.chdir(world.folder)
    return world


@pytest.fixture
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, with this very process set up for it; see `tests.flows.running.either_way`."""
    is_plain = getattr(request, "param", "") == "plainly"
    return _set_up(request.getfixturevalue("plain" if is_plain else "world"), monkeypatch)


@pytest.fixture
def plain_here(plain: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world without a Prefect server, with this very process set up for it."""
    return _set_up(plain, monkeypatch)


@pytest.fixture
def either_here(either: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Both worlds in turn, with this very process set up for them."""
    return _set_up(either, monkeypatch)
