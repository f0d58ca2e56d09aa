"""The flows, called for a result, and not for the state that a deployment's run may end in."""

from __future__ import annotations

from typing import Any

from flows.archive_recording import archive_recording as archive_flow
from flows.describe_recording import describe_recording as describe_flow
from flows.sweep_recordings import sweep_recordings as sweep_flow
from tasks.archive.models import ArchivedRecording
from tasks.media.description import Description
from tasks.sweep.report import Sweep


def archive_recording(recording_id: str, **parameters: Any) -> ArchivedRecording:
    """Return the result of the flow."""
    archived = archive_flow(recording_id, **parameters)
    assert isinstance(archived, ArchivedRecording)
    return archived


def describe_recording(*args: Any, **parameters: Any) -> Description:
    """Return the result of the flow."""
    description = describe_flow(*args, **parameters)
    assert isinstance(description, Description)
    return description


def sweep_recordings(**parameters: Any) -> Sweep:
    """Return the result of the flow."""
    sweep = sweep_flow(**parameters)
    assert isinstance(sweep, Sweep)
    return sweep
