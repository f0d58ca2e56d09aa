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

import pytest
from prefect.events.schemas.automations import AutomationCore

from tasks.orchestration.silent_runs import new_automation
from tests.flows.composed import Composed
from tests.flows.duty import asked, started, state_of
from tests.flows.world import Gate, World, eventually
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.standins.signer import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = logging.getLogger(__name__)
pytestmark = [pytest.mark.duty, pytest.mark.timeout(600)]

RECORDINGS = 50
SIZE = 200_000
PASSWORDS = {
    "POSTGRES_PASSWORD": "of the:data/base@100%",
    "LIBRARY_PASSWORD": "of the library",
    "PREFECT_SERVER_API_AUTH_STRING": "admin:secret",
    "PREFECT_API_AUTH_STRING": "admin:secret",
}


@pytest.fixture
def composed(plain: World, tmp_path: Path) -> Iterator[Composed]:
    with Signer() as signer:
        env_file = plain.settings() | PASSWORDS | {"REALTIMEKIT_WEBHOOK_KEY_URL": signer.url}
        composed = Composed(env_file, tmp_path)
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


def hold_after(world: World, more: int) -> Gate:
    """Let the source answer so many more requests, and hold up all others until the next gate stands."""
    before, gate = world.kit.on_file_request, Gate(passing=len(world.kit.file_requests) + more)
    world.kit.on_file_request = gate
    if isinstance(before, Gate):
        before.opened.set()
    assert gate.reached.wait(120)
    return gate


def test_services_restarted_in_the_middle_of_sweeps_lose_nothing(plain: World, composed: Composed) -> None:
    sources = {plain.add(MediaSource(SyntheticContent(SIZE, seed))).id: seed for seed in range(RECORDINGS)}
    composed.up()
    world = replace(plain, prefect_api=composed.api)
    let_nothing_follow(world)

    sweep = started(world, "every-15-minutes")
    hold_after(world, 8)
    composed.kill("postgres")
    composed.start("postgres")
    hold_after(world, 8)
    composed.kill("server")
    composed.start("server")
    eventually(lambda: composed.is_healthy("server"))
    hold_after(world, 8)
    assert composed.stop("webhook")[0] == 0
    composed.start("webhook")
    composed.kill("worker")
    assert 0 < len(archived_sums(world)) < RECORDINGS
    assert state_of(world, sweep)["type"] == "RUNNING"
    crash(world, sweep)
    composed.start("worker")

    sweep = started(world, "every-15-minutes")
    hold_after(world, 8)
    code, took = composed.stop("worker")
    assert (code, state_of(world, sweep)["type"]) == (0, "CRASHED"), composed.log("worker")
    LOG.info("the worker was drained in %.1f s", took)
    assert len(archived_sums(world)) < RECORDINGS
    composed.start("worker")

    last = started(world, "every-15-minutes")
    opened, world.kit.on_file_request = world.kit.on_file_request, None
    opened.opened.set()
    eventually(lambda: state_of(world, last)["type"] == "COMPLETED", 180)
    assert archived_sums(world) == {
        recording: SyntheticContent(SIZE, seed).sha256() for recording, seed in sources.items()
    }
    audit = composed.run("worker", "python", "-m", "flows.audit_archive")
    assert audit.returncode == 0, audit.stderr
    assert len(json.loads(audit.stdout)["damaged"]) == 0
    everything = "".join(composed.log(name) for name in ("server", "deploy", "worker", "webhook", "library"))
    assert not [secret for secret in (*PASSWORDS.values(), world.kit.token) if secret in everything]


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
        flow = asked(world, "POST", "flows/", {"name": "any"})["id"]
        silent, pending, left = (begun(world, flow, kind) for kind in ("RUNNING", "PENDING", "RUNNING"))
        put_into(world, left, "COMPLETED", "Left")
        waiting = begun(world, flow, "SCHEDULED")
        eventually(lambda: [state_of(world, run)["type"] for run in (silent, pending)] == ["CRASHED", "CRASHED"])
        assert state_of(world, left)["name"] == "Left"
        assert state_of(world, waiting)["type"] == "SCHEDULED"
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
