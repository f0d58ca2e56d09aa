"""Knows how a flow's module behaves on a terminal: one line of JSON on stdout, all else on stderr, an exit code."""

from __future__ import annotations

import argparse
import re
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

import httpx

from tasks.errors import ArchiverError, RecordingIdInvalid, SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

R = TypeVar("R", bound="BaseModel")
N = TypeVar("N", int, float)

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


def number_between(lowest: N, highest: N) -> Callable[[str], N]:
    """Return what argparse checks a number with; it is of the type of its bounds."""

    def number(text: str) -> N:
        read = type(lowest)(text)
        if not lowest <= read <= highest:
            raise argparse.ArgumentTypeError(f"must be between {lowest} and {highest}")
        return read

    return number


def matching(pattern: str) -> Callable[[str], str]:
    """Return what argparse checks a text with, given the regular expression that all of it must match."""

    def matching(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"{text[:80]!r} is not of the right form")
        return text

    return matching


def run(call: Callable[[], BaseModel]) -> int:
    """Run a flow, print its result as a line of JSON, and return the process's exit code.

    An error of ours is printed as the paragraph that it is, after the result that it may hold; a traceback is for what
    is nobody's to foresee.

    Args:
        call: runs the flow and returns its result.
    """
    results: list[BaseModel] = []
    token = _achieved.set(results)
    try:
        result = call()
    except (ArchiverError, KeyboardInterrupt, httpx.HTTPError) as error:
        if not results:
            return _failed(_reason(error))
        result = results[-1]
        _say(f"Done, but Prefect's server could not be told ({type(error).__name__}): its run stays unfinished there.")
    finally:
        _achieved.reset(token)
    _print(result)
    return DONE


def _print(result: BaseModel) -> None:
    sys.stdout.write(result.model_dump_json() + "\n")
    sys.stdout.flush()  # Prefect may take its time to end


def _reason(error: BaseException) -> BaseException:
    """Return why the run failed: without its server, Prefect raises its own error in place of the run's.

    Errors of httpx are Prefect's here, as ours never leave their modules.
    """
    reason: BaseException | None = error
    while isinstance(reason, Exception) and not isinstance(reason, ArchiverError):
        reason = reason.__context__
    return reason or error


def _failed(reason: BaseException) -> int:
    if isinstance(reason, KeyboardInterrupt):
        _say("Interrupted. The next run carries on from the parts already stored.")
        return INTERRUPTED
    if isinstance(reason, ArchiverError):
        if reason.result is not None:
            _print(reason.result)
        _say(str(reason))
        return WRONG_USAGE if isinstance(reason, SettingsInvalid | RecordingIdInvalid) else FAILED
    raise reason


def _say(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")
