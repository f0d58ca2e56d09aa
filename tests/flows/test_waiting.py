"""A meeting may go on for hours: a deployment's run that is too early hands over to one that comes later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow

from flows.archive_recording import archive_recording as archive_flow
from tasks.errors import NotUploadedInTime
from tasks.orchestration.reschedule import pause_before
from tests.flows.running import archive_recording
from tests.standins.realtimekit import RealtimeKitStandIn

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

    from tests.flows.world import World
    from tests.standins.realtimekit import StandInRecording

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (timedelta(0), timedelta(minutes=5)),
        (timedelta(minutes=4), timedelta(minutes=5)),
        (timedelta(minutes=40), timedelta(minutes=10)),
        (timedelta(hours=3), timedelta(minutes=45)),
        (timedelta(hours=20), timedelta(hours=1)),
        (timedelta(hours=49), None),
    ],
    ids=str,
)
def test_the_older_a_recording_is_the_longer_is_the_pause_until_nobody_expects_it_any_more(
    age: timedelta, pause: timedelta | None
) -> None:
    assert pause_before(NOW - age, NOW, poll_interval_s=10) == pause


def test_a_recording_that_nobody_knows_the_time_of_is_not_waited_for_again() -> None:
    assert pause_before(None, NOW, poll_interval_s=10) is None


def young(world: World, **of_recording: Any) -> StandInRecording:
    return world.add(invoked_time=datetime.now(UTC) - timedelta(seconds=8), **of_recording)


def executed(run: FlowRun) -> None:
    """Run what a deployment's run asks for, as a worker's process does."""
    run_flow(archive_flow, flow_run=run, parameters=run.parameters, return_type="state")


def test_a_run_that_is_too_early_ends_and_the_one_that_it_scheduled_archives_the_recording(here: World) -> None:
    with RealtimeKitStandIn(app_id="another") as another, get_client(sync_client=True) as prefect:
        recording = here.kit.add_app(another).add(young(here, status="RECORDING"))
        deployment: Any = archive_flow.to_deployment("waiting")  # Prefect's types tell of a coroutine, too
        deployment_id = deployment.apply()
        parameters = {"recording_id": recording.id, "wait_timeout": 0, "overwrite": False, "app_id": "another"}
        named = f"archive {recording.id}"
        executed(
            prefect.create_flow_run_from_deployment(
                deployment_id, parameters=parameters, name=named, tags=["webhook"], idempotency_key=named
            )  # without a key, a creation that Prefect's client repeats makes two runs
        )
        early, later = sorted(here.flow_runs(recording), key=lambda one: one["created"])
        assert (early["state"]["type"], early["state"]["name"]) == ("COMPLETED", "Postponed")
        assert f"{recording.id} is still RECORDING" in early["state"]["message"]
        assert later["state"]["type"] == "SCHEDULED"
        assert later["parameters"] == early["parameters"] == parameters
        assert later["tags"] == early["tags"] == ["webhook"]
        assert later["expected_start_time"] > early["end_time"]
        assert here.objects() == {}

        recording.status = "UPLOADED"
        executed(prefect.read_flow_run(later["id"]))
    assert "bagit.txt" in here.objects()
    listed = here.store.client().list_objects_v2(Bucket=here.bucket)["Contents"]
    assert {item["Key"].split("/")[1] for item in listed} == {"another"}
    names = {one["id"]: one["state"]["name"] for one in here.flow_runs(recording)}
    assert names == {early["id"]: "Postponed", later["id"]: "Completed"}


def test_a_run_without_a_deployment_fails_when_it_is_too_early(here: World) -> None:
    recording = young(here, status="RECORDING")
    with pytest.raises(NotUploadedInTime, match="still RECORDING"):
        archive_recording(recording.id, wait_timeout=0)
