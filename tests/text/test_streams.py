"""Whatever became of a command's stdout and stderr, what it writes there never ends it, and shows no secret."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.text.streams import put

PROJECT = Path(__file__).parents[2]
WRITES = r"""
import logging, os, sys
from tasks.text.redaction import register_secrets
from tasks.text.streams import put, secure_streams
secure_streams()
register_secrets(["leak-canary"])
first = os.open(os.devnull, os.O_WRONLY)
logging.basicConfig()
logging.error("\u2019 \u4f1a leak-canary")
print("\u2019 \u4f1a " * 10_000)
taken = put(sys.stdout, "\u2019 \u4f1a\n")
os.write(int(sys.argv[1]), f"{first} {taken}".encode())
"""
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(redirection: str, **environment: str) -> tuple[int, str, bytes, bytes]:
    """Return how a process ends that writes, and what it says of itself; redirected as a shell does that."""
    reading, writing = os.pipe()
    command = f'exec "$0" -c "$1" {writing} {redirection}'
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command, sys.executable, WRITES], cwd=PROJECT,
            env={"PATH": os.environ["PATH"], **environment}, capture_output=True, pass_fds=[writing], check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    with open(reading, "rb") as told:  # noqa: PTH123 - it has no path
        return done.returncode, told.read().decode(), done.stdout, done.stderr


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1:strict"}, C_LOCALE]
)
def test_letters_that_an_encoding_lacks_are_escaped(environment: dict[str, str]) -> None:
    code, told, stdout, stderr = run("", **environment)
    assert (code, told.split()[1]) == (0, "True")
    assert stdout.endswith(b"\\u2019 \\u4f1a\n")
    assert stderr == b"ERROR:root:\\u2019 \\u4f1a ***\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("redirection", [">/dev/full", ">/dev/full 2>/dev/full"])
def test_what_a_full_disk_does_not_take_is_lost_and_told_as_such(redirection: str) -> None:
    code, told, _, _ = run(redirection)
    assert (code, told.split()[1]) == (0, "False")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_is_opened_next_does_not_get_the_place_of_a_closed_stream(redirection: str) -> None:
    code, told, _, _ = run(redirection)
    first, taken = told.split()
    assert (code, taken) == (0, "True")
    assert int(first) > 2


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, _: str) -> int:
        """Raise."""
        raise BrokenPipeError


def test_a_stream_that_is_none_or_fails_raises_nothing() -> None:
    closed = io.StringIO()
    closed.close()
    assert not put(None, "text")
    assert not put(Broken(), "text")
    assert not put(closed, "text")
    ascii_only = io.TextIOWrapper(io.BytesIO(), "ascii")
    assert put(ascii_only, "\u2019")
    assert ascii_only.buffer.getvalue() == b"\\u2019"
