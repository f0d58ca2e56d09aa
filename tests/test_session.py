"""The clients of a run share what they may, keep connections while all goes well, and leave none open at the end."""

from __future__ import annotations

import logging
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tasks.cancellation import CancellationGroup
from tasks.pipeline import fetch_details
from tasks.session import Session
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


def connections(session: Session) -> list[Any]:
    return [one for one in session.connections._sockets if one.fileno() != -1]


def test_the_certificates_are_read_once_for_api_and_sources(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = count()
    load = ssl.SSLContext.load_verify_locations

    def load_and_count(context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        next(loads)
        load(context, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load_and_count)
    with closing(Session(settings, LOG)):
        assert next(loads) == 1


def test_a_stage_that_ends_well_leaves_its_connection_to_the_next(settings: Settings, rclone: Archiving) -> None:
    recording = rclone.add(100)
    with closing(Session(settings, LOG)) as session:
        for _ in range(3):
            fetch_details(session, recording.id)
        assert len(session.connections._sockets) == 1
        assert connections(session)
    assert not connections(session)


def test_a_stage_that_fails_ends_the_waiting_for_a_server_that_is_silent(settings: Settings, rclone: Archiving) -> None:
    recording = rclone.add(100)
    reached, silent = threading.Event(), threading.Event()

    def be_silent(_request: Any) -> None:
        reached.set()
        silent.wait(20)

    rclone.kit.on_api_request = be_silent
    with closing(Session(settings, LOG)) as session, ThreadPoolExecutor(1) as threads:

        def failing() -> Any:
            with session.attempt() as attempt:
                waiting = threads.submit(attempt.api.recording, recording.id)
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
    session = Session(settings, LOG)
    with closing(Session(settings, LOG, store_access=session.store_access)) as other, other.attempt() as attempt:
        assert attempt.store.get("key") is None
    client: Any = session.store_access.client
    pools = client._endpoint.http_session._manager.pools
    assert len(pools) == 1, "a session that shares them leaves them open"
    session.close()
    assert len(pools) == 0


def test_a_group_cancels_the_attempts_of_all_sessions_those_that_begin_later_too(settings: Settings) -> None:
    group = CancellationGroup()
    with closing(Session(settings, LOG, cancellation=group)) as session, session.attempt() as attempt:
        with closing(Session(settings, LOG, cancellation=group)) as other, other.attempt() as of_other:
            assert not attempt.stop.is_set()
            group.cancel()
            assert attempt.stop.is_set()
            assert of_other.stop.is_set()
        with session.attempt() as later:
            assert later.stop.is_set()


def test_another_app_has_its_own_recordings_and_archive_on_the_same_connections(
    settings: Settings, rclone: Archiving
) -> None:
    recording = rclone.add(100)
    with closing(Session(settings, LOG)) as session:
        with session.attempt() as attempt:
            details = attempt.api.recording(recording.id)
        with session.for_app("another").attempt() as attempt:
            assert attempt.archive.url(details).startswith(f"s3://{rclone.bucket}/pre/another/")
            assert attempt.store.get("key") is None
        assert session.for_app("another").store_access is session.store_access
        assert session.app_id == settings.realtimekit_app_id
