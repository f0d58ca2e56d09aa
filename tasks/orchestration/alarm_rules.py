"""The alarms as Prefect automations: which event rings, how often, and what the message says.

How Prefect 3.8 counts, which all of these triggers rely on:
- A reactive trigger rings with the first event, and then is silent until `within` is over, for each value of
  `for_each` by itself. The server's database keeps that, also through a restart.
- A proactive trigger without `after` waits for up to three times `within`: a window in which an event came ends without
  a look, and the next window begins late. With the same event in `after` and in `expect`, each event begins a window
  of its own, and the trigger rings exactly `within` after the last event.
- With `for_each`, the proactive trigger then waits for the next event: it rings once, and never before the first event.
  Without `for_each`, the server begins a window by itself, and the trigger rings again after each two `within`.
- A trigger that is written again forgets all of that, even if nothing in it has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from tasks.engine import ALARM_LABEL, AT_RISK, DAMAGED, LOST, SWEPT, WHOLE_LABEL

if TYPE_CHECKING:
    from uuid import UUID

TAG = "realtimekit-alarm"
"""All alarms of this project have this tag, and `TAG:KEY`, which says which of the alarms an automation is."""
ARMED, TESTED = "realtimekit.alarms.armed", "realtimekit.alarms.tested"
TEST_RESOURCE = "realtimekit.alarms.test"
FLOWS = ("sweep-recordings", "audit-archive", "update-catalog", "copy-archive", "expire-archive")
"""Whose failed runs ring: those that nobody waits for."""
POOLS = "recordings*"
"""The work pool, and those of other accounts."""
RUN_ENDS = ("Failed", "Crashed", "TimedOut")
SAME_FLOW = timedelta(hours=6)
SAME_DANGER = timedelta(days=8)
"""Longer than RealtimeKit keeps a recording."""
SAME_DAMAGE = timedelta(days=31)
SAME_POOL = timedelta(hours=1)
SWEPT_WITHIN, REMINDED_AFTER = timedelta(hours=1), timedelta(hours=12)
NO_SWEEP, TEST = "no-sweep", "test"
"""Keys of alarms."""


@dataclass(frozen=True)
class Alarm:
    """One alarm: when it rings, and its message, as templates that Prefect's server fills in."""

    key: str
    name: str
    description: str
    trigger: EventTrigger
    subject: str
    body: str

    @property
    def tags(self) -> list[str]:
        """The tags of the automation."""
        return [TAG, f"{TAG}:{self.key}"]

    def automation(self, block_id: UUID, *, enabled: bool = True) -> AutomationCore:
        """Return the automation.

        Args:
            block_id: of the notification block that sends the message.
            enabled: whether the alarm may ring.
        """
        send = SendNotification(block_document_id=block_id, subject=self.subject, body=self.body)
        return AutomationCore(
            name=self.name,
            description=self.description,
            enabled=enabled,
            tags=self.tags,
            trigger=self.trigger,
            actions=[send],
        )


def make_alarms(swept_within: timedelta = SWEPT_WITHIN, reminded_after: timedelta = REMINDED_AFTER) -> list[Alarm]:
    """Return all alarms.

    Args:
        swept_within: how long no sweep may complete.
        reminded_after: after which time without a sweep the alarm is repeated, and then after each two of it.
    """
    return [
        _of_failed_run(),
        _of_recording_at_risk(),
        _of_lost_recording(),
        _of_damage(),
        _of_missing_sweep(swept_within),
        _of_missing_sweep_still(reminded_after),
        _of_missing_worker(),
        _of_test(),
    ]


def _of_failed_run() -> Alarm:
    trigger = _reactive(
        [f"prefect.flow-run.{end}" for end in RUN_ENDS],
        {"prefect.resource.id": "prefect.flow-run.*"},
        SAME_FLOW,
        match_related={"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)},
        for_each={"related:flow:prefect.resource.id"},
    )
    deployment = f"uv run prefect deployment run '{_shown('flow.name')}/{_shown('deployment.name')}'"
    command = "uv run python -m flows.{{ (flow.name or '') | replace('-', '_') }}"
    return Alarm(
        "run-failed",
        "RealtimeKit: a run failed",
        "A sweep, audit, update of the catalog, copy or deletion failed or crashed. Of each flow, once in six hours.",
        trigger,
        f"RealtimeKit archiver: {_shown('flow.name')} ended as {_shown('flow_run.state.name')}",
        f"The run {_shown('flow_run.name')} of {_shown('flow.name')} ended as {_shown('flow_run.state.name')}.\n"
        f"{_shown('flow_run.state.message', 1500)}\n"
        "What to do: read the reason, and the log of the run. To run it again: "
        f"{{% if deployment %}}{deployment}{{% else %}}{command}{{% endif %}}\n{_RUN}",
    )


def _of_recording_at_risk() -> Alarm:
    return Alarm(
        "recording-at-risk",
        "RealtimeKit: a recording is at risk",
        "A recording expires soon, and is not archived. Once for each recording.",
        _of_recording(AT_RISK, SAME_DANGER),
        f"RealtimeKit archiver: recording {_payload('recording_id')} is AT RISK",
        f"Recording {_payload('recording_id')} of the app {_payload('app_id')} is AT RISK: it is not archived, and "
        f"expires at {_payload('expires_at')}.\n"
        f"{_with_prefix('Why: ', 'reason')}What to do at once: {_payload('command')}\n{_OTHERS}{_RUN}",
    )


def _of_lost_recording() -> Alarm:
    return Alarm(
        "recording-lost",
        "RealtimeKit: a recording is lost",
        "A recording expired, and was never archived. Once for each recording.",
        _of_recording(LOST, SAME_DANGER),
        f"RealtimeKit archiver: recording {_payload('recording_id')} is LOST",
        f"Recording {_payload('recording_id')} of the app {_payload('app_id')} is LOST: it expired at "
        f"{_payload('expires_at')}, and was never archived.\n"
        f"{_with_prefix('Why: ', 'reason')}What to do: look for a copy in a storage of your own, and find out why no "
        f"sweep could archive it: uv run python -m flows.doctor\n{_OTHERS}{_RUN}",
    )


def _of_damage() -> Alarm:
    finding = "{{ finding.kind }}: {{ finding.path | string | replace('<', '(') | replace('>', ')') | truncate(200) }}"
    return Alarm(
        "archive-damaged",
        "RealtimeKit: an archive is damaged",
        "An audit found that a recording or a session is no longer what was archived. Once a month for each.",
        _of_recording(DAMAGED, SAME_DAMAGE, {ALARM_LABEL: "yes"}),
        f"RealtimeKit archiver: the archive of {_payload('recording_id')} is DAMAGED",
        f"The archive of {_payload('recording_id')} is DAMAGED: {_payload('archive_url')}\n"
        f"{{% for finding in event.payload.findings[:3] %}}{finding}\n{{% endfor %}}"
        f"What to do: {_payload('command')}\n{_RUN}",
    )


def _of_recording(event: str, within: timedelta, labels: dict[str, Any] | None = None) -> EventTrigger:
    match = {"prefect.resource.id": "realtimekit.recording.*", **(labels or {})}
    return _reactive([event], match, within, for_each={"prefect.resource.id"})


def _of_missing_sweep(within: timedelta) -> Alarm:
    return Alarm(
        NO_SWEEP,
        "RealtimeKit: no sweep completes",
        f"No sweep of all recordings completed for {_words(within)}. Once, until the next sweep completes.",
        _proactive({SWEPT, ARMED}, within, for_each={WHOLE_LABEL}),
        f"RealtimeKit archiver: no sweep completed for {_words(within)}",
        _missing_sweep(within),
    )


def _of_missing_sweep_still(within: timedelta) -> Alarm:
    """Return the alarm that needs no event to begin with, and rings again and again."""
    return Alarm(
        "still-no-sweep",
        "RealtimeKit: still no sweep completes",
        f"No sweep of all recordings completed for {_words(within)}. Again after each {_words(2 * within)}.",
        _proactive({SWEPT}, within),
        f"RealtimeKit archiver: still no sweep completed, for {_words(within)} or longer",
        _missing_sweep(within),
    )


def _missing_sweep(within: timedelta) -> str:
    return (
        f"No sweep of all recordings completed for {_words(within)}, so nothing that a webhook missed is archived, and "
        "nobody knows what is at risk.\n"
        "{% if event.event == '" + SWEPT + "' %}The last one completed at "
        "{{ event.occurred.strftime('%Y-%m-%d %H:%M') }} UTC.\n{% endif %}"
        "What to do: uv run python -m flows.doctor\n"
        "It says whether workers, deployments, the API and the store are well. Is the schedule of sweep-recordings "
        "paused? Does a sweep fail, or is one still at work on many recordings?"
    )


def _of_missing_worker() -> Alarm:
    trigger = _reactive(
        ["prefect.work-pool.not-ready"],
        {"prefect.resource.id": "prefect.work-pool.*", "prefect.resource.name": POOLS},
        SAME_POOL,
        for_each={"prefect.resource.id"},
    )
    pool = _shown("event.resource['prefect.resource.name']")
    return Alarm(
        "no-worker",
        "RealtimeKit: no worker",
        "The last worker of the work pool is gone. At most once in an hour.",
        trigger,
        f"RealtimeKit archiver: no worker in the pool {pool}",
        f"No worker polls the work pool {pool} any more: scheduled runs wait.\n"
        f"What to do: look at the machine of the worker, and start one: uv run prefect worker start --pool {pool}",
    )


def _of_test() -> Alarm:
    return Alarm(
        TEST,
        "RealtimeKit: a test",
        "Rings when somebody asks for it: python -m flows.alarms --test",
        _reactive([TESTED], {"prefect.resource.id": TEST_RESOURCE}, timedelta(0)),
        "RealtimeKit archiver: a test",
        "This is a test: the alarms of the RealtimeKit archiver arrive here. Nothing is to be done.",
    )


def _reactive(events: list[str], match: dict[str, Any], within: timedelta, **more: Any) -> EventTrigger:
    return EventTrigger(expect=set(events), match=match, posture=Posture.Reactive, within=within, threshold=1, **more)


def _proactive(after: set[str], within: timedelta, **more: Any) -> EventTrigger:
    match = {"prefect.resource.id": "realtimekit.sweep.*", WHOLE_LABEL: "yes"}
    return EventTrigger(
        after=after, expect={SWEPT}, match=match, posture=Posture.Proactive, within=within, threshold=1, **more
    )


def _shown(expression: str, most: int = 300) -> str:
    """Return a template of a value that others may have written: no mention or link of a chat program, and bounded."""
    return f"{{{{ ({expression} or '') | string | replace('<', '(') | replace('>', ')') | truncate({most}, True) }}}}"


def _payload(key: str) -> str:
    return _shown(f"event.payload.{key}")


def _with_prefix(prefix: str, key: str) -> str:
    return f"{{% if event.payload.{key} %}}{prefix}{_payload(key)}\n{{% endif %}}"


def _words(time: timedelta) -> str:
    """Return a time in words: hours, minutes or seconds."""
    seconds = int(time.total_seconds())
    for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}{'' if seconds == size else 's'}"
    return ""


_OTHERS = (
    "{% if event.payload.others %}{{ event.payload.others }} other recordings are, too: the table of the sweep has "
    "them.\n{% endif %}"
)
_RUN = "{{ (flow_run | ui_url if flow_run else '') or '' }}"
"""The page of the run, where the server knows the address of its pages (PREFECT_UI_URL)."""
