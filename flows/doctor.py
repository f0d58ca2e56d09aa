"""Will the first recording arrive? Settings, token, account, app, bucket, the store's ways, clocks and Prefect.

uv run python -m flows.doctor [--json] [--app-id ID …]

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
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, NoReturn

from tasks import cli, command
from tasks.app_ids import AppId, same_app
from tasks.arguments import parse_for
from tasks.cancellation import Cancellation, OpenConnections
from tasks.cli import DONE, FAILED, INTERRUPTED, in_ascii, print_line, say
from tasks.copy_settings import CopyStoreSettings
from tasks.copying import copy_checks
from tasks.doctor import (
    Check,
    Checkup,
    ClockSkew,
    Finding,
    ScratchPrefix,
    View,
    all_passed,
    check_clock,
    cloudflare_checks,
    describe_unforeseen,
    failed,
    ok,
    rows,
    run_checks,
    secrets_checks,
    store_checks,
    summary,
    without_server,
)
from tasks.download import new_http_client
from tasks.errors import (
    ConnectionInsecure,
    NotReady,
    PrefectRefused,
    PrefectUnavailable,
    SettingsInvalid,
    StoreRefused,
)
from tasks.s3 import new_s3_client
from tasks.secret_sources import names_a_place
from tasks.settings import ArchiveSettings, Settings, load_settings
from tasks.text import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import FrameType

    from tasks.doctor import CheckResult

SETTINGS = "settings"
WITHIN_S = 16.0
"""For all checks."""
CLEARED_WITHIN_S = 8.0
"""To end what is under way then, and to clear away."""
CONNECTIONS = 16


def examine(report: Callable[[Finding], None], app_ids: Sequence[str] = ()) -> Checkup:
    """Look at everything, and return what there is to say of it.

    Args:
        report: told of each finding as soon as it and those before it are known.
        app_ids: apps to look at besides that of the settings.
    """
    began = time.monotonic()
    settings, archive, settings_result = _settings()
    redactor, clocks = Redactor(_shown_nowhere()), ClockSkew()
    redactor.add([settings.cloudflare_api_token.get_secret_value()] if settings else ())
    checks = [Check("Settings", SETTINGS, lambda: settings_result), *secrets_checks(settings or archive)]
    with ExitStack() as stack:
        checks += _of_cloudflare(settings, app_ids, clocks, stack)
        scratch, of_store = _of_store(settings, archive, clocks, redactor)
        copys_scratch, of_copy = _of_copy(archive, redactor)
        checks += [*of_store, *of_copy]
        checks += _of_prefect()
        known = {check.name for check in checks}
        after = tuple(name for name in (cloudflare_checks.API, store_checks.BUCKET) if name in known)
        checks.append(Check("Clock", "clock", lambda: check_clock(clocks), after=after))
        try:
            findings = run_checks(checks, WITHIN_S, report, redactor)
        finally:
            left = _cleared([one for one in (scratch, copys_scratch) if one is not None])
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
    with _impatience():
        try:
            settings = command.load_settings_and_prefects(Settings)
        except SettingsInvalid as invalid:
            settings_result = failed("; ".join(invalid.problems), "Set them in the environment or in .env.")
        except (PrefectUnavailable, PrefectRefused, ConnectionInsecure) as away:
            settings_result = failed(f"a Prefect block cannot be read: {away}")
        else:
            return settings, settings, ok("complete and well-formed")
        try:
            return None, load_settings(ArchiveSettings), settings_result
        except (SettingsInvalid, PrefectUnavailable, PrefectRefused, ConnectionInsecure):
            return None, None, settings_result


def _impatience() -> AbstractContextManager[None]:
    """Return what lets Prefect's client give up soon, where a server is configured."""
    if not command.is_server_configured():
        return nullcontext()
    impatience: AbstractContextManager[None] = import_module("tasks.orchestration.prefect_checks").impatience()
    return impatience


def _shown_nowhere() -> dict[str, str]:
    """Return the environment without variables that only say where a secret is: that is to be shown."""
    return {name: value for name, value in os.environ.items() if not names_a_place(name, value)}


def _of_cloudflare(
    settings: Settings | None, app_ids: Sequence[str], clocks: ClockSkew, stack: ExitStack
) -> list[Check]:
    if settings is None:
        return [_needing_settings(cloudflare_checks.GROUP, cloudflare_checks.API)]
    http = stack.enter_context(cloudflare_checks.new_api_client(clocks))
    source_http = stack.enter_context(new_http_client(cloudflare_checks.TIMEOUT_S))
    stop = Cancellation(OpenConnections(http, source_http))
    stack.callback(stop.set)
    checks = cloudflare_checks.CloudflareChecks(http, source_http, settings, stop).checks()
    others = [app_id for app_id in dict.fromkeys(app_ids) if not same_app(app_id, settings.realtimekit_app_id)]
    for number, app_id in enumerate(others, 2):
        of_app = settings.model_copy(update={"realtimekit_app_id": app_id})
        of_other = cloudflare_checks.CloudflareChecks(http, source_http, of_app, stop)
        checks.append(of_other.check_for_another(f"app {number}"))
    return checks


def _of_store(
    settings: Settings | None, archive: ArchiveSettings | None, clocks: ClockSkew, redactor: Redactor
) -> tuple[ScratchPrefix | None, list[Check]]:
    if archive is None:
        return None, [_needing_settings(store_checks.GROUP, store_checks.BUCKET)]
    logging.getLogger("botocore").setLevel(logging.WARNING)  # at DEBUG it logs signatures
    try:
        client = new_s3_client(CONNECTIONS, store_checks.ANSWER_TIMEOUT_S, keys=archive.store_keys)
    except StoreRefused as refused:
        result = failed(str(refused))
        return None, [Check(store_checks.GROUP, store_checks.BUCKET, lambda: result)]
    store_checks.note_dates(client, clocks)
    scratch = ScratchPrefix(client, archive.bucket, archive.prefix, archive.storage_options)
    app = settings.realtimekit_app_id if settings else ""
    archived = "".join(f"{part}/" for part in (archive.prefix, app) if part)
    return scratch, store_checks.StoreChecks(
        scratch, archived, client.meta.endpoint_url, redactor.add, archive.store_keys
    ).checks()


def _of_copy(archive: ArchiveSettings | None, redactor: Redactor) -> tuple[ScratchPrefix | None, list[Check]]:
    """Return what to look at in the store of the second copy, if there is to be one."""
    if archive is None:
        return None, []
    try:
        settings = load_settings(CopyStoreSettings)
        return copy_checks(settings, redactor.add) if settings.archive_copy_url else (None, [])
    except (SettingsInvalid, PrefectUnavailable, PrefectRefused, ConnectionInsecure, StoreRefused) as wrong:
        problems = wrong.problems if isinstance(wrong, SettingsInvalid) else (str(wrong),)
        result = failed("; ".join(problems))
        return None, [Check("Second copy", "copy's settings", lambda: result)]


def _needing_settings(group: str, name: str) -> Check:
    return Check(group, name, lambda: ok(""), needs=(SETTINGS,))


def _cleared(scratches: Sequence[ScratchPrefix]) -> list[str]:
    """Clear scratch prefixes away, in bounded time though a store may be away, and return what is left there."""
    left = {scratch: [f"s3://{scratch.bucket}/{scratch.prefix}"] for scratch in scratches}

    def clear(scratch: ScratchPrefix) -> None:
        left[scratch] = scratch.close(CLEARED_WITHIN_S / 2)

    clearing = [Thread(target=clear, args=(scratch,), daemon=True) for scratch in scratches]
    for thread in clearing:
        thread.start()
    until = time.monotonic() + CLEARED_WITHIN_S
    try:
        _join(clearing, until)
    except BaseException:
        _join(clearing, until)
        raise
    return [key for keys in left.values() for key in keys]


def _join(threads: Sequence[Thread], until: float) -> None:
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


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


def _check(*, json: bool = False, app_ids: tuple[AppId, ...] = ()) -> None:
    """Tell whether the first recording will arrive. Exit code 0, or 1 if something failed.

    Args:
        json: Print one line of JSON.
        app_ids: RealtimeKit app of the same account to look at, too.
    """


def main(arguments: list[str] | None = None) -> int:
    """Look at everything, from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    options = parse_for(_check, "python -m flows.doctor", arguments)
    as_json, app_ids = options["json"], options["app_ids"]
    view = View(sys.stdout)
    try:
        command.is_server_configured()
    except Exception as error:  # noqa: BLE001 - Prefect's settings cannot be read: it is told, and the exit code says so
        return cli.failed(error)
    try:
        with _ended_by_signals():
            checkup = examine((lambda _: None) if as_json else view.show, app_ids)
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


from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow


@flow(name="doctor", persist_result=False)
def doctor(app_ids: tuple[AppId, ...] = ()) -> Checkup:
    """Tell whether the first recording will arrive, with the settings and from the place of whoever runs this.

    Args:
        app_ids: RealtimeKit apps of the same account to look at besides that of the settings.
    """
    engine = PrefectEngine()

    def report(finding: Finding) -> None:
        engine.log.info("%s: %s: %s", finding.status, finding.name, finding.told)

    checkup = examine(report, app_ids)
    engine.publish_table("doctor", rows(checkup), summary(checkup))
    if not checkup.ok:
        wrong = [finding for finding in checkup.findings if finding.status == "failed"]
        raise NotReady(tuple(f"{finding.name}: {finding.told}. {finding.advice}".rstrip() for finding in wrong))
    return checkup
