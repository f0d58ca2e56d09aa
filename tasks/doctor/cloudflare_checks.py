"""Checks of Cloudflare: the API, the token, the account, the app, and the server of the files.

A refusal seldom says which of token, permission, account and app is wrong: Cloudflare answers "Authentication error" to
most of it. So the token is verified by itself, as a user's and as the account's, and the account's apps are listed.
Sources: https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify,
…/api/resources/accounts/subresources/tokens/methods/verify, …/api/resources/realtime_kit/subresources/apps/methods/get.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from tasks.doctor.runner import Check, failed, ok, skipped, warning
from tasks.download import describe_object, send_get
from tasks.errors import ApiNonsense, ApiRefused, ApiUnavailable, ArchiverError, LinkRefused, SourceMissing
from tasks.realtimekit import Cloudflare, RealtimeKit, RecordingStatus
from tasks.text import quiet_http_logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tasks.doctor.clock_skew import Clocks
    from tasks.doctor.runner import CheckResult
    from tasks.realtimekit import Recording
    from tasks.settings import Settings


T = TypeVar("T")

GROUP = "Cloudflare"
API = "API"
TIMEOUT_S = 4.0
PATIENCE_S = 2.0
LOOKED_AT = 25
"""Recordings: the newest."""
RENEW_BEFORE = timedelta(days=14)
_NAMED = 5
_FIRST_BYTE = {"Range": "bytes=0-0"}
_TOKENS = "https://dash.cloudflare.com/profile/api-tokens"


def new_api_client(clocks: Clocks) -> httpx.Client:
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


class ApiCheckup:
    """What to look at on Cloudflare's side; each look after those that it needs, as they share what they found.

    Args:
        http: see `new_api_client`.
        source_http: see `tasks.download.http_client.new_http_client`.
        settings: as loaded.
        stop: set to end all waiting at once.
    """

    def __init__(self, http: httpx.Client, source_http: httpx.Client, settings: Settings, stop: Event) -> None:
        token = settings.cloudflare_api_token.get_secret_value()
        self._its = settings
        self._source_http = source_http
        self._cloudflare = Cloudflare(http, token, stop, PATIENCE_S)
        ids = (settings.cloudflare_account_id, settings.realtimekit_app_id)
        self._kit = RealtimeKit(http, settings.cloudflare_base_url, *ids, token, stop=stop, patience_s=PATIENCE_S)
        self._account_url = f"{settings.cloudflare_base_url}/accounts/{settings.cloudflare_account_id}"

    def checks(self) -> list[Check]:
        """Return what there is to look at."""
        return [
            Check(GROUP, API, self.reached, needs=("settings",)),
            Check(GROUP, "token", self.token, needs=(API,)),
            Check(GROUP, "account", self.account, needs=("token",)),
            Check(GROUP, "app", self.app, needs=("account",)),
            Check(GROUP, "recordings", self.recordings, needs=("app",)),
            Check(GROUP, "RealtimeKit's bucket", self.bucket, needs=("recordings",)),
            Check(GROUP, "download", self.download, needs=("recordings",)),
        ]

    def reached(self) -> CheckResult:
        """Look whether it is Cloudflare's API that answers."""
        began = time.monotonic()
        came: object = self._verified
        if isinstance(came, ApiNonsense) or (isinstance(came, ApiUnavailable) and came.reason.startswith("HTTP ")):
            came = self._listed  # a gateway may let nothing else through
        if isinstance(came, ArchiverError) and not isinstance(came, ApiRefused):
            raise came
        host = httpx.URL(self._its.cloudflare_base_url).netloc.decode()
        return ok(f"{host} answers, in {time.monotonic() - began:.1f} s")

    def token(self) -> CheckResult:
        """Look whether the token is one: a user's, the account's, or any that lists recordings."""
        verified = self._verified if isinstance(self._verified, dict) else self._verified_by_account
        if isinstance(verified, dict):
            return _of_token(verified, "" if verified is self._verified else "the account's own, ")
        if isinstance(self._listed, list):
            return ok("accepted")
        said = self._verified if isinstance(self._verified, ApiRefused) else verified
        why = said.message if isinstance(said, ApiRefused) else type(said).__name__
        return failed(
            f"Cloudflare does not know it ({why}), neither as a user's token nor as one of the account's",
            f"Copy CLOUDFLARE_API_TOKEN anew, or make one with the permission Realtime: {_TOKENS}. A token of the "
            "account's own is known only together with the right CLOUDFLARE_ACCOUNT_ID.",
        )

    def account(self) -> CheckResult:
        """Look whether the token may see RealtimeKit in the account."""
        if isinstance(self._apps, list):
            return ok(f"RealtimeKit's apps may be seen: {len(self._apps)}")
        if isinstance(self._listed, list):
            return ok("its recordings may be read")
        if not isinstance(self._apps, ApiRefused):
            raise self._apps
        if isinstance(self._verified_by_account, dict):
            advice = f"The token is this account's own, so it is the permission: give it Realtime at {_TOKENS}."
        elif self._apps.status in {401, 403}:
            advice = (
                "Either the token lacks the permission Realtime, or CLOUDFLARE_ACCOUNT_ID is not the account that it "
                f"is for: compare both at {_TOKENS}."
            )
        else:
            advice = "Check CLOUDFLARE_ACCOUNT_ID: 32 hexadecimal digits, as the dashboard's address shows them."
        return failed(f"no access to RealtimeKit: HTTP {self._apps.status}, {self._apps.message}", advice)

    def app(self) -> CheckResult:
        """Look whether the app is one of the account's."""
        wanted = self._its.realtimekit_app_id
        apps = self._apps if isinstance(self._apps, list) else []
        for app_id, name in apps:
            if _plain(app_id) == _plain(wanted):
                return ok(f"{wanted}{f', {name[:60]}' if name else ''}")
        if isinstance(self._listed, list) and (self._listed or not apps):
            return ok(f"{wanted}, its recordings can be listed")
        named = ", ".join(f"{app_id} ({name[:40]})" for app_id, name in apps[:_NAMED]) or "none"
        more = f", and {len(apps) - _NAMED} more" if len(apps) > _NAMED else ""
        return failed(
            f"{wanted} is none of the account's apps", f"Correct REALTIMEKIT_APP_ID. There are: {named}{more}."
        )

    def recordings(self) -> CheckResult:
        """Look whether recordings may be read."""
        if isinstance(self._listed, ArchiverError):
            raise self._listed
        if not self._listed:
            return ok("may be read; none is UPLOADED just now")
        count = len(self._listed)
        return ok(f"may be read; {'at least ' if count == LOOKED_AT else ''}{count} UPLOADED and not expired")

    def bucket(self) -> CheckResult:
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

    def download(self) -> CheckResult:
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

    @property
    def _recent(self) -> list[Recording]:
        now = datetime.now(UTC)
        listed = self._listed if isinstance(self._listed, list) else []
        return [recording for recording in listed if not recording.has_left_the_bucket(now)]

    @cached_property
    def _verified(self) -> dict[str, Any] | ArchiverError:
        return _outcome(lambda: self._verify(f"{self._its.cloudflare_base_url}/user/tokens/verify"))

    @cached_property
    def _verified_by_account(self) -> dict[str, Any] | ArchiverError:
        return _outcome(lambda: self._verify(f"{self._account_url}/tokens/verify"))

    @cached_property
    def _listed(self) -> list[Recording] | ArchiverError:
        return _outcome(lambda: self._kit.newest({"status": RecordingStatus.UPLOADED, "expired": False}, LOOKED_AT))

    @cached_property
    def _apps(self) -> list[tuple[str, str]] | ArchiverError:
        def apps() -> list[tuple[str, str]]:
            data = self._cloudflare.get(f"{self._account_url}/realtime/kit/apps", {"per_page": 100})["data"]
            entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
            return [(str(entry.get("id")), str(entry.get("name") or "")) for entry in entries]

        return _outcome(apps)

    def _verify(self, url: str) -> dict[str, Any]:
        result = self._cloudflare.get(url, {}, holds="result")["result"]
        if not isinstance(result, dict):
            raise ApiNonsense("the verification of a token that is none")
        return result


def _outcome(call: Callable[[], T]) -> T | ArchiverError:
    try:
        return call()
    except ArchiverError as error:
        return error


def _of_token(verified: dict[str, Any], kind: str) -> CheckResult:
    status = str(verified.get("status"))
    if status != "active":
        return failed(f"{kind}{status[:40]}", f"Make a new one with the permission Realtime: {_TOKENS}")
    expires = None
    with suppress(ValueError, TypeError, OverflowError):
        named = datetime.fromisoformat(str(verified.get("expires_on")))
        expires = named.replace(tzinfo=named.tzinfo or UTC).astimezone(UTC)
    if expires is None:
        return ok(f"{kind}active")
    left = expires - datetime.now(UTC)
    if left < RENEW_BEFORE:
        return warning(f"{kind}active until {expires:%Y-%m-%d %H:%M} UTC", f"Renew it in time: {_TOKENS}")
    return ok(f"{kind}active until {expires:%Y-%m-%d}")


def _plain(app_id: str) -> str:
    """Return an id as one word: the documentation has it with hyphens and without."""
    return app_id.replace("-", "").lower()
