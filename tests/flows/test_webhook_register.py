"""`python -m flows.webhook register` as a person or a script meets it: one line, an exit code, and no secret."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flows.webhook import main
from tasks.realtimekit.webhook_event import NEEDED_EVENTS
from tests.flows.world import PROJECT
from tests.standins.realtimekit import Answer, RealtimeKitStandIn

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://hooks.example.com/webhook"
EVENTS = ", ".join(NEEDED_EVENTS)


@pytest.fixture(autouse=True)
def settings(kit: RealtimeKitStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """This very process set up for the API alone: no archive, no Prefect."""
    its = {
        "CLOUDFLARE_API_TOKEN": kit.token,
        "CLOUDFLARE_ACCOUNT_ID": kit.account_id,
        "REALTIMEKIT_APP_ID": kit.app_id,
        "CLOUDFLARE_BASE_URL": kit.base_url,
    }
    for name, value in its.items():
        monkeypatch.setenv(name, value)
    for name in ("ARCHIVE_URL", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return its


def register(*arguments: str) -> int:
    return main(["register", *arguments])


def test_it_registers_mends_lists_and_removes_with_one_clear_line_each(
    kit: RealtimeKitStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    for arguments in (["--list"], [URL], [URL], [URL, "--name", "ours"], ["--list"], [URL, "--remove"],
                      [URL, "--remove"]):  # fmt: skip
        assert register(*arguments) == 0
        stdout, stderr = capsys.readouterr()
        assert (stdout.count("\n"), stderr) == (1, "")
        lines.append(stdout.rstrip())
    assert lines == [
        "No webhook is registered for the app.",
        f"Registered: {URL}, 'realtimekit-archiver', enabled: {EVENTS}.",
        f"Registered already: {URL}, 'realtimekit-archiver', enabled: {EVENTS}.",
        f"Mended: {URL}, 'ours', enabled: {EVENTS}.",
        f"{URL}, 'ours', enabled: {EVENTS}",
        f"Removed: {URL}.",
        f"Nothing to remove: {URL} is not registered.",
    ]
    assert kit.webhooks.known == {}


def test_for_another_app_it_registers_a_url_by_which_the_receiver_knows_the_app(
    kit: RealtimeKitStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    with RealtimeKitStandIn(app_id="another") as other:
        kit.add_app(other)
        for arguments in ([URL], [f"{URL}/"], [f"{URL}/another"]):
            assert register(*arguments, "--app-id", "another") == 0
        assert [its["url"] for its in other.webhooks.known.values()] == [f"{URL}/another"]
        assert kit.webhooks.known == {}
        assert register(URL, "--app-id", kit.app_id.replace("-", "")) == 0
        assert [its["url"] for its in kit.webhooks.known.values()] == [URL]
        capsys.readouterr()
        assert register("--list", "--app-id", "another") == 0
        assert capsys.readouterr().out == f"{URL}/another, 'realtimekit-archiver', enabled: {EVENTS}\n"
        assert register(URL, "--remove", "--app-id", "another") == 0
        assert other.webhooks.known == {}
        assert len(kit.webhooks.known) == 1


def test_an_event_that_realtimekit_does_not_send_is_told(
    kit: RealtimeKitStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    kit.webhooks.events = NEEDED_EVENTS[:-1]
    assert register(URL) == 0
    assert capsys.readouterr().out.endswith(f". RealtimeKit does not send: {NEEDED_EVENTS[-1]}.\n")


def test_what_others_registered_is_listed_without_secrets_and_as_one_line_each(
    kit: RealtimeKitStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    kit.webhooks.register("https://u:leak-canary@other.example/in?token=leak-canary", ("meeting.ended",), enabled=False)
    kit.webhooks.register(URL, ("meeting.started",), name="two\nlines\x1b[31m")
    assert register("--list") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "https://other.example/in, 'archive', disabled: meeting.ended"
    assert second.startswith(f"{URL}, 'two")
    assert second.isprintable()


@pytest.mark.parametrize(
    "arguments",
    [[], ["--list", URL], ["--list", "--remove"], ["--remove"], ["http://a.example"], [URL, URL], ["--port", "1"]],
)
def test_wrong_usage_is_2_and_one_line(
    kit: RealtimeKitStandIn, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    try:
        code: object = register(*arguments)
    except SystemExit as ended:
        code = ended.code
    stdout, stderr = capsys.readouterr()
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert stderr.startswith("python -m flows.webhook register: ")
    assert kit.api_requests == []


def test_a_url_with_a_secret_is_refused_without_showing_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        register("https://u:leak-canary@h.example/w?token=leak-canary")
    told = capsys.readouterr().err
    assert (ended.value.code, "leak-canary" in told) == (2, False)
    assert "must be an https:// URL without user, query and fragment" in told


def test_wrong_settings_are_2_and_a_refusal_is_1_without_the_token(
    kit: RealtimeKitStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kit.api_faults = lambda _: Answer.failure(10000, f"no {kit.token}", 403)
    assert register(URL) == 1
    stdout, stderr = capsys.readouterr()
    assert (stdout, kit.token in stderr) == ("", False)
    assert "Check CLOUDFLARE_API_TOKEN" in stderr
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    assert register(URL) == 2
    assert "CLOUDFLARE_API_TOKEN: is missing" in capsys.readouterr().err


def test_as_a_process_it_needs_neither_archive_nor_prefect(settings: dict[str, str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "flows.webhook", "register", URL]
    done = subprocess.run(
        command, env=settings | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Registered: {URL}, ")
    assert not re.search(r"^import time:.*\| +prefect(?:\.\S+)?$", done.stderr, re.MULTILINE)
    assert "pygments" not in done.stderr  # of a command line of httpx's own
