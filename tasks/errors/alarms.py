"""Errors of the alarms: there are none, or their messages do not arrive."""

from __future__ import annotations

from tasks.errors.base import FinalError, RetryableError


class AlarmsMissing(FinalError):
    """The alarms cannot be set up, or tried."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return (
            f"There are no alarms: {self.reason}. Set them up: ALARMS_TO=URL uv run python -m flows.alarms, or "
            "uv run python -m flows.alarms --to prefect:TYPE/NAME for a notification block of Prefect's."
        )


class AlarmUndelivered(RetryableError):
    """The message of an alarm did not arrive at its receiver."""

    def __init__(self, receiver: str, reason: str) -> None:
        super().__init__(receiver, reason)
        self.receiver, self.reason = receiver, reason

    def _message(self) -> str:
        return (
            f"The test message did not arrive at {self.receiver}: {self.reason}. Correct the address of the receiver, "
            "or let the machine of Prefect's server reach the receiver; and look whether the alarm is turned on."
        )
