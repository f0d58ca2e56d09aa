"""The doctor tells whether the first recording will arrive, in bounded time, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import doctor as module
from flows.doctor import doctor, examine, main
from tasks.doctor import check_clock, prefect_versions, without_server
from tasks.doctor.clock_skew import ClockSkew
from tasks.errors import NotReady
from tasks.orchestration import prefect_checks
from tasks.orchestration.prefect_checks import PrefectChecks
from tasks.s3.multipart import Store as StoreOfOurs
from tests.flows.duty import asked
from tests.flows.test_prefect_yaml import DEPLOYMENTS
from tests.flows.world import PROJECT, World, eventually, new_world
from tests.standins.realtimekit import Stall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tasks.doctor import Finding
    from tests.standins.realtimekit import RealtimeKitStandIn
    from tests.standins.stores import Store

NOWHERE = "http://127.0.0.1:9"
LINES = 24


@pytest.fixture
def alone(
    kit: RealtimeKitStandIn, any_server: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """An API and a bucket, with this very process set up for them, and no Prefect server."""
    world = new_world(kit, any_server, "", tmp_path)
    world.add(invoked_time=datetime.now(UTC) - timedelta(hours=1))
    for name, value in world.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield world


def run(*arguments: str) -> int:
    return main(list(arguments))


def states() -> dict[str, str]:
    """Return how each check ends, by name."""
    return by_name(examine(lambda _: None).findings)


def by_name(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.name: finding.status for finding in findings}


def left(world: World) -> list[str]:
    """Return the keys of all objects and uploads."""
    store = StoreOfOurs(world.store.client(), world.bucket, 5)
    return [stored.key for stored in store.list("")] + [upload.key for upload in store.uploads("")]


def command() -> list[str]:
    return [sys.executable, "-m", "flows.doctor"]


# As a process


def test_as_a_process_it_says_that_all_is_well_and_shows_no_secret(alone: World) -> None:
    environment = alone.environment(PREFECT_API_URL=None)
    done = subprocess.run(
        command(), cwd=alone.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("The first recording will arrive; looked at in ")
    assert sum(line.startswith("  ok ") for line in done.stdout.splitlines()) == LINES
    for secret in (alone.kit.token, alone.store.access_key, alone.store.secret_key, "X-Amz"):
        assert secret not in done.stdout
    assert left(alone) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_leaves_nothing_in_the_bucket(alone: World, number: int, code: int) -> None:
    store = alone.store.client()
    alone.kit.api_faults = lambda _: Stall()  # so that it is not over when the signal comes
    environment = alone.environment(PREFECT_API_URL=None)
    with subprocess.Popen(
        command(), cwd=alone.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            eventually(lambda: store.list_objects_v2(Bucket=alone.bucket).get("Contents"))
            process.send_signal(number)
            _, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, stderr.strip()) == (code, "Interrupted. What was tried in the bucket is cleared away.")
    assert left(alone) == []


# What is wrong, and nothing else


@pytest.mark.usefixtures("alone")
def test_all_settings_that_are_wrong_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    monkeypatch.setenv("ARCHIVE_URL", "bucket")
    checkup = examine(lambda _: None)
    (wrong,) = [finding for finding in checkup.findings if finding.status == "failed"]
    assert "CLOUDFLARE_API_TOKEN: is missing" in wrong.told
    assert "ARCHIVE_URL: must look like s3://" in wrong.told
    assert [finding.name for finding in checkup.findings if finding.status == "skipped"] == ["API", "bucket", "clock"]


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("CLOUDFLARE_API_TOKEN", "another-token", "token"),
        ("CLOUDFLARE_ACCOUNT_ID", "another-account", "account"),
        ("REALTIMEKIT_APP_ID", "another-app", "app"),
        ("CLOUDFLARE_BASE_URL", NOWHERE, "API"),
        ("ARCHIVE_URL", "s3://another-bucket/pre", "bucket"),
        ("AWS_ENDPOINT_URL_S3", NOWHERE, "bucket"),
        ("AWS_ENDPOINT_URL_S3", "no-url", "bucket"),
        ("AWS_SECRET_ACCESS_KEY", "another-secret", "bucket"),
        ("TRANSFER_PART_SIZE", "1KiB", "settings"),
    ],
)
def test_each_setting_that_is_wrong_is_found_alone(
    alone: World, monkeypatch: pytest.MonkeyPatch, name: str, value: str, wrong: str
) -> None:
    monkeypatch.setenv(name, value)
    findings = examine(lambda _: None).findings
    failed = [finding for finding in findings if finding.status == "failed"]
    assert [finding.name for finding in failed] == [wrong], failed
    # The other side is looked at all the same.
    assert by_name(findings)["download" if wrong == "bucket" else "write"] == "ok"
    assert alone.objects() == {}


def test_a_dead_api_and_a_dead_store_are_told_together(
    alone: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alone.bucket
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", NOWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", NOWHERE)
    assert run() == 1
    stdout, stderr = capsys.readouterr()
    assert stdout.splitlines()[-1].startswith("Recordings will not arrive from here: API, bucket failed; looked at in ")
    assert stderr == ""


@pytest.mark.duty  # it waits for all that it tests
def test_servers_that_take_connections_and_never_answer_cost_no_half_minute(
    alone: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", address)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            assert run("--json") == 1
    assert time.monotonic() - began < 25
    checkup = json.loads(capsys.readouterr().out)
    assert alone.bucket
    failed = {finding["name"] for finding in checkup["findings"] if finding["status"] == "failed"}
    assert failed == {"API", "bucket", "server"}
    assert all("nobody foresaw" not in finding["told"] for finding in checkup["findings"])


def test_an_exception_that_nobody_foresaw_shows_nothing_either(
    alone: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(alone.kit.token + alone.store.secret_key)

    monkeypatch.setattr(module, "check_clock", broken)
    assert run() == 1
    monkeypatch.setattr(module, "_of_store", broken)
    assert run("--json") == 1
    shown = "".join(capsys.readouterr())
    assert shown.count("RuntimeError, which nobody foresaw, at line ") == 2
    assert alone.kit.token not in shown
    assert alone.store.secret_key not in shown


# ClockSkew

NOON = 1_795_000_000.0


@pytest.mark.parametrize(
    ("cloudflare", "store", "status", "told"),
    [
        (0, 0, "ok", "within 1 s of Cloudflare and the store"),
        (29, -29, "ok", "within 29 s"),
        (100, 101, "warning", "this machine is 100 s behind Cloudflare; this machine is 101 s behind the store"),
        (-1200, -1200, "failed", "this machine is 20 minutes ahead of Cloudflare"),
        (1200, 0, "warning", "this machine is 20 minutes behind Cloudflare; but not the store"),
    ],
)
def test_the_clock_is_told_long_before_signatures_are_refused(
    monkeypatch: pytest.MonkeyPatch, cloudflare: float, store: float, status: str, told: str
) -> None:
    clocks = ClockSkew()
    monkeypatch.setattr(clocks, "ahead", lambda: {"Cloudflare": cloudflare, "the store": store})
    said = check_clock(clocks)
    assert said.status == status
    assert said.told.startswith(told)


# Prefect


def test_without_a_prefect_server_it_is_told_what_works_without_one(alone: World) -> None:
    assert alone.bucket
    of = {check.name: check.look() for check in without_server()}
    assert {name: said.status for name, said in of.items()} == {"versions": "ok", "server": "ok"}
    assert "work without one" in of["server"].told


def test_a_version_out_of_bounds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        prefect_versions, "version", {"prefect": "3.8.8", "fastapi": "0.155.0", "sqlalchemy": "2.1.0b1"}.get
    )
    said = prefect_versions.check_versions()
    assert said.status == "failed"
    assert said.told == "fastapi 0.155.0, not <0.151,>=0.139; sqlalchemy 2.1.0b1, not <2.1"


def test_deployments_are_called_as_prefect_calls_them() -> None:
    flows: list[Flow[..., Any]] = [
        load_flow_from_entrypoint(str(PROJECT / one["entrypoint"])) for one in DEPLOYMENTS.values()
    ]
    names = [one["name"] for one in DEPLOYMENTS.values()]
    assert prefect_checks.deployments() == [f"{flow.name}/{name}" for flow, name in zip(flows, names, strict=True)]


def prefects() -> dict[str, Any]:
    """Return what is found of Prefect, as the doctor runs it."""
    found = examine(lambda _: None).findings
    return {finding.name: finding for finding in found if finding.group == "Prefect"}


def test_what_prefect_lacks_is_told_until_it_lacks_nothing(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, flow = f"pool-{uuid.uuid4().hex[:8]}", f"flow-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(prefect_checks, "POOL", pool)
    monkeypatch.setattr(prefect_checks, "deployments", lambda: [f"{flow}/on-demand"])
    of = prefects()
    assert {name: finding.status for name, finding in of.items()} == {
        "versions": "ok", "server": "ok", "work pool": "failed", "deployments": "failed", "workers": "skipped",
        "database": "ok", "last webhook": "ok", "alarms": "ok",
    }  # fmt: skip
    assert of["alarms"].told.startswith("none is set up: ")
    assert of["work pool"].advice.endswith(f"work-pool create {pool} --type process --overwrite")

    asked(here, "POST", "work_pools/", {"name": pool, "type": "process"})
    its = asked(here, "POST", "flows/", {"name": flow})
    made = {"name": "on-demand", "flow_id": its["id"], "work_pool_name": pool, "entrypoint": "x.py:x"}
    deployment = asked(here, "POST", "deployments/", made)
    of = prefects()
    assert of["workers"].told == "there is none"
    assert of["deployments"].status == "ok"

    for name in ("one", "two"):
        asked(here, "POST", f"work_pools/{pool}/workers/heartbeat", {"name": name, "heartbeat_interval_seconds": 60})
    asked(here, "PATCH", f"deployments/{deployment['id']}", {"paused": True})
    of = prefects()
    assert of["workers"].told.startswith("2 at work: ")
    assert of["deployments"].told == f"paused: {flow}/on-demand"
    assert (of["database"].status, "PostgreSQL" in of["database"].advice) == ("warning", True)

    asked(here, "PATCH", f"work_pools/{pool}", {"is_paused": True})
    assert prefects()["work pool"].told == f"{pool} is paused"
    assert here.objects() == {}


def test_it_tells_when_a_webhook_created_a_run_last_and_takes_no_other_run_for_one(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = f"webhook-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(prefect_checks, "WEBHOOK", tag)
    flow = asked(here, "POST", "flows/", {"name": f"flow-{uuid.uuid4().hex[:8]}"})
    run = {"flow_id": flow["id"], "tags": [tag], "state": {"type": "SCHEDULED"}}
    asked(here, "POST", "flow_runs/", run | {"idempotency_key": f"{uuid.uuid4()}-later"})
    told = PrefectChecks().last_webhook()
    assert (told.status, told.told) == ("ok", "none: the server knows of no run that a webhook has created")
    made = asked(here, "POST", "flow_runs/", run | {"idempotency_key": f"{tag}:{uuid.uuid4()}"})
    created = datetime.fromisoformat(made["created"])
    assert PrefectChecks().last_webhook().told == f"has created a run on {created:%Y-%m-%d at %H:%M} UTC"


def test_as_a_flow_it_leaves_a_table_and_fails_if_something_failed(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrefectChecks, "checks", lambda _: [])
    assert doctor().ok
    (table,) = here.ask_prefect("artifacts", artifacts={"key": {"any_": ["doctor"]}}, sort="CREATED_DESC", limit=1)
    assert "my-first-app" in table["data"]
    assert table["description"].startswith("The first recording will arrive; looked at in ")
    monkeypatch.setenv("ARCHIVE_URL", "s3://another-bucket")
    with pytest.raises(NotReady, match="bucket: The object store refused list_objects_v2 on s3://another-bucket"):
        doctor()


# The second copy


def test_the_second_copys_store_is_looked_at_like_the_archives(
    alone: World, swift_server: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [name for name in states() if name.startswith("copy's")]
    bucket = f"copy-{uuid.uuid4().hex[:12]}"
    swift_server.client().create_bucket(Bucket=bucket)
    monkeypatch.setenv("ARCHIVE_COPY_URL", f"s3://{bucket}/copy")
    monkeypatch.setenv("ARCHIVE_COPY_ENDPOINT_URL", swift_server.endpoint_url)
    monkeypatch.setenv("ARCHIVE_COPY_ACCESS_KEY_ID", swift_server.access_key)
    monkeypatch.setenv("ARCHIVE_COPY_SECRET_ACCESS_KEY", swift_server.secret_key)
    of_copy = {name: status for name, status in states().items() if name.startswith("copy's")}
    assert set(of_copy.values()) == {"ok"}
    assert {"copy's place", "copy's bucket", "copy's multipart", "copy's delete"} <= set(of_copy)
    assert not left(World(alone.kit, swift_server, bucket, "", alone.folder))
    monkeypatch.setenv("ARCHIVE_COPY_ENDPOINT_URL", alone.store.endpoint_url)
    monkeypatch.setenv("ARCHIVE_COPY_URL", f"s3://{alone.bucket}/pre/copy")
    assert states()["copy's place"] == "failed"
    monkeypatch.setenv("ARCHIVE_COPY_URL", "s3:/wrong")
    assert states()["copy's settings"] == "failed"
