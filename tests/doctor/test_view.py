"""What a checkup found is shown one line each, wrapped and in colour only where a person looks at a terminal."""

from __future__ import annotations

import io
import re

import pytest

from tasks.doctor.runner import Checkup, Finding
from tasks.doctor.view import View, rows, summary

FINDINGS = (
    Finding(group="Cloudflare", name="token", status="ok", told="active"),
    Finding(group="Cloudflare", name="app", status="failed", told="none of these", advice="Correct it. " * 20),
    Finding(group="Store", name="bucket", status="skipped", told="not looked at"),
    Finding(group="Store", name="clock", status="warning", told="90 s behind", advice="Set it."),
)
CHECKUP = Checkup(ok=False, seconds=1.26, findings=FINDINGS)


class Terminal(io.StringIO):
    """What a terminal gets."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def shown(out: io.StringIO, **environment: str) -> str:
    view = View(out, environment)
    for finding in FINDINGS:
        view.show(finding)
    view.close(CHECKUP)
    return out.getvalue()


def test_in_a_file_each_finding_is_one_line_below_its_group() -> None:
    lines = shown(io.StringIO(), TERM="xterm").splitlines()
    assert [line.split()[0] for line in lines] == [
        "Cloudflare",
        "ok",
        "failed",
        "Store",
        "skipped",
        "warning",
        "Recordings",
    ]
    assert lines[5] == "  warning  clock                 90 s behind. Set it"
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_no_line_is_wider_and_no_word_is_lost(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    plain = shown(Terminal(), TERM="xterm", NO_COLOR="1")
    assert max(map(len, plain.splitlines())) <= columns
    assert " ".join(plain.split()).count("Correct it") == 20
    coloured = shown(Terminal(), TERM="xterm")
    assert "\x1b[1;31mfailed " in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert shown(Terminal(), TERM="dumb") == plain


def test_the_last_line_says_whether_recordings_will_arrive() -> None:
    assert summary(CHECKUP) == "Recordings will not arrive from here: app failed, 1 warning; looked at in 1.3 s."
    fine = Checkup(ok=True, seconds=2, findings=FINDINGS[:1])
    assert summary(fine) == "The first recording will arrive; looked at in 2.0 s."


def test_the_table_has_a_row_for_each() -> None:
    assert [(row[""], row["what"]) for row in rows(CHECKUP)][1] == ("failed", "Cloudflare: app")


def test_a_view_without_a_stream_shows_nothing_and_fails_at_nothing() -> None:
    view = View(None, {})
    view.show(FINDINGS[0])
    view.close(CHECKUP)
