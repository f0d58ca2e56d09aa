"""Will the first recording arrive? Settings, token, account, app, bucket, the store's ways, clocks and Prefect.

uv run python -m flows.doctor [--json]

It answers within half a minute, whatever is away, and leaves nothing behind.
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless a server is configured)

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, NoReturn

from tasks import cli, command
from tasks.arguments import parse_for
from tasks.cancellation import Cancellation, OpenConnections
from tasks.cli import DONE, FAILED, INTERRUPTED, in_ascii, print_line, say
from tasks.doctor import (
    Check,
    Checkup,
    ClockSkew,
    Finding,
    ScratchPrefix,
    View,
    all_passed,
    cloudflare_checks,
    describe_unforeseen,
    failed,
    ok,
    rows,
    run_checks,
    skipped,
    store_checks,
    summary,
    warning,
    without_server,
)
from tasks.download import new_http_client
from tasks.errors import NotReady, SettingsInvalid, StoreRefused
from tasks.s3 import new_s3_client
from tasks.settings import ArchiveSettings, Settings, load_settings
from tasks.text import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tasks.doctor import CheckResult

SETTINGS = "settings"
WITHIN_S = 16.0
"""For all checks."""
CLEARED_WITHIN_S = 8.0
"""To end what is under way then, and to clear away."""
CONNECTIONS = 16
SKEW_NOTED_S, SKEW_REFUSED_S = 30.0, 15 * 60.0
"""From a quarter of an hour on, S3 refuses all signatures."""


def examine(report: Callable[[Finding], None]) -> Checkup:
    """Look at everything, and return what there is to say of it.

    Args:
        report: told of each finding as soon as it and those before it are known.
    """
    began = time.monotonic()
    settings, archive, settings_result = _settings()
    redactor, clocks = Redactor(os.environ), ClockSkew()
    redactor.add([settings.cloudflare_api_token.get_secret_value()] if settings else ())
    checks = [Check("Settings", SETTINGS, lambda: settings_result)]
    with ExitStack() as stack:
        checks += _of_cloudflare(settings, clocks, stack)
        scratch, of_store = _of_store(settings, archive, clocks, redactor)
        checks += of_store
        checks += _of_prefect()
        known = {check.name for check in checks}
        after = tuple(name for name in (cloudflare_checks.API, store_checks.BUCKET) if name in known)
        checks.append(Check("Clock", "clock", lambda: _of_clock(clocks), after=after))
        try:
            findings = run_checks(checks, WITHIN_S, report, redactor)
        finally:
            left = _cleared(scratch)
    if left:
        told = f"could not be cleared away: {', '.join(left)}"
        finding = Finding(
            group="Afterwards", name="left behind", status="warning", told=redactor(told), advice="Delete it."
        )
        report(finding)
        findings += (finding,)
    return Checkup(ok=all_passed(findings), seconds=round(time.monotonic() - began, 1), findings=findings)


def _of_prefect() -> list[Check]:
    if not command.is_server_configured():
        return without_server()
    checks: list[Check] = import_module("tasks.orchestration.prefect_checks").PrefectChecks().checks()
    return checks


def _settings() -> tuple[Settings | None, ArchiveSettings | None, CheckResult]:
    """Return the settings, or those of the archive alone, as far as they are usable; and what there is to say."""
    try:
        settings = command.load_settings_and_prefects(Settings)
    except SettingsInvalid as invalid:
        settings_result = failed("; ".join(invalid.problems), "Set them in the environment or in .env.")
    else:
        return settings, settings, ok("complete and well-formed")
    try:
        return None, load_settings(ArchiveSettings), settings_result
    except SettingsInvalid:
        return None, None, settings_result


def _of_cloudflare(settings: Settings | None, clocks: ClockSkew, stack: ExitStack) -> list[Check]:
    if settings is None:
        return [_needing_settings(cloudflare_checks.GROUP, cloudflare_checks.API)]
    http = stack.enter_context(cloudflare_checks.new_api_client(clocks))
    source_http = stack.enter_context(new_http_client(cloudflare_checks.TIMEOUT_S))
    stop = Cancellation(OpenConnections(http, source_http))
    stack.callback(stop.set)
    return cloudflare_checks.CloudflareChecks(http, source_http, settings, stop).checks()


def _of_store(
    settings: Settings | None, archive: ArchiveSettings | None, clocks: ClockSkew, redactor: Redactor
) -> tuple[ScratchPrefix | None, list[Check]]:
    if archive is None:
        return None, [_needing_settings(store_checks.GROUP, store_checks.BUCKET)]
    logging.getLogger("botocore").setLevel(logging.WARNING)  # at DEBUG it logs signatures
    try:
        client = new_s3_client(CONNECTIONS, store_checks.ANSWER_TIMEOUT_S)
    except StoreRefused as refused:
        result = failed(str(refused))
        return None, [Check(store_checks.GROUP, store_checks.BUCKET, lambda: result)]
    store_checks.note_dates(client, clocks)
    scratch = ScratchPrefix(client, archive.bucket, archive.prefix)
    app = settings.realtimekit_app_id if settings else ""
    archived = "".join(f"{part}/" for part in (archive.prefix, app) if part)
    return scratch, store_checks.StoreChecks(scratch, archived, client.meta.endpoint_url, redactor.add).checks()


def _needing_settings(group: str, name: str) -> Check:
    return Check(group, name, lambda: ok(""), needs=(SETTINGS,))


def _of_clock(clocks: ClockSkew) -> CheckResult:
    """Say how far the clocks are apart: both requests to the store and presigned URLs hold a time."""
    ahead = clocks.ahead()
    if not ahead:
        return skipped("not known: no server has told its time")
    off = {server: seconds for server, seconds in ahead.items() if abs(seconds) >= SKEW_NOTED_S}
    servers = " and ".join(sorted(ahead))
    if not off:
        return ok(f"within {max(1.0, *map(abs, ahead.values())):.0f} s of {servers}")
    told = "; ".join(f"this machine is {_apart(seconds)} {server}" for server, seconds in off.items())
    if len(off) < len(ahead):
        told = f"{told}; but not {' and '.join(ahead.keys() - off.keys())}"
    told = f"{told}. From 15 minutes on, requests are refused"
    advice = "Set this machine's clock, by NTP; if that is right, the other one's."
    worst = max(abs(seconds) for seconds in off.values())
    return failed(told, advice) if worst >= SKEW_REFUSED_S and off == ahead else warning(told, advice)


def _apart(seconds: float) -> str:
    amount = f"{abs(seconds) / 60:.0f} minutes" if abs(seconds) >= 120 else f"{abs(seconds):.0f} s"
    return f"{amount} {'behind' if seconds > 0 else 'ahead of'}"


def _cleared(scratch: ScratchPrefix | None) -> list[str]:
    """Clear the scratch prefix away, in bounded time though the store may be away, and return what is left there."""
    if scratch is None:
        return []
    left = [f"s3://{scratch.bucket}/{scratch.prefix}"]

    def clear() -> None:
        left[:] = scratch.close(CLEARED_WITHIN_S / 2)

    clearing = Thread(target=clear, daemon=True)
    clearing.start()
    try:
        clearing.join(CLEARED_WITHIN_S)
    except BaseException:
        clearing.join(CLEARED_WITHIN_S)
        raise
    return list(left)


class _Ended(BaseException):
    """A signal has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = INTERRUPTED if number == signal.SIGINT else 128 + number


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the first signal end the checks, and no other one what is cleared away then."""
    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [number for number in known if signal.getsignal(number) not in {signal.SIG_IGN, None}]

    def end(number: int, _: FrameType | None) -> NoReturn:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise _Ended(number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, answer in before.items():
            if signal.getsignal(number) is end:  # else one has come, and nothing is left to do but to end
                signal.signal(number, answer)


def _check(*, json: bool = False) -> None:
    """Tell whether the first recording will arrive. Exit code 0, or 1 if something failed.

    Args:
        json: Print one line of JSON.
    """


def main(arguments: list[str] | None = None) -> int:
    """Look at everything, from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    as_json = parse_for(_check, "python -m flows.doctor", arguments)["json"]
    view = View(sys.stdout)
    try:
        command.is_server_configured()
    except Exception as error:  # noqa: BLE001 - Prefect's settings cannot be read: it is told, and the exit code says so
        return cli.failed(error)
    try:
        with _ended_by_signals():
            checkup = examine((lambda _: None) if as_json else view.show)
    except _Ended as ended:
        say("Interrupted. What was tried in the bucket is cleared away.")
        return ended.exit_code
    except Exception as error:  # noqa: BLE001 - a traceback may quote anything
        say(describe_unforeseen(error).told)
        return FAILED
    if as_json:
        print_line(in_ascii(checkup))
    else:
        view.close(checkup)
    return DONE if checkup.ok else FAILED


if __name__ == "__main__":
    sys.exit(main())


from prefect import flow

from tasks.orchestration.engine import PrefectEngine


@flow(name="doctor", persist_result=False)
def doctor() -> Checkup:
    """Tell whether the first recording will arrive, with the settings and from the place of whoever runs this."""
    engine = PrefectEngine()
    checkup = examine(lambda finding: engine.log.info("%s: %s: %s", finding.status, finding.name, finding.told))
    engine.publish_table("doctor", rows(checkup), summary(checkup))
    if not checkup.ok:
        wrong = [finding for finding in checkup.findings if finding.status == "failed"]
        raise NotReady(tuple(f"{finding.name}: {finding.told}. {finding.advice}".rstrip() for finding in wrong))
    return checkup
