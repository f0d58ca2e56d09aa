"""Checks run side by side, each after those it needs and within its own time, and what they say is fit to be shown."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING, NoReturn

from tasks.doctor.runner import Check, Finding, all_passed, failed, ok, run_checks, warning
from tasks.errors import ApiRefused
from tasks.text.redaction import Redactor

if TYPE_CHECKING:
    from tasks.doctor.runner import CheckResult

SECRET = "s3cr3t-token-of-somebody"


def found(*checks: Check, within_s: float = 10) -> dict[str, Finding]:
    findings = run_checks(checks, within_s, lambda _: None, Redactor({"CLOUDFLARE_API_TOKEN": SECRET}))
    assert [finding.name for finding in findings] == [check.name for check in checks]
    return {finding.name: finding for finding in findings}


def fine() -> CheckResult:
    return ok("fine")


def raising(error: BaseException) -> NoReturn:
    raise error


def test_what_needs_a_failed_check_is_skipped_and_all_that_needs_that() -> None:
    of = found(
        Check("g", "c", fine, needs=("b",)),
        Check("g", "b", fine, needs=("a",)),
        Check("g", "a", lambda: failed("broken", "Mend it.")),
        Check("g", "d", fine, after=("a", "b")),
    )
    assert {name: finding.status for name, finding in of.items()} == {
        "a": "failed", "b": "skipped", "c": "skipped", "d": "ok",
    }  # fmt: skip
    assert of["b"].told == "not looked at, as it needs: a"
    assert not all_passed(of.values())


def test_a_warning_keeps_nothing_from_being_looked_at() -> None:
    of = found(Check("g", "a", lambda: warning("odd", "Look.")), Check("g", "b", fine, needs=("a",)))
    assert of["b"].status == "ok"
    assert all_passed(of.values())


def test_checks_that_need_nothing_of_each_other_run_side_by_side() -> None:
    first, second = Event(), Event()

    def meet(mine: Event, other: Event) -> CheckResult:
        mine.set()
        return ok("met") if other.wait(5) else failed("alone")

    of = found(Check("g", "a", lambda: meet(first, second)), Check("g", "b", lambda: meet(second, first)))
    assert {finding.told for finding in of.values()} == {"met"}


def test_a_check_that_does_not_come_back_fails_in_its_own_time_and_holds_nobody_up() -> None:
    for_ever, began = Event(), time.monotonic()
    late = warning("slow", "Wait.")
    of = found(
        Check("g", "hung", lambda: ok(str(for_ever.wait(60))), limit_s=0.1),
        Check("g", "slow", lambda: ok(str(for_ever.wait(60))), limit_s=0.1, late=late),
        Check("g", "below", fine, needs=("hung",)),
        Check("g", "beside", fine),
    )
    for_ever.set()
    assert time.monotonic() - began < 5
    assert [of[name].status for name in ("hung", "slow", "below", "beside")] == ["failed", "warning", "skipped", "ok"]
    assert of["hung"].told == "no answer in time"


def test_when_the_time_for_all_is_over_the_rest_is_skipped() -> None:
    for_ever = Event()
    of = found(
        Check("g", "hung", lambda: ok(str(for_ever.wait(60)))), Check("g", "rest", fine, after=("hung",)), within_s=0.1
    )
    for_ever.set()
    assert (of["hung"].status, of["rest"].status) == ("failed", "skipped")
    assert "the time was over" in of["rest"].told


def test_findings_are_reported_in_the_order_of_the_checks_however_they_end() -> None:
    last_is_over, told = Event(), list[str]()

    def last() -> CheckResult:
        last_is_over.set()
        return fine()

    checks = [Check("g", "first", lambda: ok(str(last_is_over.wait(5)))), Check("g", "last", last)]
    run_checks(checks, 10, lambda finding: told.append(f"{finding.name} {finding.told}"), Redactor({}))
    assert told == ["first True", "last fine"]


def test_an_error_of_ours_says_itself_what_to_do_and_one_that_nobody_foresaw_only_its_kind_and_place() -> None:
    of = found(
        Check("g", "ours", lambda: raising(ApiRefused(403, 10000, "no", "Check it."))),
        Check("g", "unforeseen", lambda: raising(ZeroDivisionError(f"divided\nby {SECRET}"))),
        Check("g", "exit", lambda: raising(SystemExit(SECRET))),
    )
    assert of["ours"].told.endswith("no. Check it.")
    assert of["unforeseen"].told.startswith("ZeroDivisionError, which nobody foresaw, at line ")
    assert of["unforeseen"].told.endswith("of test_runner.py")
    assert {finding.status for finding in of.values()} == {"failed"}


def test_no_finding_shows_a_secret_that_is_known_or_looks_like_one() -> None:
    url = "https://u:pw@files.example.com/a.mp4?X-Amz-Signature=leak"
    of = found(Check("g", "a", lambda: failed(f"said {SECRET} of\n\x1b[31m {url}", f"Drop {SECRET}")))
    assert of["a"].told == "said *** of [31m https://files.example.com/a.mp4"
    assert of["a"].advice == "Drop ***"


def test_the_values_of_variables_that_speak_of_secrets_are_concealed_and_no_others() -> None:
    redactor = Redactor({
        "CLOUDFLARE_API_TOKEN": " token-1 ", "AWS_ACCESS_KEY_ID": "access-2", "AWS_SECRET_ACCESS_KEY": "secret-3/x",
        "PREFECT_API_KEY": "pnu_4444", "PREFECT_API_AUTH_STRING": "user:pw-5", "LANG": "C.UTF-8", "SOME_TOKEN": "a",
    })  # fmt: skip
    redactor.add(["from-a-file", None, ""])
    shown = redactor("token-1 access-2 secret-3/x pnu_4444 user:pw-5 from-a-file C.UTF-8 a")
    assert shown == "*** *** *** *** *** *** C.UTF-8 a"
