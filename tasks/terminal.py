"""Knows how a flow's module behaves on a terminal: one line of JSON on stdout, all else on stderr, an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tasks.errors import ArchiverError, RecordingIdInvalid, SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def run(call: Callable[[], BaseModel]) -> int:
    """Run a flow, print its result as a line of JSON, and return the process's exit code.

    An error of ours is printed as the paragraph that it is; a traceback is for what is nobody's to foresee.

    Args:
        call: runs the flow and returns its result.
    """
    try:
        result = call()
    except ArchiverError as error:
        sys.stderr.write(f"\n{error}\n")
        return WRONG_USAGE if isinstance(error, SettingsInvalid | RecordingIdInvalid) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. The next run carries on from the parts already stored.\n")
        return INTERRUPTED
    sys.stdout.write(result.model_dump_json() + "\n")
    return DONE
