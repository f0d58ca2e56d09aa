"""`python -m flows.deploy` without a Prefect server; test_on_duty_composed.py tries it with one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.events.schemas.events import ResourceSpecification

from flows import deploy
from tasks.orchestration.silent_runs import FLOWS, NAME, ensure_automation, new_automation
from tests.flows.world import PROJECT

if TYPE_CHECKING:
    from prefect.server.events.schemas.events import ReceivedEvent

    from tests.flows.world import World


def test_without_a_server_it_starts_none_and_says_what_is_missing(
    plain_here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plain_here
    assert deploy.main([]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert "PREFECT_API_URL: is missing" in stderr


@pytest.mark.parametrize("kind", ["Running", "heartbeat"])
def test_a_silent_run_of_another_project_on_the_same_server_is_left_alone(kind: str) -> None:
    from prefect.server.events.schemas.automations import EventTrigger  # noqa: PLC0415 - it loads half of the server

    trigger = EventTrigger.model_validate(new_automation().trigger.model_dump(mode="json"))
    assert trigger.covers(of_a_run(kind, "sweep-recordings"))
    assert not trigger.covers(of_a_run(kind, "of-another-project"))


def test_silent_runs_of_all_deployments_are_ended() -> None:
    deployments = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    files = {PurePosixPath(deployment["entrypoint"].partition(":")[0]).stem for deployment in deployments}
    assert {file.replace("_", "-") for file in files} == set(FLOWS)


def test_the_automation_of_an_older_version_is_brought_up_to_date_and_what_a_person_set_stays(here: World) -> None:
    older = new_automation(timedelta(minutes=30)).model_copy(update={"enabled": False})
    cast("Any", older.trigger).match_related = ResourceSpecification({"prefect.resource.name": ["sweep-recordings"]})
    with get_client(sync_client=True) as client:
        made = client.create_automation(older)
        try:
            assert [ensure_automation(), ensure_automation()] == [True, False]
            (now,) = client.read_automations_by_name(NAME)
            trigger = cast("Any", now.trigger)
            assert (now.id, now.enabled, trigger.within) == (made, False, timedelta(minutes=30))
            assert trigger.match_related == cast("Any", new_automation().trigger).match_related
        finally:
            client.delete_automation(made)
    assert here.prefect_api


def of_a_run(kind: str, flow: str) -> ReceivedEvent:
    """Return an event of a run, as Prefect's server and a run's heartbeat have it."""
    from prefect.server.events.schemas.events import ReceivedEvent  # noqa: PLC0415 - as above

    role = {"prefect.resource.id": f"prefect.flow.{uuid4()}", "prefect.resource.role": "flow"}
    return ReceivedEvent.model_validate(
        {
            "id": uuid4(),
            "occurred": datetime.now(UTC),
            "event": f"prefect.flow-run.{kind}",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{uuid4()}"},
            "related": [role | {"prefect.resource.name": flow}],
        }
    )
