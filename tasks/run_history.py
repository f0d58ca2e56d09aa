"""What a sweep may ask about other runs: here, where no Prefect server keeps them, nothing is known of any."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from tasks.errors import CannotHandOut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

StartRun: TypeAlias = "Callable[[str, str], str]"
"""Given the ids of a recording and of its app, which is empty for that of the settings."""

SWEEP_TABLE = "sweep-recordings"
"""The key of the table that a sweep leaves, once it is done."""


@dataclass(frozen=True)
class LastSweep:
    """What the table of the last sweep says."""

    ago: timedelta = timedelta(0)  # 0: there was none, or nobody knows
    reported: frozenset[str] = field(default_factory=frozenset)  # ids of recordings that are stuck, ERRORED or partial


class RunHistory:
    """What is known of other runs where there is no Prefect server: nothing."""

    def last_sweep(self, _now: datetime) -> LastSweep:
        """Return when the last sweep was, and what need not be reported again."""
        return LastSweep()

    def started_by_webhook(self, _recording_ids: Collection[str], _since: datetime) -> Mapping[str, bool]:
        """Return for which recordings a webhook started a run; a recording that nobody knows that of is missing.

        Args:
            _recording_ids: to ask about.
            _since: when the first of them began.
        """
        return {}

    def recordings_in_progress(self, _now: datetime) -> Collection[str]:
        """Return the ids of the recordings that other runs archive now, or will."""
        return ()

    def run_starter(self, _retry_minutes: int, _now: datetime) -> AbstractContextManager[StartRun]:
        """Give what starts a run for a recording, and returns the run's name and state.

        Args:
            _retry_minutes: for the same recording, at most one run is started in so many minutes.

        Raises:
            CannotHandOut: there is no server, or no deployment.
        """
        raise CannotHandOut("that needs a Prefect server, and none is configured (PREFECT_API_URL)")
