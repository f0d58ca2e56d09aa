"""What compose.yaml starts archives recordings, and loses none of them when its services are restarted.

Opt-in, as it takes minutes: `uv run pytest -m duty -n0 tests/flows/test_on_duty_composed.py`. It needs Debian's
`postgresql`.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prefect.events.schemas.automations import AutomationCore

from tasks.orchestration.silent_runs import NAME, new_automation
from tests.flows.composed import Composed
from tests.flows.duty import asked, started, state_of
from tests.flows.world import Gate, World, eventually
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.standins.signer import Signer, status_update

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = logging.getLogger(__name__)
pytestmark = [pytest.mark.duty, pytest.mark.timeout(900)]

RECORDINGS = 50
SIZE = 200_000
PASSWORDS = {
    "POSTGRES_PASSWORD": "of the:data/base@100%",
    "LIBRARY_PASSWORD": "of the library",
    "PREFECT_SERVER_API_AUTH_STRING": "admin:secret",
    "PREFECT_API_AUTH_STRING": "admin:secret",
}


@pytest.fixture
def signer() -> Iterator[Signer]:
    with Signer() as signer:
        yield signer


@pytest.fixture
def composed(plain: World, signer: Signer, tmp_path: Path) -> Iterator[Composed]:
    composed = Composed(plain.settings() | PASSWORDS | {"REALTIMEKIT_WEBHOOK_KEY_URL": signer.url}, tmp_path)
    try:
        yield composed
    finally:
        plain.kit.on_file_request = None
        composed.down()


def archived_sums(world: World) -> dict[str, str]:
    """Return what the manifests of all committed recordings say of their video, by recording."""
    client = world.store.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=world.bucket)
    keys = {item["Key"] for page in pages for item in page.get("Contents", [])}
    bags = [key.removesuffix("bagit.txt") for key in keys if key.endswith("/bagit.txt") and "session-" not in key]
    manifests = {bag: client.get_object(Bucket=world.bucket, Key=f"{bag}manifest-sha256.txt") for bag in bags}
    return {bag.split("/")[-2]: answer["Body"].read().decode().split()[0] for bag, answer in manifests.items()}


def let_pass(world: World, more: int) -> Gate:
    """Let the source answer so many more requests, and hold up all others until the next gate stands."""
    before, gate = world.kit.on_file_request, Gate(passing=len(world.kit.file_requests) + more)
    world.kit.on_file_request = gate
    if isinstance(before, Gate):
        before.opened.set()
    return gate


def hold_no_more(world: World) -> None:
    """Let the source answer all requests."""
    before, world.kit.on_file_request = world.kit.on_file_request, None
    assert isinstance(before, Gate)
    before.opened.set()


def test_services_restarted_in_the_middle_of_sweeps_lose_nothing(
    plain: World, composed: Composed, signer: Signer
) -> None:
    sources = {plain.add(MediaSource(SyntheticContent(SIZE, seed))).id: seed for seed in range(RECORDINGS)}
    composed.up()
    world = replace(plain, prefect_api=composed.api)
    let_nothing_follow(world)

    sweep = started(world, "every-15-minutes")
    assert let_pass(world, 8).reached.wait(120)
    for service in ("postgres", "server"):
        composed.kill(service)
        gate = let_pass(world, 8)  # the sweep goes on meanwhile
        composed.start(service)
        assert gate.reached.wait(120)
        eventually(lambda: composed.is_healthy("server"))
    assert composed.stop("webhook")[0] == 0
    composed.start("webhook")
    composed.kill("worker")
    assert 0 < len(archived_sums(world)) < RECORDINGS
    assert state_of(world, sweep)["type"] == "RUNNING"
    crash(world, sweep)
    composed.start("worker")

    sweep = started(world, "every-15-minutes")
    assert let_pass(world, 8).reached.wait(120)
    code, took = composed.stop("worker")
    assert (code, state_of(world, sweep)["type"]) == (0, "CRASHED"), composed.log("worker")
    LOG.info("the worker was drained in %.1f s", took)
    assert len(archived_sums(world)) < RECORDINGS
    composed.start("worker")

    last = started(world, "every-15-minutes")
    hold_no_more(world)
    eventually(lambda: state_of(world, last)["type"] == "COMPLETED", 180)
    announced = plain.add(MediaSource(SyntheticContent(SIZE, RECORDINGS)))
    sources[announced.id] = RECORDINGS
    announce(composed, signer, announced.id)
    eventually(lambda: announced.id in archived_sums(world))
    assert archived_sums(world) == {
        recording: SyntheticContent(SIZE, seed).sha256() for recording, seed in sources.items()
    }
    audit = composed.run("worker", "python", "-m", "flows.audit_archive")
    assert audit.returncode == 0, audit.stderr
    assert len(json.loads(audit.stdout)["damaged"]) == 0
    deploy_again(world, composed)
    everything = "".join(composed.log(name) for name in ("server", "deploy", "worker", "webhook", "library"))
    assert not [secret for secret in (*PASSWORDS.values(), world.kit.token) if secret in everything]


def deploy_again(world: World, composed: Composed) -> None:
    """Start the one-shot service once more, as `up` does: it undoes no pause, and makes nothing twice."""
    asked(world, "PATCH", "work_pools/recordings", {"is_paused": True})
    composed.start("deploy")
    composed.wait("deploy")
    assert asked(world, "GET", "work_pools/recordings")["is_paused"]
    named = [automation["name"] for automation in asked(world, "POST", "automations/filter", {})]
    assert named.count(NAME) == 1


def announce(composed: Composed, signer: Signer, recording_id: str) -> None:
    """Let RealtimeKit announce a recording to the receiver that was started again."""
    assert composed.is_healthy("webhook")
    body, headers = signer.delivery(status_update(recording_id))
    answer = httpx.post(f"http://127.0.0.1:{composed.ports['8020']}/webhook", content=body, headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text


def let_nothing_follow(world: World) -> None:
    """Pause the deployments that the event of each archive starts: a hundred processes, which are tried elsewhere."""
    for automation in asked(world, "POST", "automations/filter", {}):
        if automation["actions"][0]["type"] == "run-deployment":
            asked(world, "PATCH", f"automations/{automation['id']}", {"enabled": False})


def crash(world: World, run: dict[str, str]) -> None:
    """Let a run be Crashed, as the automation of `flows.deploy` does after ten minutes without a sign of life."""
    asked(world, "POST", f"flow_runs/{run['id']}/set_state", {"state": {"type": "CRASHED"}, "force": True})


def test_a_run_of_a_dead_machine_is_crashed_and_no_other(world: World) -> None:
    """With ten seconds in place of ten minutes; a final state is one whatever its name."""
    made = AutomationCore.model_dump(new_automation(timedelta(seconds=10)), mode="json")
    automation = asked(world, "POST", "automations/", made)
    try:
        flow = asked(world, "POST", "flows/", {"name": "sweep-recordings"})["id"]
        others = begun(world, asked(world, "POST", "flows/", {"name": "of-another-project"})["id"], "RUNNING")
        silent, pending, left = (begun(world, flow, kind) for kind in ("RUNNING", "PENDING", "RUNNING"))
        put_into(world, left, "COMPLETED", "Left")
        waiting = begun(world, flow, "SCHEDULED")
        eventually(lambda: [state_of(world, run)["type"] for run in (silent, pending)] == ["CRASHED", "CRASHED"])
        assert state_of(world, left)["name"] == "Left"
        assert state_of(world, waiting)["type"] == "SCHEDULED"
        assert state_of(world, others)["type"] == "RUNNING"
    finally:
        asked(world, "DELETE", f"automations/{automation['id']}")


def begun(world: World, flow_id: str, kind: str) -> dict[str, Any]:
    run: dict[str, Any] = asked(world, "POST", "flow_runs/", {"flow_id": flow_id, "state": {"type": "SCHEDULED"}})
    if kind != "SCHEDULED":
        put_into(world, run, "PENDING")
    if kind == "RUNNING":
        put_into(world, run, "RUNNING")
    return run


def put_into(world: World, run: dict[str, Any], kind: str, name: str | None = None) -> None:
    asked(world, "POST", f"flow_runs/{run['id']}/set_state", {"state": {"type": kind, "name": name}})
