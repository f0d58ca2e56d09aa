"""Prefect's artifacts: a run can do without them, and no run fails because the server is away."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact

from tasks.archive import PAYLOAD
from tasks.text import cell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from tasks.text import Log
    from tasks.transfer import FileProgress

INTERVAL_S = 5.0
LONGEST_LINE = 1000


class Decoration:
    """Calls to Prefect's server that a run can do without; the first that fails is logged, the others are not.

    Args:
        log: told once if the server takes none.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._told = False

    def attempt(self, what: str, call: Callable[[], object]) -> bool:
        """Make a call, and tell whether it succeeded.

        Args:
            what: the name of the thing that is not there if it fails, for the log.
        """
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the recording comes first
            if not self._told:
                self._log.warning("No %s: Prefect's server does not take it: %s", what, type(error).__name__)
            self._told = True
            return False
        return True


def publish_report(recording_id: str, markdown: str, log: Log) -> None:
    """Leave a report of an archived recording in Prefect's UI; without its server there is none."""
    Decoration(log).attempt(
        "report", lambda: create_markdown_artifact(markdown, f"archived-{recording_id}", "What was archived, and where")
    )


class ProgressArtifacts:
    """A progress artifact for each kind of media in Prefect's UI.

    Args:
        recording_id: becomes part of the artifacts' keys.
        log: told once if the server takes none.
    """

    interval_s = INTERVAL_S

    def __init__(self, recording_id: str, log: Log) -> None:
        self._recording_id = recording_id
        self._decoration = Decoration(log)
        self._artifacts: dict[str, UUID] = {}

    def show(self, files: Sequence[FileProgress]) -> None:
        """Create or update the artifacts; a server that is away costs no more than them."""
        for kind in ("video", "audio", "tracks"):
            of_kind = [file for file in files if file.path.startswith(f"{PAYLOAD}{kind}/")]
            if of_kind:
                self._decoration.attempt("progress artifact", partial(self._show, kind, of_kind))

    def close(self) -> None:
        """Leave the artifacts as they are."""

    def _show(self, kind: str, files: Sequence[FileProgress]) -> None:
        size = sum(file.size for file in files)
        percent = 100.0 * sum(file.done for file in files) / size if size else 100.0
        description = "  \n".join(cell(str(file), LONGEST_LINE) for file in files)
        if kind in self._artifacts:
            update_progress_artifact(self._artifacts[kind], percent, description)
        else:
            key = f"transfer-{kind}-{self._recording_id}"
            self._artifacts[kind] = cast("UUID", create_progress_artifact(percent, key, description))
