"""Whether Prefect will run the flows: versions, server, work pool, deployments, workers, database, last webhook."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx
import yaml
from packaging.version import Version
from prefect.client.base import ServerType
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_HOME,
    temporary_settings,
)

from tasks.doctor import GROUP, PROJECT, SERVER, Check, check_versions, failed, ok, skipped, warning
from tasks.errors import PrefectUnavailable
from tasks.orchestration.alarm_check import check_alarms
from tasks.orchestration.run_history import WEBHOOK
from tasks.orchestration.server import server_host
from tasks.prefect_settings import WORK_POOL as POOL
from tasks.tls import explain_distrust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, Worker
    from prefect.client.schemas.responses import DeploymentResponse

    from tasks.doctor import CheckResult

T = TypeVar("T")

TIMEOUT_S = 3.5
LATEST_RUNS = 50
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_START = "uv run prefect server start"
_DEPLOY = "uv run prefect --no-prompt deploy --all"


class PrefectChecks:
    """What to look at on Prefect's side, as its settings in this environment lead to it."""

    def checks(self) -> list[Check]:
        """Return the checks of the server that is configured."""
        looks = {
            "work pool": self.work_pool, "deployments": self.deployments, "workers": self.workers,
            "database": self.database, "last webhook": self.last_webhook, "alarms": self.alarms,
        }  # fmt: skip
        needs = {"workers": (SERVER, "work pool"), "database": (SERVER,)}
        return [
            Check(GROUP, "versions", check_versions),
            Check(GROUP, SERVER, self.server),
            *(Check(GROUP, name, look, needs.get(name, (SERVER,))) for name, look in looks.items()),
        ]

    def server(self) -> CheckResult:
        """Look whether Prefect's server answers, and is of a version that this client can talk with."""

        def look(client: SyncPrefectClient) -> CheckResult:
            if client.server_type == ServerType.CLOUD:
                client.read_work_pools(limit=1)
                return ok("Prefect Cloud answers, and takes the key")
            theirs, ours = Version(client.api_version()), Version(client.client_version())
            finding = f"{server_host()} answers, with Prefect {theirs}"
            if theirs.major != ours.major:
                return failed(f"{finding}; here it is {ours}", "Give both the same version.")
            if theirs.release[:2] != ours.release[:2] or theirs < ours:
                return warning(f"{finding}; here it is {ours}", "Give both the same version.")
            return ok(finding)

        try:
            return _asked(look)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            return failed(f"{server_host()} answers HTTP {status}", "Check PREFECT_API_URL, and PREFECT_API_KEY or "
                          "PREFECT_API_AUTH_STRING.")  # fmt: skip
        except (PrefectException, httpx.HTTPError) as error:
            name = explain_distrust(error) or type(error).__name__
            return failed(
                f"{server_host()} does not answer ({name})", f"Start it ({_START}), or correct PREFECT_API_URL."
            )
        except (httpx.InvalidURL, ValueError, TypeError, ImportError, OSError) as error:  # no client, or no JSON
            finding = f"{server_host()} cannot be asked, or is none ({type(error).__name__})"
            return failed(
                finding, "Correct PREFECT_API_URL, which for a server of your own ends with /api; and settings."
            )

    def work_pool(self) -> CheckResult:
        """Look whether the work pool is there, and hands out work."""
        try:
            pool = self._asked(lambda client: client.read_work_pool(POOL))
        except ObjectNotFound:
            return failed(
                f"there is no {POOL}",
                f"Make it: uv run prefect work-pool create {POOL} --type process --overwrite",
            )
        if pool.is_paused:
            return failed(f"{POOL} is paused", f"Let it go on: uv run prefect work-pool resume {POOL}")
        if pool.concurrency_limit == 0:
            return failed(
                f"{POOL} has a concurrency limit of 0",
                f"uv run prefect work-pool clear-concurrency-limit {POOL}",
            )
        return ok(f"{POOL}, of type {pool.type}")

    def deployments(self) -> CheckResult:
        """Look whether the deployments of `prefect.yaml` are there, and not paused."""
        missing, paused, elsewhere = [], [], []
        for name in deployments():
            try:
                deployment = self._asked(partial(_deployment, name))
            except ObjectNotFound:
                missing.append(name)
                continue
            schedules = deployment.schedules
            if deployment.paused or (schedules and not any(schedule.active for schedule in schedules)):
                paused.append(name)
            if deployment.work_pool_name != POOL:
                elsewhere.append(name)
        if missing:
            return failed(f"missing: {', '.join(missing)}", f"Make them: {_DEPLOY}")
        if elsewhere:
            return warning(f"not of the work pool {POOL}: {', '.join(elsewhere)}", f"If nobody meant it: {_DEPLOY}")
        if paused:
            return warning(f"paused: {', '.join(paused)}", "Its schedule starts nothing until somebody resumes it.")
        return ok(f"all {len(deployments())} of prefect.yaml")

    def workers(self) -> CheckResult:
        """Look whether somebody does the work."""
        living, count = self._living, len(self._workers)
        if living:
            return ok(f"{len(living)} at work: {', '.join(worker.name[:40] for worker in living[:3])}")
        finding = f"none is alive of {count} that there were" if count else "there is none"
        return failed(finding, f'Start one: ARCHIVER_HOME="$PWD" uv run prefect worker start --pool {POOL} --limit 4')

    def database(self) -> CheckResult:
        """Look whether the server has the database that it needs, as far as it tells: it keeps the URL to itself."""
        several = len(self._living) > 1
        advice = (
            "Give the server PostgreSQL: PREFECT_API_DATABASE_CONNECTION_URL, see Several machines in flows/README.md."
        )
        kind = self._asked(_database)
        if kind == "SQLite":
            if several:
                return warning(f"SQLite, with {len(self._living)} workers: it will be locked, and runs fail", advice)
            return ok("SQLite: for trying out. It is locked as soon as a few flows run at once")
        if kind:
            return ok(kind)
        if several:
            return warning("the server does not tell which, and SQLite is too little for several workers", advice)
        return skipped("not known: the server does not tell which. SQLite is for trying out only")

    def last_webhook(self) -> CheckResult:
        """Look when a webhook created a run last: what the receiver answers without a run is in its log alone."""
        try:
            runs = self._asked(_webhook_runs)
        except (ObjectNotFound, PrefectUnavailable) as error:
            return skipped(f"not known: {error}")
        created = [run.created for run in runs if run.created and (run.idempotency_key or "").startswith(f"{WEBHOOK}:")]
        if not created:
            return ok("none: the server knows of no run that a webhook has created")
        return ok(f"has created a run on {max(created).astimezone(UTC):%Y-%m-%d at %H:%M} UTC")

    def alarms(self) -> CheckResult:
        """Look whether the alarms are set up, and turned on."""
        return self._asked(check_alarms)

    @cached_property
    def _workers(self) -> Sequence[Worker]:
        try:
            return self._asked(lambda client: client.read_workers_for_work_pool(POOL))
        except ObjectNotFound:
            return []

    @property
    def _living(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.status == WorkerStatus.ONLINE]

    @staticmethod
    def _asked(question: Callable[[SyncPrefectClient], T]) -> T:
        """Return what the server answers.

        Raises:
            ObjectNotFound: there is no such thing.
            PrefectUnavailable: it does not answer, or cannot now.
        """
        try:
            return _asked(question)
        except ObjectNotFound:
            raise
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status == httpx.codes.NOT_FOUND:  # the client makes the other of some, and not of all
                raise ObjectNotFound(error) from error
            failure = f"HTTP {status}"
        except (PrefectException, httpx.HTTPError) as error:
            failure = type(error).__name__
        raise PrefectUnavailable(server_host(), failure)


def _asked(question: Callable[[SyncPrefectClient], T]) -> T:
    with impatience(), get_client(sync_client=True) as client:
        return question(client)


@contextmanager
def impatience() -> Iterator[None]:
    """Let Prefect's client give up soon, within the block."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1, PREFECT_API_REQUEST_TIMEOUT: TIMEOUT_S}):
        yield


def deployments() -> list[str]:
    """Return the full names of the deployments of `prefect.yaml`: a flow here is called as its function is."""
    listed = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    return [f"{entry['entrypoint'].rpartition(':')[2].replace('_', '-')}/{entry['name']}" for entry in listed]


def _deployment(name: str, client: SyncPrefectClient) -> DeploymentResponse:
    return client.read_deployment_by_name(name)


def _webhook_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Return the latest runs with the webhook's tag; a run that was put off has the tag, too, but not the key."""
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[WEBHOOK])),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=LATEST_RUNS,
    )


def _database(client: SyncPrefectClient) -> str:
    """Return which database the server uses; empty if that cannot be told."""
    if client.server_type == ServerType.CLOUD:
        return "Prefect Cloud's"
    settings = client.request("GET", "/admin/settings").json()
    database = settings.get("server", {}).get("database", {})
    if database.get("driver") or database.get("host"):
        return "SQLite" if "sqlite" in str(database.get("driver")) else "PostgreSQL"
    if (httpx.URL(str(PREFECT_API_URL.value())).host or "") not in _LOOPBACK:
        return ""
    # On this very machine, its write-ahead log is there for as long as the server has it open.
    home = Path(str(settings.get("home") or PREFECT_HOME.value())).expanduser()
    return "SQLite" if (home / "prefect.db-wal").exists() else ""
