"""The clients of a run share what they may, keep connections while all goes well, and leave none open at the end."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tasks.orchestration.stages import stoppable
from tasks.session import Clients
from tasks.settings import Settings

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

LOG = logging.getLogger(__name__)


@pytest.fixture
def settings(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> Settings:
    kit = rclone.kit
    for name, value in {
        "CLOUDFLARE_API_TOKEN": kit.token, "CLOUDFLARE_ACCOUNT_ID": kit.account_id, "REALTIMEKIT_APP_ID": kit.app_id,
        "CLOUDFLARE_BASE_URL": kit.base_url, "ARCHIVE_URL": f"s3://{rclone.bucket}/pre",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return Settings()


def connections(clients: Clients) -> list[Any]:
    return [line for line in clients.lines._sockets if line.fileno() != -1]


def test_recordings_of_one_run_share_the_stores_pace_client_and_dialect(settings: Settings) -> None:
    with closing(Clients(settings, LOG)) as clients, closing(Clients(settings, LOG, clients)) as beside:
        assert beside.pace is clients.pace
        assert beside.s3 is clients.s3
        assert beside.dialect is clients.dialect


def test_a_stage_that_ends_well_leaves_its_connection_to_the_next(settings: Settings, rclone: Archiving) -> None:
    recording = rclone.add(100)
    with closing(Clients(settings, LOG)) as clients:
        for _ in range(3):
            with stoppable(clients) as stop:
                clients.api(stop).recording(recording.id)
            assert stop.is_set()
        assert len(clients.lines._sockets) == 1
        assert connections(clients)
    assert not connections(clients)


def test_a_stage_that_fails_ends_the_waiting_for_a_server_that_is_silent(settings: Settings, rclone: Archiving) -> None:
    recording = rclone.add(100)
    reached, silent = threading.Event(), threading.Event()

    def be_silent(_request: Any) -> None:
        reached.set()
        silent.wait(20)

    rclone.kit.on_api_request = be_silent
    with closing(Clients(settings, LOG)) as clients, ThreadPoolExecutor(1) as threads:

        def failing() -> Any:
            with stoppable(clients) as stop:
                waiting = threads.submit(clients.api(stop).recording, recording.id)
                assert reached.wait(10)
                try:
                    raise KeyboardInterrupt
                finally:
                    left.append(waiting)

        left: list[Any] = []
        try:
            with pytest.raises(KeyboardInterrupt):
                failing()
            assert left[0].exception(10) is not None
        finally:
            silent.set()


def test_connections_to_the_store_are_closed_with_the_run_that_opened_them(settings: Settings) -> None:
    clients = Clients(settings, LOG)
    with closing(Clients(settings, LOG, clients)) as beside:
        assert beside.store(threading.Event()).get("key") is None
    pools = clients.s3._endpoint.http_session._manager.pools  # type: ignore[attr-defined]
    assert len(pools) == 1, "whoever shares them leaves them open"
    clients.close()
    assert len(pools) == 0
