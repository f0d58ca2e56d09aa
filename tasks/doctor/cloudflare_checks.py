"""Checks of Cloudflare: the API, the token, the account, the app, the server of the files, and the webhook.

A refusal seldom says which of token, permission, account and app is wrong: Cloudflare answers "Authentication error" to
most of it. So the token is verified by itself, as a user's and as the account's, and the account's apps are listed.
Sources: https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify,
…/api/resources/accounts/subresources/tokens/methods/verify, …/api/resources/realtime_kit/subresources/apps/methods/get.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from tasks.app_ids import same_app
from tasks.doctor.runner import Check, failed, ok, skipped, warning
from tasks.doctor.webhook_check import check_webhook
from tasks.download import describe_object, send_get
from tasks.errors import ApiNonsense, ApiRefused, ApiUnavailable, ArchiverError, LinkRefused, SourceMissing
from tasks.realtimekit import AccountApps, Cloudflare, MeetingSessions, RealtimeKit, RecordingStatus
from tasks.realtimekit.webhook_registrations import WebhookRegistrations
from tasks.text import quiet_http_logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tasks.doctor.clock_skew import ClockSkew
    from tasks.doctor.runner import CheckResult
    from tasks.realtimekit import App, Recording
    from tasks.settings import Settings


T = TypeVar("T")

GROUP = "Cloudflare"
API = "API"
TIMEOUT_S = 4.0
PATIENCE_S = 2.0
NEWEST_COUNT = 25
"""Recordings: the newest."""
LATE_WEBHOOK = skipped("not known: no answer in time")
RENEW_BEFORE = timedelta(days=14)
_NAMED_APPS = 5
_FIRST_BYTE = {"Range": "bytes=0-0"}
_TOKENS = "https://dash.cloudflare.com/profile/api-tokens"


def new_api_client(clocks: ClockSkew) -> httpx.Client:
    """Return a client for the API that does not wait for long, and notes what its answers say about the time."""
    quiet_http_logs()
    sent: dict[int, float] = {}

    def note_request(request: httpx.Request) -> None:
        sent[id(request)] = time.time()

    def note_response(response: httpx.Response) -> None:
        began = sent.pop(id(response.request), None)
        if began is not None:
            clocks.note("Cloudflare", began, time.time(), response.headers.get("Date"))

    return httpx.Client(timeout=TIMEOUT_S, event_hooks={"request": [note_request], "response": [note_response]})


class CloudflareChecks:
    """What to look at on Cloudflare's side; each look after those that it needs, as they share what they found.

    Args:
        http: see `new_api_client`.
        source_http: see `tasks.download.http_client.new_http_client`.
        settings: as loaded.
        stop: set to end all waiting at once.
    """

    def __init__(self, http: httpx.Client, source_http: httpx.Client, settings: Settings, stop: Event) -> None:
        token = settings.cloudflare_api_token.get_secret_value()
        self._settings = settings
        self._source_http = source_http
        self._cloudflare = Cloudflare(http, token, stop, PATIENCE_S)
        app = (http, settings.cloudflare_base_url, settings.cloudflare_account_id, settings.realtimekit_app_id, token)
        self._realtimekit = RealtimeKit(*app, stop=stop, patience_s=PATIENCE_S)
        self._meeting_sessions = MeetingSessions(*app, stop=stop, patience_s=PATIENCE_S)
        self._webhooks = WebhookRegistrations(*app, stop=stop, patience_s=PATIENCE_S)
        self._account_apps = AccountApps(
            http, app[1], settings.cloudflare_account_id, token, stop=stop, patience_s=PATIENCE_S, block_s=0.0
        )
        self._account_url = f"{settings.cloudflare_base_url}/accounts/{settings.cloudflare_account_id}"

    def checks(self) -> list[Check]:
        """Return what there is to look at."""
        return [
            Check(GROUP, API, self.check_api, needs=("settings",)),
            Check(GROUP, "token", self.check_token, needs=(API,)),
            Check(GROUP, "account", self.check_account, needs=("token",)),
            Check(GROUP, "app", self.check_app, needs=("account",)),
            Check(GROUP, "recordings", self.check_recordings, needs=("app",)),
            Check(GROUP, "RealtimeKit's bucket", self.check_bucket, needs=("recordings",)),
            Check(GROUP, "download", self.check_download, needs=("recordings",)),
            Check(GROUP, "webhook", lambda: check_webhook(self._webhooks), needs=("app",), late=LATE_WEBHOOK),
            Check(GROUP, "sessions", self.check_sessions, needs=("app",)),
        ]

    def check_for_another(self, name: str) -> Check:
        """Return the one check of an app besides that of the settings.

        Args:
            name: of the check.
        """
        return Check(GROUP, name, self.check_other_app, needs=("account",))

    def check_other_app(self) -> CheckResult:
        """Look whether the app is one of the account's, and its recordings may be read."""
        app = self.check_app()
        if app.status == "failed":
            return replace(app, advice=app.advice.replace("Correct REALTIMEKIT_APP_ID", "Correct the app's id"))
        recordings = self.check_recordings()
        return replace(app, told=f"{app.told}; its recordings {recordings.told}")

    def check_api(self) -> CheckResult:
        """Look whether it is Cloudflare's API that answers."""
        began = time.monotonic()
        came: object = self._token_verification
        if isinstance(came, ApiNonsense) or (isinstance(came, ApiUnavailable) and came.reason.startswith("HTTP ")):
            came = self._newest  # a gateway may let nothing else through
        if isinstance(came, ArchiverError) and not isinstance(came, ApiRefused):
            raise came
        host = httpx.URL(self._settings.cloudflare_base_url).netloc.decode()
        return ok(f"{host} answers, in {time.monotonic() - began:.1f} s")

    def check_token(self) -> CheckResult:
        """Look whether the token is one: a user's, the account's, or any that lists recordings."""
        verified = (
            self._token_verification if isinstance(self._token_verification, dict) else self._account_token_verification
        )
        if isinstance(verified, dict):
            return _describe_token(verified, "" if verified is self._token_verification else "the account's own, ")
        if isinstance(self._newest, list):
            return ok("accepted")
        failure = self._token_verification if isinstance(self._token_verification, ApiRefused) else verified
        why = failure.message if isinstance(failure, ApiRefused) else type(failure).__name__
        return failed(
            f"Cloudflare does not know it ({why}), neither as a user's token nor as one of the account's",
            f"Copy CLOUDFLARE_API_TOKEN anew, or make one with the permission Realtime: {_TOKENS}. A token of the "
            "account's own is known only together with the right CLOUDFLARE_ACCOUNT_ID.",
        )

    def check_account(self) -> CheckResult:
        """Look whether the token may see RealtimeKit in the account."""
        if isinstance(self._apps, list):
            return ok(f"RealtimeKit's apps may be seen: {len(self._apps)}")
        if isinstance(self._newest, list):
            return ok("its recordings may be read")
        if not isinstance(self._apps, ApiRefused):
            raise self._apps
        if isinstance(self._account_token_verification, dict):
            advice = f"The token is this account's own, so it is the permission: give it Realtime at {_TOKENS}."
        elif self._apps.status in {401, 403}:
            advice = (
                "Either the token lacks the permission Realtime, or CLOUDFLARE_ACCOUNT_ID is not the account that it "
                f"is for: compare both at {_TOKENS}."
            )
        else:
            advice = "Check CLOUDFLARE_ACCOUNT_ID: 32 hexadecimal digits, as the dashboard's address shows them."
        return failed(f"no access to RealtimeKit: HTTP {self._apps.status}, {self._apps.message}", advice)

    def check_app(self) -> CheckResult:
        """Look whether the app is one of the account's."""
        wanted = self._settings.realtimekit_app_id
        apps = self._apps if isinstance(self._apps, list) else []
        for app in apps:
            if same_app(app.id, wanted):
                return ok(f"{wanted}{f', {app.name[:60]}' if app.name else ''}")
        if isinstance(self._newest, list) and (self._newest or not apps):
            return ok(f"{wanted}, its recordings can be listed")
        named = ", ".join(f"{app.id} ({app.name[:40]})" for app in apps[:_NAMED_APPS]) or "none"
        more = f", and {len(apps) - _NAMED_APPS} more" if len(apps) > _NAMED_APPS else ""
        return failed(
            f"{wanted} is none of the account's apps", f"Correct REALTIMEKIT_APP_ID. There are: {named}{more}."
        )

    def check_recordings(self) -> CheckResult:
        """Look whether recordings may be read."""
        if isinstance(self._newest, ArchiverError):
            raise self._newest
        if not self._newest:
            return ok("may be read; none is UPLOADED just now")
        count = len(self._newest)
        return ok(f"may be read; {'at least ' if count == NEWEST_COUNT else ''}{count} UPLOADED and not expired")

    def check_bucket(self) -> CheckResult:
        """Look whether recordings can be downloaded at all, as far as recent ones show it."""
        recent = self._recent
        if not recent:
            return skipped("not known: there is no recent recording that could show it")
        without = [recording for recording in recent if not recording.media and not recording.without_url]
        advice = (
            "RealtimeKit's own bucket is off (realtimekit_bucket_config.enabled = false), and the files go straight to "
            "your storage: nothing can be archived from here. Turn it on where recordings are started."
        )
        if len(without) == len(recent):
            return failed(f"off: none of the {len(recent)} newest recordings has a download URL", advice)
        if recent[0] in without:
            return warning(f"off for the newest of {len(recent)} recordings, on for earlier ones", advice)
        if without:
            return warning(f"on for the newest, off for {len(without)} of {len(recent)} recordings", advice)
        return ok(f"on, as recent recordings show: {len(recent)} with download URLs")

    def check_download(self) -> CheckResult:
        """Look whether the files' server can be reached from here, and what it can do: the first byte of a file."""
        files = [media for recording in self._recent for media in recording.media]
        if not files:
            return skipped("not known: there is no recent recording to try")
        file = files[0]
        advice = "Let this machine reach the server of RealtimeKit's download URLs, an https address of R2's."
        try:
            with closing(send_get(self._source_http, file.kind, file.url, _FIRST_BYTE)) as answer:
                source, _ = describe_object(file.kind, answer, 1)
        except (SourceMissing, LinkRefused) as refused:
            return warning(str(refused), "Try again; if it stays so, compare with RealtimeKit's dashboard.")
        except ArchiverError as error:
            return failed(str(error), advice)
        host = httpx.URL(file.url).netloc.decode()
        if not source.ranged:
            return ok(f"{host} answers, without ranges or strong ETag: one stream for each file, no resumption")
        return ok(f"{host} answers, in ranges with a strong ETag: files are read in parallel, and resumed")

    def check_sessions(self) -> CheckResult:
        """Look whether sessions may be read, as sweeps do for transcripts, chats and summaries."""
        try:
            newest = self._meeting_sessions.newest()
        except ArchiverError as error:
            why = f"HTTP {error.status}, {error.message}" if isinstance(error, ApiRefused) else type(error).__name__
            return warning(
                f"may not be read ({why}): recordings arrive, but no transcript, chat or summary",
                f"Give the token the permission Realtime: {_TOKENS}. Or sweep without sessions: --sessions none.",
            )
        return ok("may be read" if newest else "may be read; there is none")

    @property
    def _recent(self) -> list[Recording]:
        now = datetime.now(UTC)
        listed = self._newest if isinstance(self._newest, list) else []
        return [recording for recording in listed if not recording.has_left_the_bucket(now)]

    @cached_property
    def _token_verification(self) -> dict[str, Any] | ArchiverError:
        return _catch_error(lambda: self._verify(f"{self._settings.cloudflare_base_url}/user/tokens/verify"))

    @cached_property
    def _account_token_verification(self) -> dict[str, Any] | ArchiverError:
        return _catch_error(lambda: self._verify(f"{self._account_url}/tokens/verify"))

    @cached_property
    def _newest(self) -> list[Recording] | ArchiverError:
        return _catch_error(
            lambda: self._realtimekit.newest({"status": RecordingStatus.UPLOADED, "expired": False}, NEWEST_COUNT)
        )

    @cached_property
    def _apps(self) -> list[App] | ArchiverError:
        return _catch_error(self._account_apps.all)

    def _verify(self, url: str) -> dict[str, Any]:
        result = self._cloudflare.get(url, {}, holds="result")["result"]
        if not isinstance(result, dict):
            raise ApiNonsense("the verification of a token that is none")
        return result


def _catch_error(call: Callable[[], T]) -> T | ArchiverError:
    try:
        return call()
    except ArchiverError as error:
        return error


def _describe_token(verified: dict[str, Any], kind: str) -> CheckResult:
    status = str(verified.get("status"))
    if status != "active":
        return failed(f"{kind}{status[:40]}", f"Make a new one with the permission Realtime: {_TOKENS}")
    expires = None
    with suppress(ValueError, TypeError, OverflowError):
        expiry = datetime.fromisoformat(str(verified.get("expires_on")))
        expires = expiry.replace(tzinfo=expiry.tzinfo or UTC).astimezone(UTC)
    if expires is None:
        return ok(f"{kind}active")
    left = expires - datetime.now(UTC)
    if left < RENEW_BEFORE:
        return warning(f"{kind}active until {expires:%Y-%m-%d %H:%M} UTC", f"Renew it in time: {_TOKENS}")
    return ok(f"{kind}active until {expires:%Y-%m-%d}")
