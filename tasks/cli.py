"""What a command does on a terminal: one line of JSON on stdout, all else on stderr, an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextvars import ContextVar
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import ValidationError

from tasks import environment
from tasks.errors import ArchiverError, RecordingIdInvalid, SettingsInvalid
from tasks.settings import unreadable
from tasks.text import put, redact, register_secrets, secure_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from pydantic import BaseModel

R = TypeVar("R", bound="BaseModel")

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

_achieved: ContextVar[list[BaseModel] | None] = ContextVar("achieved", default=None)


def achieved(result: R) -> R:
    """Remember what a flow is about to return: Prefect cannot end a run without its server, and raises instead.

    Args:
        result: the flow's, final whatever comes.
    """
    results = _achieved.get()
    if results is not None:
        results.append(result)
    return result


def begin() -> None:
    """Make this process ready to be a command, before Prefect is imported: that reads its own settings then."""
    secure_streams()
    register_secrets(environment.secrets())
    sys.excepthook = _end


def _end(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> NoReturn:
    """End the process as a command ends that failed: the interpreter takes the exit code from here."""
    raise SystemExit(failed(error))


def run(call: Callable[[], BaseModel]) -> int:
    """Run a flow, print its result as a line of JSON, and return the process's exit code.

    An error of ours is printed as the paragraph that it is, after the result that it may hold; a traceback is for what
    is nobody's to foresee, and shows no secret.

    Args:
        call: runs the flow and returns its result.
    """
    results: list[BaseModel] = []
    token = _achieved.set(results)
    try:
        result = call()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told, and the exit code says so
        if not results:
            return failed(error)
        result = results[-1]
        say(f"Done, but Prefect's server could not be told ({type(error).__name__}): its run stays unfinished there.")
    finally:
        _achieved.reset(token)
    _print(result)
    return DONE


def failed(error: BaseException) -> int:
    """Say on stderr why a command failed, and return its exit code."""
    reason = _reason(error)
    if isinstance(reason, KeyboardInterrupt):
        say("Interrupted. The next run carries on from the parts already stored.")
        return INTERRUPTED
    if isinstance(reason, ArchiverError):
        if reason.result is not None:
            _print(reason.result)
        say(str(reason))
        return WRONG_USAGE if isinstance(reason, SettingsInvalid | RecordingIdInvalid) else FAILED
    if isinstance(reason, OSError):  # a disk, a permission, a program that is not there: not ours to mend
        say(f"This machine does not let it be done: {type(reason).__name__}: {redact(str(reason))}.")
    else:
        say(redact("".join(traceback.format_exception(reason))).rstrip())
    return FAILED


def say(text: str) -> None:
    """Say something on stderr, as far as that takes it."""
    put(sys.stderr, f"\n{text}\n")


def print_line(text: str) -> None:
    """Print a line on stdout; where that takes it not, say so on stderr: what was done is done."""
    if not put(sys.stdout, f"{text}\n"):
        say("The result could not be written to stdout, which is closed, full or broken.")


def in_ascii(result: BaseModel) -> str:
    """Return a result as JSON that any encoding of a terminal or a file can take."""
    return json.dumps(json.loads(result.model_dump_json()), separators=(",", ":"))


def _print(result: BaseModel) -> None:
    print_line(in_ascii(result))  # at once, as Prefect may take its time to end


def _reason(error: BaseException) -> BaseException:
    """Return why the run failed: without its server, Prefect raises its own error in place of the run's.

    Errors of httpx are Prefect's here, as ours never leave their modules.
    """
    reason: BaseException | None = error
    while isinstance(reason, Exception) and not isinstance(reason, ArchiverError):
        reason = reason.__context__
    return reason or _of_prefects_settings(error) or error


def _of_prefects_settings(error: BaseException) -> SettingsInvalid | None:
    """Return what is wrong with Prefect's own settings, if it was those that could not be read."""
    places = (Path(frame.filename).parts for frame in traceback.extract_tb(error.__traceback__))
    if not any(("prefect", "settings") in pairwise(parts) for parts in places):
        return None
    problems = unreadable(".env")  # Prefect reads it as well
    if not problems and isinstance(error, ValidationError):
        wrong = [problem for problem in error.errors() if problem["type"] != "default_factory_not_called"]
        problems = [f"{_prefects_name(problem['loc'])}: {problem['msg']}" for problem in wrong]
    return SettingsInvalid(tuple(problems or [f"Prefect's settings cannot be read: {type(error).__name__}: {error}"]))


def _prefects_name(place: Sequence[int | str]) -> str:
    """Return the variables that set a field of Prefect's, or its name if none does: then it is of a profile."""
    field = "_".join(map(str, place))
    names = [name for name in os.environ if name.startswith("PREFECT_") and name.lower().endswith(f"_{field}")]
    return " or ".join(names) or f"Prefect's setting {field}"
