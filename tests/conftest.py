"""What tests share: real stores that are started once, a fresh bucket for each test, and no settings from outside."""

from __future__ import annotations

import gc
import logging
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tasks.s3.client import new_s3_client
from tasks.text import logs, redaction
from tests.clock import is_moved, with_rclone
from tests.standins.archived_classes import ArchivedClasses
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
from tests.torture.store.trouble import proxy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import StoreProxy

pytest_plugins = ["tests.clock.option"]

# Until all tests are collected: among a growing million of objects that stay, the collector of garbage finds none, and
# takes a quarter of the time.
gc.disable()

SWIFT_ONLY = "Swift runs on Linux alone"


# What a shell script runs in the background ignores Ctrl-C, and so would all processes that are sent one here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ON_DUTY = (
    # With rclone, each is tried every time. Swift takes five times as long, and what is different about a store is
    # tried with it by the tests of `s3`, `transfer`, `doctor` and the torture suite.
    r"tests/(archive|audit|catalog|end_to_end|restore)/.*\[swift",
    # Scenario by scenario; the tests of each wing try the same faults one by one.
    r"torture/(source|store)/test_(catalogue|api_shapes).py::test_it_ends_as_it_must",
    r"torture/runs/test_deaths.py::.*-swift\]",
    r"test_transfer.py::test_sources_without_ranges_.*\[swift-.*-[02]\]",
    r"torture/sessions/test_catalogue.py::.*(-swift|session-(?!at-once|never|api)\S*-rclone)\]",
    r"catalog/test_scale.py::",
    r"test_describe_recording.py::test_a_picture_of_what_was_archived_before_",
    r"restore/test_memory.py::",
    # Every time, a copy is interrupted within a large file, and damage on either side is met.
    r"copying/test_deaths.py::",
    r"test_copy_archive.py::test_a_flow_is_off_",
    r"copying/test_archive_copy.py::test_(another_bag|damage_in_the_copy|what_was_deleted|what_lies_in|a_run_copies)_",
    r"copying/test_archive_copy.py::test_what_is_damaged_.*\[1-",
    r"copying/test_archive_copy.py::test_(listings_that_tell_nothing_|without_a_tombstone_.*\[unreadable)",
    r"library/test_scale.py::",
    r"catalog/test_update.py::test_an_update_that_is_killed_.*\[[2-9]",
    r"catalog/test_update.py::test_two_updates_at_once_.*\[([2-9]|1-(archived|audited|month gone))",
    # The same is told of a run with a server, and of one without by other tests.
    r"test_interrupted.py::test_the_next_run_fetches_.*\[with a server\]",
    r"test_interrupted.py::test_a_prefect_server_that_dies_",
    r"test_demo.py::test_the_recording_can_be_watched_",
    r"test_secrets.py::test_no_secret_is_told_.*\[with a server-_(link|store_refuses)",
    # An event's app is tried every time as its body and its URL name it.
    r"test_webhook.py::test_the_run_of_an_event_is_told_.*\[(?!-\{'appId': 'another'|/another-\{\}-\('another)",
    r"test_several_apps.py::test_(the_doctor_|a_list_of_apps_that_is_none_.*\[data[12])",
    # What a run does is tried plainly; as a flow's run, by the tests of what Prefect shows of it.
    r"flows/test_(archive|sweep)_recordings?\.py::.*[\[-]with a server\]",
    # One process stands for all that end early, and one death for all others.
    r"test_module.py::test_settings_that_prefect_cannot_even_be_loaded_with_.*\[(?!\\xff)",
    r"test_module.py::test_(wrong_usage_is_2|neither_locale)_.*\[with a server\]",
    r"test_module.py::test_a_failed_process_says_no_more_than_that\[wrong token\]",
    r"torture/runs/test_deaths.py::test_a_death_costs_.*\[(killed-again-and-again|stopped-for-a-while)",
    r"torture/runs/test_deaths.py::test_a_process_dies_at_the_write_.*\[(before|within)\]",
    r"torture/runs/test_environment.py::test_it_ends_as_it_must\[c-locale\]",
    r"torture/runs/test_together.py::.*\[(runs-at-once-swift|overwrites)",
    r"torture/sessions/test_catalogue.py::.*\[session-at-once",
    r"torture/test_runner.py::test_processes_of_their_own_",
    # The same writes fail, one by one, in the tests of the wing; two runs meet in three more ways.
    r"test_overwrite.py::test_whichever_write_fails_",
    r"test_two_runs.py::test_a_whole_run_between_.*-overwrite-(normal|overwrite)-",
    r"test_two_runs.py::test_no_bag_states_other_bytes_.*-overwrite-.*-in-one-go\]",
    r"test_transfer.py::test_(files_of_every_size|sources_without_ranges)_.*\[swift",
    # Every time, a recording is archived with blocks, and one is missing; files are tried without a server.
    r"test_secret_blocks.py::test_(what_blocks|the_stores|credentials|a_block_that_holds|a_server|the_doctor)_",
    # What bars look like is tried without a process, and what the other signal leaves in the bucket is, too.
    r"test_module.py::test_on_a_terminal_every_file_has_a_bar",
    r"test_doctor.py::test_the_second_copys_store_",
    r"test_doctor.py::test_interrupted_it_leaves_nothing_.*\[15-143\]",
    r"test_scale.py::.*\[10000\]",
    r"test_request_counts.py::test_a_sweep_",
    # Prefect's command line takes three processes for it; what `prefect.yaml` says is read by all other tests of it.
    r"test_prefect_yaml.py::test_deploying_again_",
    # One command stands for all that find a server configured, and one run for all that meet a store that refuses.
    r"test_module.py::test_a_failed_process_says_no_more_than_that\[dead Prefect server\]",
    r"test_catalog.py::test_what_is_archived_is_found_once_.*\[with a server\]",
    r"test_archive_session.py::test_a_session_is_archived_and_again_.*\[with a server\]",
    r"test_transfer.py::test_a_part_that_the_store_refuses_again_and_again_",
    r"test_session_bag.py::test_(runs_that_fetched_different_states|whichever_write_fails|a_whole_run_between_any)_",
    r"test_webhook.py::test_an_event_that_is_sent_to_a_wrong_apps_url_",
    # The library of all messengers takes a second to load.
    r"test_alarm_receiver.py::",
    r"test_worker_drain.py::(?!.*\[a run-SIGTERM\])",
    # What compose.yaml says is read by all other tests of it.
    r"test_compose.py::test_docker_compose_",
    # A deletion that ends at any write, and what other runs and requests come to; each takes archives of meetings.
    r"retention/test_deletion.py::test_(a_death_|(a_)?sessions_|a_participants_|documents_that_|recordings_of_|what_another_)",
    r"retention/test_(deaths|other_wings|versions)\.py::",
    r"retention/test_meanwhile\.py::",
    r"retention/test_going_together\.py::",
    r"retention/test_holds\.py::test_a_(sessions_|held_)",
    r"retention/test_strange_tombstones\.py::.*\[(another|no slash|sessions)",
    r"retention/test_selection.py::test_a_rule_or_a_hold_that_means_nothing_.*\[(?!\[\[holds\]\].{1,2}meeting)",
    # What the figures are is tried without a server; these wait for events to come to it.
    r"flows/test_metrics.py::",
)
"""Tests that take long and rarely tell what no other tells: `-m duty` runs them."""

OF_LIBRARY = re.compile(r"tests/library/test_(request_filter|pages)\.py")
"""Tests that share an archive and a server of the library over it."""

DEPLOYED = re.compile(r"tests/flows/test_(sweep_recordings|webhook|waiting|prefect_yaml)\.py")
"""Tests that share deployments on Prefect's server."""
PROCESSES = re.compile(r"tests/flows/test_(module|secrets|interrupted|doctor)\.py")
"""Tests that start most processes: a part of their own, so that no part takes much longer than the others."""
PLAIN = re.compile(
    r"tests/flows/(test_(plain|prefect_settings|webhook_register|library|alarm_receiver|several_apps|deploy)\.py|.*[\[-]plainly[\]-])"
)
"""Tests of the flows' commands without any server: any worker may take any of them."""


class FlowsTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Shares tests out to the workers one by one, but the flows' in three parts: each worker would start a server.

    The library's pages are one part, too.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/flows/") and not PLAIN.match(nodeid):
            if PROCESSES.match(nodeid):
                return "flows, processes"
            return "flows, deployed" if DEPLOYED.match(nodeid) else "flows"
        if "/test_ceph.py" in nodeid:  # they share a cluster
            return "ceph"
        return "library" if OF_LIBRARY.match(nodeid) else nodeid

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forget what is done: it would be counted anew with each test."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        work = self.assigned_work[node]
        if all(work[scope].values()):
            del work[scope]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Share out as said; xdist's own way, marks of groups, does nothing with pytest 9.2."""
    return FlowsTogether(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is for duty, before marks are looked at."""
    for item in items:
        if any(re.search(rare, item.nodeid) for rare in ON_DUTY):
            item.add_marker(pytest.mark.duty)


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over all that was imported, which stays."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def no_aws_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore_aws_settings(monkeypatch)


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test begin without secrets that are known, and without filters of logs that would hide a leak."""
    monkeypatch.setattr(redaction, "_OWN", redaction.Redactor({}))
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
    if is_moved():
        pytest.skip(with_rclone.kwargs["reason"])
    folder = tmp_path_factory.mktemp("rclone")
    with RcloneStore(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def any_server(request: pytest.FixtureRequest) -> Store:
    """A store that keeps the tests' time: rclone, which takes less, or Swift."""
    server: Store = request.getfixturevalue("swift_server" if is_moved() else "rclone_server")
    return server


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


@pytest.fixture
def proxy(rclone: Archiving) -> Iterator[StoreProxy]:
    with proxy_of(rclone.server) as running:
        yield running
    assert not running.errors


@pytest.fixture
def cold(proxy: StoreProxy) -> ArchivedClasses:
    """Archived storage classes in front of rclone, which has none."""
    classes = ArchivedClasses()
    proxy.start_over(classes)
    return classes
