"""The findings of the doctor for people: on a terminal, with or without colours, and as a table in Prefect's UI."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TYPE_CHECKING, TextIO

from tasks.text import cell, put

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.doctor.runner import Checkup, Finding

_COLOURS = {"ok": "32", "warning": "33", "failed": "1;31", "skipped": "2"}
_STATUS, _NAME = 7, 20
"""Characters: the widest of them."""
NARROWEST, WIDEST = 60, 120


class View:
    """Shows findings as they come, each on a line; on a narrow terminal, the text is wrapped.

    Args:
        out: the stream; a file or a pipe gets one line for each finding.
        environment: NO_COLOR and TERM are read. Source: https://no-color.org
    """

    def __init__(self, out: TextIO | None, environment: Mapping[str, str] = os.environ) -> None:
        self._out = out
        on_terminal = out is not None and out.isatty()
        self._coloured = on_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self._width = max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST)) if on_terminal else 0
        self._group = ""

    def show(self, finding: Finding) -> None:
        """Show a finding, with the name of its group before the first one."""
        if finding.group != self._group:
            self._group = finding.group
            self._say(self._in_colour(finding.group, "1"))
        status = self._in_colour(f"{finding.status:{_STATUS}}", _COLOURS[finding.status])
        words = ". ".join(text.rstrip(".") for text in (finding.told, finding.advice) if text)
        first, *others = self._wrapped(words) or [""]
        self._say(f"  {status}  {finding.name:{_NAME}}  {first}")
        for line in others:
            self._say(f"  {'':{_STATUS}}  {'':{_NAME}}  {line}")

    def close(self, checkup: Checkup) -> None:
        """Show the summary."""
        self._say(self._in_colour(summary(checkup), _COLOURS["ok" if checkup.ok else "failed"]))

    def _wrapped(self, words: str) -> list[str]:
        if not self._width:
            return [words]
        return textwrap.wrap(words, self._width - _STATUS - _NAME - 6, break_long_words=False, break_on_hyphens=False)

    def _in_colour(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _say(self, line: str) -> None:
        put(self._out, f"{line.rstrip()}\n")


def summary(checkup: Checkup) -> str:
    """Return the result of all findings in one line."""
    failures = [finding.name for finding in checkup.findings if finding.status == "failed"]
    warnings = sum(finding.status == "warning" for finding in checkup.findings)
    noted = f", {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    took = f"looked at in {checkup.seconds:.1f} s"
    if failures:
        return f"Recordings will not arrive from here: {', '.join(failures)} failed{noted}; {took}."
    return f"The first recording will arrive{noted}; {took}."


def rows(checkup: Checkup) -> list[dict[str, str]]:
    """Return the findings as a table."""
    return [
        {
            "": finding.status,
            "what": f"{finding.group}: {finding.name}",
            "told": cell(finding.told),
            "do": cell(finding.advice),
        }
        for finding in checkup.findings
    ]
