"""Which of token, account, app and RealtimeKit's bucket is wrong is told, by what the API really answers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tasks.doctor.clock_skew import ClockSkew
from tasks.doctor.cloudflare_checks import CloudflareChecks, new_api_client
from tasks.doctor.runner import Check, ok, run_checks
from tasks.download.http_client import new_http_client
from tasks.realtimekit.webhook_event import NEEDED_EVENTS
from tasks.settings import Settings
from tasks.text.redaction import Redactor
from tests.clock import local_time
from tests.standins.api import AUTHENTICATION_ERROR, FORBIDDEN, NO_ROUTE
from tests.standins.oddities import Headers
from tests.standins.realtimekit import (
    Answer,
    HtmlPage,
    MediaSource,
    Refuse,
    StandInRecording,
    StandInSession,
    SyntheticContent,
)

if TYPE_CHECKING:
    from tasks.doctor.runner import Finding
    from tests.standins.realtimekit import ApiRequest, RealtimeKitStandIn

ALL = ["API", "token", "account", "app", "recordings", "RealtimeKit's bucket", "download", "webhook"]


def looked(kit: RealtimeKitStandIn, clocks: ClockSkew | None = None, **different: Any) -> dict[str, Finding]:
    """Return what is found, by name."""
    its = {
        "archive_url": "s3://archive",
        "cloudflare_api_token": SecretStr(kit.token),
        "cloudflare_account_id": kit.account_id,
        "realtimekit_app_id": kit.app_id,
        "cloudflare_base_url": kit.base_url,
    }
    settings = Settings(**{**its, **different})
    with new_api_client(clocks or ClockSkew()) as http, new_http_client(4) as source_http:
        checks = CloudflareChecks(http, source_http, settings, Event()).checks()
        found = run_checks([Check("", "settings", lambda: ok("")), *checks], 20, lambda _: None, Redactor({}))
    return {finding.name: finding for finding in found[1:]}


def states(found: dict[str, Finding]) -> str:
    """Return how the checks of recordings ended, a letter for each."""
    assert list(found)[: len(ALL)] == ALL
    return "".join(found[name].status[0] for name in ALL)


def add(kit: RealtimeKitStandIn, hours_ago: float = 1, **more: Any) -> StandInRecording:
    invoked = datetime.now(UTC) - timedelta(hours=hours_ago)
    video = MediaSource(SyntheticContent(1000, 1))
    return kit.add(StandInRecording(str(uuid.uuid4()), **{"video": video, "invoked_time": invoked, **more}))


def test_everything_right_is_told_with_few_requests(kit: RealtimeKitStandIn) -> None:
    add(kit)
    found = looked(kit)
    assert states(found) == "oooooooo"
    assert found["app"].told.endswith("my-first-app")
    assert found["download"].told.endswith("in ranges with a strong ETag: files are read in parallel, and resumed")
    assert len(kit.api_requests) == 5
    assert [request.range for request in kit.file_requests] == ["bytes=0-0"]


def test_without_recordings_it_is_not_known_whether_they_could_be_downloaded(kit: RealtimeKitStandIn) -> None:
    add(kit, status="RECORDING")
    add(kit, hours_ago=24 * 8, expired=True)
    found = looked(kit)
    assert states(found) == "ooooosso"
    assert found["recordings"].told == "may be read; none is UPLOADED just now"


def test_a_wrong_token_is_the_tokens_fault_and_nothing_elses(kit: RealtimeKitStandIn) -> None:
    found = looked(kit, cloudflare_api_token=SecretStr("another-token"))
    assert states(found) == "ofssssss"
    assert "Cloudflare does not know it (Invalid API Token)" in found["token"].told


def test_a_token_of_the_accounts_own_is_known_too(kit: RealtimeKitStandIn) -> None:
    kit.token_is_the_accounts = True
    add(kit)
    found = looked(kit)
    assert (states(found), found["token"].told) == ("oooooooo", "the account's own, active")
    # With another account nobody can tell which of the two is wrong, and it says so.
    assert "CLOUDFLARE_ACCOUNT_ID" in looked(kit, cloudflare_account_id="acc1" * 8)["token"].advice


def test_a_token_that_is_over_or_soon_will_be_says_when(kit: RealtimeKitStandIn) -> None:
    kit.token_details = {"status": "expired"}
    assert (states(looked(kit)), looked(kit)["token"].told) == ("ofssssss", "expired")
    soon = datetime.now(UTC) + timedelta(days=3)
    kit.token_details = {"status": "active", "expires_on": soon.strftime("%Y-%m-%dT%H:%M:%SZ")}
    token = looked(kit)["token"]
    assert (token.status, token.told) == ("warning", f"active until {soon:%Y-%m-%d %H:%M} UTC")
    late = datetime.now(UTC) + timedelta(days=400)
    kit.token_details = {"status": "active", "expires_on": late.strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert looked(kit)["token"].told == f"active until {late:%Y-%m-%d}"


def test_a_time_without_a_zone_is_utc_wherever_this_runs_and_one_beyond_the_calendar_is_passed_over(
    kit: RealtimeKitStandIn,
) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    kit.token_details = {"status": "active", "expires_on": f"{soon:%Y-%m-%dT%H:%M:%S}"}
    with local_time("UTC-14"):
        assert looked(kit)["token"].told == f"active until {soon:%Y-%m-%d %H:%M} UTC"
    kit.token_details = {"status": "active", "expires_on": "0001-01-01T00:00:00+23:59"}
    assert looked(kit)["token"].told == "active"


def test_a_wrong_account_is_told_from_a_wrong_token(kit: RealtimeKitStandIn) -> None:
    found = looked(kit, cloudflare_account_id="acc1" * 8)
    assert states(found) == "oofsssss"
    assert "HTTP 403" in found["account"].told
    assert "CLOUDFLARE_ACCOUNT_ID is not the account" in found["account"].advice


def test_a_permission_that_lacks_is_told_from_a_wrong_account_where_the_token_is_the_accounts(
    kit: RealtimeKitStandIn,
) -> None:
    kit.token_is_the_accounts = True
    kit.api_faults = lambda request: FORBIDDEN if "/realtime/" in request.path else None
    found = looked(kit)
    assert states(found) == "oofsssss"
    assert found["account"].advice.startswith("The token is this account's own, so it is the permission")


def test_a_wrong_app_is_told_with_those_that_there_are(kit: RealtimeKitStandIn) -> None:
    found = looked(kit, realtimekit_app_id="app1")
    assert states(found) == "ooofssss"
    assert found["app"].advice == f"Correct REALTIMEKIT_APP_ID. There are: {kit.app_id} (my-first-app)."


def test_recordings_that_may_not_be_read_are_told_from_an_app_that_is_not_there(kit: RealtimeKitStandIn) -> None:
    kit.api_faults = lambda request: AUTHENTICATION_ERROR if "/recordings" in request.path else None
    found = looked(kit)
    assert states(found) == "oooofsso"
    assert "Check CLOUDFLARE_API_TOKEN" in found["recordings"].told


def test_what_lists_recordings_is_good_enough_whatever_else_is_refused(kit: RealtimeKitStandIn) -> None:
    def only_recordings(request: ApiRequest) -> HtmlPage | Answer | None:
        if "/recordings" in request.path:
            return None
        return NO_ROUTE if "/apps" in request.path else HtmlPage()

    add(kit)
    kit.api_faults = only_recordings
    assert states(looked(kit)) == "ooooooos"


def test_a_verification_that_is_away_alone_is_no_failure(kit: RealtimeKitStandIn) -> None:
    add(kit)
    kit.api_faults = lambda request: Answer(500) if "/tokens/" in request.path else None
    assert states(looked(kit)) == "oooooooo"


def test_an_api_that_is_away_or_another_is_told_once_and_the_rest_is_skipped(kit: RealtimeKitStandIn) -> None:
    kit.api_faults = lambda _: Refuse()
    found = looked(kit)
    assert states(found) == "fsssssss"
    assert "cannot be reached: RemoteProtocolError" in found["API"].told
    kit.api_faults = lambda _: HtmlPage()
    assert "not what Cloudflare's API documents" in looked(kit)["API"].told


def test_a_hiccup_is_no_finding(kit: RealtimeKitStandIn) -> None:
    add(kit)
    kit.api_faults = [Answer.slow_down(None), None, Refuse("rst")]
    assert states(looked(kit)) == "oooooooo"


def test_realtimekits_bucket_is_off_if_no_recent_recording_has_a_url(kit: RealtimeKitStandIn) -> None:
    for hours_ago in (2, 3):
        add(kit, hours_ago, bucket_enabled=False)
    found = looked(kit)
    assert states(found) == "ooooofso"
    assert found["RealtimeKit's bucket"].told == "off: none of the 2 newest recordings has a download URL"
    assert "realtimekit_bucket_config.enabled" in found["RealtimeKit's bucket"].advice


def test_a_bucket_that_was_turned_off_or_on_lately_is_a_warning(kit: RealtimeKitStandIn) -> None:
    add(kit, 3)
    add(kit, 2, bucket_enabled=False)
    assert looked(kit)["RealtimeKit's bucket"].told == "off for the newest of 2 recordings, on for earlier ones"
    add(kit, 1)
    found = looked(kit)["RealtimeKit's bucket"]
    assert (found.status, found.told) == ("warning", "on for the newest, off for 1 of 3 recordings")


def test_a_server_of_the_files_that_cannot_be_reached_is_found_before_the_first_recording(
    kit: RealtimeKitStandIn,
) -> None:
    add(kit)
    kit.take_files_down()
    found = looked(kit)
    assert states(found) == "oooooofo"
    assert "X-Amz" not in found["download"].told
    kit.bring_files_back()
    kit.file_faults = [Answer.xml(404, "NoSuchKey", "gone")]
    assert looked(kit)["download"].status == "warning"


def test_the_apis_time_is_noted_even_where_it_refuses(kit: RealtimeKitStandIn) -> None:
    clocks = ClockSkew()
    kit.api_faults = lambda _: Headers("Date", "Thu, 26 Nov 2020 01:19:27 GMT", 403)
    looked(kit, clocks)
    assert clocks.ahead()["Cloudflare"] < -86_400


NEEDED = ", ".join(NEEDED_EVENTS)
HOOK = "https://hooks.example.com/webhook"


def webhook(kit: RealtimeKitStandIn) -> tuple[str, str]:
    """Return what is found of the webhook: how it is, and what is told of it."""
    found = looked(kit)["webhook"]
    return found.status, found.told


def test_without_a_webhook_it_is_noted_that_none_is_needed(kit: RealtimeKitStandIn) -> None:
    without = "and none is needed: the sweep finds all recordings. With a webhook, runs begin at once"
    assert webhook(kit) == ("ok", f"none is registered, {without}")
    kit.webhooks.register("https://other.example/in", ("meeting.ended", "recording.statusUpdate"))
    assert webhook(kit) == ("ok", f"none of 1 registered looks like the archiver's, {without}")


def test_a_webhook_that_fits_is_told_by_its_url(kit: RealtimeKitStandIn) -> None:
    kit.webhooks.register("https://u:leak@other.example/in?token=leak", NEEDED_EVENTS)
    assert webhook(kit) == ("ok", "https://other.example/in is enabled, and subscribed to all that is needed")
    kit.webhooks.register(HOOK, NEEDED_EVENTS, name="realtimekit-archiver")
    assert webhook(kit) == ("ok", f"{HOOK} is enabled, and subscribed to all that is needed")
    assert not [request for request in kit.api_requests if request.path.endswith("/webhooks/all")]


@pytest.mark.parametrize(
    ("registered", "told"),
    [
        ({"enabled": False}, f"{HOOK}: it is disabled"),
        (
            {"events": ("recording.statusUpdate",)},
            f"{HOOK}: it is not subscribed to {NEEDED.removeprefix('recording.statusUpdate, ')}",
        ),
        (
            {"events": NEEDED_EVENTS[:-1], "enabled": False},
            f"{HOOK}: it is disabled, it is not subscribed to {NEEDED_EVENTS[-1]}",
        ),
        ({"url": HOOK.replace("https", "http")}, f"{HOOK.replace('https', 'http')}: its URL is not https"),
    ],
)
def test_a_webhook_that_lacks_something_is_a_warning_and_says_how_to_mend_it(
    kit: RealtimeKitStandIn, registered: dict[str, Any], told: str
) -> None:
    kit.webhooks.register(**({"url": HOOK, "events": NEEDED_EVENTS} | registered))
    found = looked(kit)["webhook"]
    assert (found.status, found.told) == ("warning", told)
    assert found.advice.startswith("If it is this archiver's: ")
    assert "uv run python -m flows.webhook register URL" in found.advice


def test_of_several_webhooks_one_that_fits_is_enough_and_the_archivers_own_counts_first(
    kit: RealtimeKitStandIn,
) -> None:
    kit.webhooks.register(HOOK, ("recording.statusUpdate",))
    ours = kit.webhooks.register(HOOK, NEEDED_EVENTS, name="realtimekit-archiver")
    assert webhook(kit) == ("ok", f"{HOOK} is enabled, and subscribed to all that is needed")
    kit.webhooks.known[ours]["enabled"] = False
    kit.webhooks.register("https://other.example/in", NEEDED_EVENTS)
    assert webhook(kit)[0] == "warning"


def test_an_event_that_realtimekit_does_not_send_is_not_missed(kit: RealtimeKitStandIn) -> None:
    kit.webhooks.events = NEEDED_EVENTS[:-1]
    kit.webhooks.register(HOOK, NEEDED_EVENTS[:-1])
    fits = f"{HOOK} is enabled, and subscribed to all that is needed"
    assert webhook(kit) == ("ok", f"{fits}, as far as RealtimeKit sends it: not {NEEDED_EVENTS[-1]}")


def test_webhooks_that_cannot_be_listed_are_no_failure(kit: RealtimeKitStandIn) -> None:
    kit.api_faults = lambda request: FORBIDDEN if "/webhooks" in request.path else None
    status, told = webhook(kit)
    assert (status, told.startswith("not known: Cloudflare's API refused the request (HTTP 403")) == ("skipped", True)


def test_a_token_that_may_not_read_sessions_is_a_warning_as_recordings_arrive_all_the_same(
    kit: RealtimeKitStandIn,
) -> None:
    add(kit)
    assert looked(kit)["sessions"].told == "may be read; there is none"
    kit.add_session(StandInSession())
    assert looked(kit)["sessions"].told == "may be read"
    kit.api_faults = lambda request: FORBIDDEN if request.path.endswith("/sessions") else None
    found = looked(kit)
    assert (states(found), found["sessions"].status) == ("oooooooo", "warning")
    assert found["sessions"].told.startswith("may not be read (HTTP 403, ")
    assert "--sessions none" in found["sessions"].advice
