"""On a terminal, what was achieved counts, and what failed is told by its own error, even without a Prefect server."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, NoReturn

import httpx
import pytest
from pydantic import BaseModel

from tasks import cli
from tasks.errors import SourceGone
from tasks.text.redaction import register_secrets

if TYPE_CHECKING:
    from pathlib import Path


class Result(BaseModel):
    """What a flow returns."""

    answer: int
    name: str = ""


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, _: str) -> int:
        """Raise."""
        raise BrokenPipeError


def lose_prefect() -> NoReturn:
    message = "connection refused"
    raise httpx.ConnectError(message)


def test_a_result_that_was_achieved_is_printed_though_prefect_could_not_be_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def call() -> Result:
        cli.achieved(Result(answer=42))
        lose_prefect()

    assert cli.run(call) == cli.DONE
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout)["answer"] == 42
    assert "Prefect's server could not be told (ConnectError)" in stderr


def test_a_failure_is_told_by_its_own_error_though_prefect_raises_another(capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> Result:
        try:
            raise SourceGone("a.mp4")
        except SourceGone:
            lose_prefect()

    assert cli.run(call) == cli.FAILED
    assert capsys.readouterr().err.strip() == str(SourceGone("a.mp4"))


def test_ctrl_c_is_told_as_such_though_prefect_raises_another(capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> Result:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            lose_prefect()

    assert cli.run(call) == cli.INTERRUPTED
    assert "carries on" in capsys.readouterr().err


def test_what_nobody_foresaw_is_told_with_its_traceback_and_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    register_secrets(["leak-canary-secret"])

    def call() -> Result:
        message = "leak-canary-secret, https://host/path?leak, Invalid header value b'leak'"
        raise ZeroDivisionError(message)

    assert cli.run(call) == cli.FAILED
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert "Traceback" in stderr
    assert "ZeroDivisionError: ***, https://host/path, Invalid header value b***" in stderr.replace("path ", "path, ")
    assert "leak" not in stderr
    assert cli.run(lose_prefect) == cli.FAILED
    assert "ConnectError: connection refused" in capsys.readouterr().err


@pytest.mark.parametrize("stdout", [None, Broken()])
def test_what_was_achieved_counts_though_nobody_can_be_told(
    stdout: Broken | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    assert cli.run(lambda: Result(answer=42)) == cli.DONE
    assert "The result could not be written to stdout" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stderr", stdout)
    assert cli.run(lambda: Result(answer=42)) == cli.DONE
    assert cli.run(lose_prefect) == cli.FAILED


def test_a_result_is_a_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(lambda: Result(answer=42, name="Ann\u2019s \u4f1a")) == cli.DONE
    assert capsys.readouterr().out == r'{"answer":42,"name":"Ann\u2019s \u4f1a"}' + "\n"


def test_what_was_achieved_counts_whatever_comes_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> Result:
        cli.achieved(Result(answer=42))
        raise ZeroDivisionError

    assert cli.run(call) == cli.DONE
    assert json.loads(capsys.readouterr().out)["answer"] == 42


def test_what_the_machine_does_not_let_be_done_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call() -> Result:
        return Result(answer=len((tmp_path / "nothing here").read_bytes()))

    assert cli.run(call) == cli.FAILED
    told = capsys.readouterr().err.strip()
    assert told.startswith("This machine does not let it be done: FileNotFoundError: ")
    assert "nothing here" in told
    assert "Traceback" not in told


def test_outside_a_terminal_an_achievement_is_just_returned() -> None:
    result = Result(answer=1)
    assert cli.achieved(result) is result


def test_a_failure_that_has_a_result_prints_both(capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> Result:
        error = SourceGone("a.mp4")
        error.result = Result(answer=42)
        raise error

    assert cli.run(call) == cli.FAILED
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout)["answer"] == 42
    assert stderr.strip() == str(SourceGone("a.mp4"))
