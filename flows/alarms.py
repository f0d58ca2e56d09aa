"""Alarms: makes the Prefect automations that tell people what nobody would look for.

ALARMS_TO=URL uv run python -m flows.alarms [--to WHERE] [--sweep-within MINUTES] [--test] [--list] [--remove]
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from tasks import cli
from tasks.arguments import Metavar, parse_for, refuse_usage
from tasks.command import is_server_configured, load_settings_and_prefects
from tasks.engine import logging_on_stderr
from tasks.errors import AlarmsMissing
from tasks.settings import AlarmSettings

if TYPE_CHECKING:
    from tasks.orchestration.alarm_states import AlarmState

PROG = "python -m flows.alarms"
FROM_STDIN = "-"
AS_BEFORE, SHORTEST_MIN, LONGEST_MIN = 0, 20, 12 * 60


def _minutes(minutes: int) -> int:
    if minutes != AS_BEFORE and not SHORTEST_MIN <= minutes <= LONGEST_MIN:
        message = f"must be from {SHORTEST_MIN} to {LONGEST_MIN}"
        raise ValueError(message)
    return minutes


def alarms(
    *,
    to: Annotated[str, Metavar("WHERE")] = "",
    sweep_within: Annotated[int, AfterValidator(_minutes), Metavar("MINUTES")] = AS_BEFORE,
    test: bool = False,
    list: bool = False,  # noqa: A002 - the option's name
    remove: bool = False,
) -> list[str]:
    """Set up the alarms on the Prefect server that is configured, or correct them. Run it as often as you like.

    They ring when a run fails, a recording is at risk or lost, an archive is damaged, no sweep completes, or no worker
    is there. Whoever knows the URL of a webhook can write to it. So the URL is better given in the setting ALARMS_TO or
    on stdin: on the command line, other users of this machine see it, and the shell remembers it.

    Args:
        to: Where they are sent: a notification block of Prefect's, such as prefect:slack-webhook/NAME; or the URL of a
            webhook, or of Apprise, such as slack://…; or - to read that from stdin. Without it, the setting ALARMS_TO
            counts; without both, they are sent where they were sent before.
        sweep_within: Ring when no sweep completes for so many minutes. 0 for what was set before, at first 60.
        test: Also send a message now, and tell whether it arrived.
        list: Only list the alarms.
        remove: Remove all alarms.
    """
    settings = load_settings_and_prefects(AlarmSettings)
    if not is_server_configured():
        raise AlarmsMissing("they are automations of a Prefect server, and none is configured (PREFECT_API_URL)")
    from tasks.orchestration.alarm_trial import try_alarms  # noqa: PLC0415 - Prefect takes seconds
    from tasks.orchestration.alarms import open_alarms  # noqa: PLC0415
    from tasks.orchestration.server import prefect_at_hand  # noqa: PLC0415

    receiver = _read_receiver(to, settings)
    with prefect_at_hand(), open_alarms() as (book, client):
        if list:
            return _describe(*book.states())
        if remove:
            return book.remove() or ["Nothing to remove: there are no alarms."]
        lines = book.set_up(receiver, timedelta(minutes=sweep_within) or None) if receiver or not test else []
        if test:
            return [*lines, f"The test message arrived at {try_alarms(book, client)}."]
        return lines or ["The alarms are set up already, as they should be."]


def _read_receiver(to: str, settings: AlarmSettings) -> str:
    text = sys.stdin.readline() if to == FROM_STDIN and sys.stdin is not None else to
    return text.strip() or settings.alarms_to.get_secret_value()


def _describe(states: list[AlarmState], receiver: str) -> list[str]:
    if not states:
        return ["There are no alarms."]
    lines = [f"{'on ' if state.enabled else 'OFF'}  {state.name}: {state.description}" for state in states]
    return [*lines, f"Sent to: {receiver}"]


def main(arguments: list[str] | None = None) -> int:
    """Set up the alarms from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    parameters = parse_for(alarms, PROG, arguments)
    if parameters["list"] + parameters["remove"] + parameters["test"] > 1:
        refuse_usage(PROG, "give one of --list, --remove and --test")
    try:
        with logging_on_stderr():
            lines = alarms(**parameters)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told, and the exit code says so
        return cli.failed(error)
    cli.print_line("\n".join(lines))
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
