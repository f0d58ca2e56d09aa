"""What the flows do, called for a result: as flows where Prefect's server is set up, else plainly."""

from __future__ import annotations

import os
from typing import Any

import pytest

from flows.archive_recording import archive
from flows.archive_recording import archive_recording as archive_flow
from flows.describe_recording import describe_recording as describe_flow
from flows.sweep_recordings import sweep
from flows.sweep_recordings import sweep_recordings as sweep_flow
from tasks.archive.models import ArchivedRecording
from tasks.engine import Engine
from tasks.media.description import Description
from tasks.sweep.report import Sweep

either_way = pytest.mark.parametrize("here", ["with a server", "plainly"], indirect=True)
"""Of tests to which Prefect does not matter: they run plainly, and with a server on duty."""


def _is_plain() -> bool:
    return not os.environ.get("PREFECT_API_URL")


def archive_recording(recording_id: str, **parameters: Any) -> ArchivedRecording:
    """Return the result of the flow."""
    if _is_plain():
        return archive(Engine(), recording_id, **parameters)
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
    if _is_plain():
        return sweep(Engine(), **parameters)
    swept = sweep_flow(**parameters)
    assert isinstance(swept, Sweep)
    return swept
