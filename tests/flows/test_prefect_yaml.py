"""What `prefect deploy` takes without a word, though no run could ever come of it, is found here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.schema_tools.validation import validate

from tests.flows.duty import asked, prefect
from tests.flows.world import PROJECT

if TYPE_CHECKING:
    from prefect import Flow

    from tests.flows.world import World

FILE: dict[str, Any] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
DEPLOYMENTS: dict[str, dict[str, Any]] = {
    f"{deployment['entrypoint'].partition(':')[0].removeprefix('flows/')}/{deployment['name']}": deployment
    for deployment in FILE["deployments"]
}
TOP_LEVEL = {"name", "prefect-version", "definitions", "pull", "deployments"}
OF_DEPLOYMENT = {
    "name", "description", "entrypoint", "tags", "parameters", "work_pool", "schedules", "triggers",
}  # fmt: skip
OF_SCHEDULE = {"cron", "interval", "timezone", "slug", "active"}
OF_TRIGGER = set(DeploymentEventTrigger.model_fields) | {"type"}
OURS = {
    "archive-recording/on-demand",
    "sweep-recordings/every-15-minutes",
    "audit-archive/daily",
    "describe-recording/after-archive",
    "update-catalog/hourly",
    "restore-recording/on-demand",
    "copy-archive/daily",
    "doctor/on-a-worker",
}
SECRET = re.compile(r"token|secret|password|access_key", re.IGNORECASE)

each = pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)


def test_the_file_has_no_unknown_keys() -> None:
    assert set(FILE) <= TOP_LEVEL
    assert "archive_recording.py/on-demand" in DEPLOYMENTS


def schema_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the parameters of a deployment's flow."""
    flow: Flow[..., Any] = load_flow_from_entrypoint(str(PROJECT / deployment["entrypoint"]))
    return flow.parameters.model_dump()


@each
def test_a_deployment_has_no_unknown_keys(deployment: dict[str, Any]) -> None:
    assert set(deployment) <= OF_DEPLOYMENT
    assert deployment["work_pool"].items() - {("work_queue_name", "after-archive")} == {("name", "recordings")}
    assert deployment["description"]


@each
def test_its_parameters_are_the_flows(deployment: dict[str, Any]) -> None:
    parameters, schema = deployment.get("parameters", {}), schema_of(deployment)
    assert set(parameters) <= set(schema["properties"])
    assert validate(parameters, schema, ignore_required=True) == []
    assert not any(SECRET.search(name) for name in parameters)


@each
def test_its_schedules_are_sound(deployment: dict[str, Any]) -> None:
    for schedule in deployment.get("schedules", []):
        assert set(schedule) <= OF_SCHEDULE
        assert schedule["slug"]
        CronSchedule(cron=schedule["cron"], timezone=schedule.get("timezone"))


def test_no_place_in_a_limit_can_be_taken_for_ever_by_a_sweep_that_died_with_its_server() -> None:
    assert not [name for name, deployment in DEPLOYMENTS.items() if "concurrency_limit" in deployment]


def test_the_audit_comes_daily_and_no_lease_can_end_it() -> None:
    daily = DEPLOYMENTS["audit_archive.py/daily"]
    (schedule,) = daily["schedules"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule["cron"])
    assert "concurrency_limit" not in daily
    longest = schema_of(daily)["properties"]["max_minutes"]["maximum"]
    assert longest < 24 * 60, "one ends before the next begins"


def test_the_form_of_the_audit_explains_itself() -> None:
    for name, shown in schema_of(DEPLOYMENTS["audit_archive.py/daily"])["properties"].items():
        assert shown["description"], name
        assert "anyOf" not in shown, name


def test_the_retention_is_off_and_shows_only_what_it_would_do() -> None:
    daily = DEPLOYMENTS["expire_archive.py/daily"]
    assert daily["parameters"]["delete"] is False
    assert [schedule["active"] for schedule in daily["schedules"]] == [False]
    active = [name for name, its in DEPLOYMENTS.items() if any("active" in one for one in its.get("schedules", ()))]
    assert active == ["expire_archive.py/daily"], "deploying again would undo an operator's pause of any other"


@each
def test_its_triggers_are_sound(deployment: dict[str, Any]) -> None:
    schema = schema_of(deployment)
    for trigger in deployment.get("triggers", []):
        assert set(trigger) <= OF_TRIGGER
        checked = DeploymentEventTrigger.model_validate({"name": "trigger", **trigger})
        assert set(checked.parameters or {}) <= set(schema["properties"])


def test_no_sweep_waits_behind_what_each_archived_recording_starts() -> None:
    for deployment in DEPLOYMENTS.values():
        later = "triggers" in deployment
        assert ("work_queue_name" in deployment["work_pool"]) == later


def deployed(world: World) -> dict[str, dict[str, Any]]:
    """Return our deployments on the server by their full name; other tests may have made more."""
    flows = {flow["id"]: flow["name"] for flow in world.ask_prefect("flows")}
    named = {f"{flows[found['flow_id']]}/{found['name']}": found for found in world.ask_prefect("deployments")}
    return {name: found for name, found in named.items() if name in OURS}


def test_deploying_again_changes_only_where_the_folder_is_and_undoes_no_pause(
    world: World,
) -> None:
    prefect(world, "work-pool", "create", "recordings", "--type", "process", "--overwrite")
    prefect(world, "deploy", "--all", ARCHIVER_HOME=None)
    first = deployed(world)
    assert set(first) == OURS
    assert _folders(first) == {"{{ $ARCHIVER_HOME }}"}  # each worker's environment answers it
    queues = asked(world, "POST", "work_pools/recordings/queues/filter", {})
    priorities = {queue["name"]: queue["priority"] for queue in queues}
    assert priorities["default"] < priorities["after-archive"]

    paused = first["sweep-recordings/every-15-minutes"]
    (schedule,) = paused["schedules"]
    asked(world, "PATCH", f"deployments/{paused['id']}/schedules/{schedule['id']}", {"active": False})

    prefect(world, "deploy", "--all", ARCHIVER_HOME="/srv/archiver")
    second = deployed(world)
    assert [one["active"] for one in second["sweep-recordings/every-15-minutes"]["schedules"]] == [False]
    assert {name: found["id"] for name, found in second.items()} == {name: found["id"] for name, found in first.items()}
    assert {name: found["parameters"] for name, found in second.items()} == {
        name: found["parameters"] for name, found in first.items()
    }
    assert _folders(second) == {"/srv/archiver"}


def _folders(deployments: dict[str, dict[str, Any]]) -> set[str]:
    steps = [step for found in deployments.values() for step in found["pull_steps"]]
    return {arguments["directory"] for step in steps for arguments in step.values()}
