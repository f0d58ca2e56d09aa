"""The stand-in's RealtimeKit API: recordings alone and listed, and sessions with what belongs to them."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.standins.faults import Answer, Exchange, next_fault
from tests.standins.loopback import Delivery, Incoming
from tests.standins.recordings import timestamp
from tests.standins.requests import ApiRequest, Ledger, number_api_request
from tests.standins.sessions import PATHS as SESSION_PATHS
from tests.standins.sessions import Sessions
from tests.standins.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.standins.knobs import Knobs
    from tests.standins.links import LinkOffice
    from tests.standins.recordings import StandInRecording
    from tests.standins.wire import Reply

T = TypeVar("T")

BASE_PATH: Final = "/client/v4"
_PATH = re.compile(rf"{BASE_PATH}/accounts/([^/]+)/realtime/kit/([^/]+)/recordings(?:/([^/]+))?")
_WEBHOOKS = re.compile(rf"{BASE_PATH}/accounts/([^/]+)/realtime/kit/([^/]+)/webhooks(?:/([^/]+))?")
_VERIFY = re.compile(rf"{BASE_PATH}/(?:user|accounts/([^/]+))/tokens/verify")
_OF_APP = re.compile(rf"{BASE_PATH}/accounts/[^/]+/realtime/kit/([^/]+)/")
_APPS = re.compile(rf"{BASE_PATH}/accounts/([^/]+)/realtime/kit/apps")
DEFAULT_PER_PAGE: Final = 25
DEFAULT_APPS_PER_PAGE: Final = 20

AUTHENTICATION_ERROR = Answer.failure(10000, "Authentication error", 401)
FORBIDDEN = Answer.failure(10000, "Authentication error", 403)
INVALID_TOKEN = Answer.failure(1000, "Invalid API Token", 401)
NO_ROUTE = Answer.failure(7003, "Could not route to the requested path", 404)
NO_APP = Answer.refusal(404, "App not found")
NO_RECORDING = Answer.refusal(404, "Recording not found")
BAD_QUERY = Answer.refusal(400, "Invalid query parameter")
BAD_METHOD = Answer.failure(10405, "Method not allowed", 405)


class Api:
    """Answers requests to the API."""

    def __init__(self, knobs: Knobs, links: LinkOffice, account_id: str, app_id: str, token: str) -> None:
        self.ledger: Ledger[ApiRequest] = Ledger()
        self.recordings: dict[str, StandInRecording] = {}
        self._knobs = knobs
        self._links = links
        self._account_id = account_id
        self._app_id = app_id
        self._token = token
        self._lock = threading.RLock()
        self.webhooks = Webhooks()
        self.sessions = Sessions(app_id)
        self.others: dict[str, Api] = {}

    def add(self, recording: StandInRecording) -> None:
        """Make a recording known."""
        with self._lock:
            self.recordings[recording.id] = recording

    def folder(self, recording_id: str) -> str:
        """Return the path that a recording's files have on the file server."""
        return f"/realtimekit-recordings/{self._app_id}/{recording_id}/"

    def answer(self, incoming: Incoming) -> Delivery:
        """Return the answer to one request."""
        request = self._take_in(incoming)
        try:
            if self._knobs.on_api_request is not None:
                self._knobs.on_api_request(request)
            exchange = Exchange(incoming.target, lambda: self._honest(request))
            request.fault = next_fault(self._knobs.api_faults, request)
            reply = request.fault.shape(exchange) if request.fault else exchange.honest
        except BaseException:
            self.ledger.close()
            raise
        request.status = reply.status_sent
        sent = reply.bodiless() if incoming.method == "HEAD" and not reply.cut else reply
        return Delivery(sent, on_done=self.ledger.close)

    def _take_in(self, incoming: Incoming) -> ApiRequest:
        parts = urlsplit(incoming.target)
        route = _PATH.fullmatch(parts.path)
        recording_id = unquote(route[3]) if route and route[3] else None
        query = parse_qs(parts.query, keep_blank_values=True)
        request = ApiRequest(incoming.method, parts.path, query, incoming.headers, recording_id, incoming.body)
        self.ledger.open(request, number_api_request)
        return request

    def _honest(self, request: ApiRequest) -> Reply:
        route = _OF_APP.match(request.path)
        if route and (other := self.others.get(unquote(route[1]))):
            return other._honest(request)
        return (self._of_account(request) or self._refusal(request) or self._found(request)).reply()

    def _of_account(self, request: ApiRequest) -> Answer | None:
        """Return the answer about the token itself, or about the account's apps, if the request is for that."""
        known = request.headers.get("authorization") == f"Bearer {self._token}"
        if verify := _VERIFY.fullmatch(request.path):
            owner = None if not self._knobs.token_is_the_accounts else self._account_id
            if not known or verify[1] != owner:
                return INVALID_TOKEN
            return Answer.json({"success": True, "errors": [], "result": dict(self._knobs.token_details)})
        if apps := _APPS.fullmatch(request.path):
            if not known or apps[1] != self._account_id:
                return FORBIDDEN if known else AUTHENTICATION_ERROR
            return self._page_of_apps(request.query)
        return None

    def _page_of_apps(self, query: Mapping[str, list[str]]) -> Answer:
        created = timestamp(self._knobs.now() - timedelta(days=400))
        names = {self._app_id: "my-first-app"} | dict.fromkeys(self.others, "another-app")
        apps = [{"id": app_id, "name": name, "created_at": created} for app_id, name in names.items()]
        number, size = int(_one(query, "page_no", "1")), int(_one(query, "per_page", str(DEFAULT_APPS_PER_PAGE)))
        page, offsets = _cut(apps, number, min(size, self._knobs.largest_page_of_apps))
        return Answer.json({"success": True, "data": page, "paging": {"total_count": len(apps), **offsets}})

    def _refusal(self, request: ApiRequest) -> Answer | None:
        webhooks = _WEBHOOKS.fullmatch(request.path)
        route = webhooks or _PATH.fullmatch(request.path) or SESSION_PATHS.fullmatch(request.path)
        refusals = (
            (route is None, NO_ROUTE),
            (request.headers.get("authorization") != f"Bearer {self._token}", AUTHENTICATION_ERROR),
            (route and unquote(route[1]) != self._account_id, FORBIDDEN),
            (route and unquote(route[2]) != self._app_id, NO_APP),
            (not webhooks and request.method != "GET", BAD_METHOD),
        )
        return next((answer for applies, answer in refusals if applies), None)

    def _found(self, request: ApiRequest) -> Answer:
        with self._lock:
            if webhooks := _WEBHOOKS.fullmatch(request.path):
                return self.webhooks.answer(request.method, webhooks[3], request.body, self._knobs.now())
            if sessions := SESSION_PATHS.fullmatch(request.path):
                issued = self._knobs.now()
                expiry = self._links.expiry(issued)
                return self.sessions.answer(
                    sessions, request.query, lambda path: self._links.link(path, issued), expiry
                )
            if request.recording_id is None:
                return self._page(request.query)
            recording = self.recordings.get(request.recording_id)
            if recording is None:
                return NO_RECORDING
            recording.next_status()
            return Answer.json({"success": True, "data": self._described(recording)})

    def _described(self, recording: StandInRecording) -> dict[str, object]:
        issued, folder = self._knobs.now(), self.folder(recording.id)
        return recording.describe(lambda path: self._links.link(folder + path, issued), self._links.expiry(issued))

    def _listed(self, recording: StandInRecording) -> dict[str, object]:
        """Return a recording as the list has it: with its meeting, but not who started and stopped it."""
        described = self._described(recording)
        details = {name: value for name, value in described.items() if name not in {"start_reason", "stop_reason"}}
        return {**details, "meeting": _meeting(recording)}

    def _page(self, query: Mapping[str, list[str]]) -> Answer:
        try:
            if not set(_statuses(query)) <= self._knobs.statuses:
                return BAD_QUERY
            chosen = select(list(self.recordings.values()), query)
            number, size = int(_one(query, "page_no", "1")), int(_one(query, "per_page", str(DEFAULT_PER_PAGE)))
        except ValueError:
            return BAD_QUERY
        if number < 0 or size < 0:
            return BAD_QUERY
        page, offsets = _cut(chosen, number, size)
        data = [self._listed(recording) for recording in page]
        return Answer.json({"success": True, "data": data, "paging": {"total_count": len(chosen), **offsets}})


def _cut(entries: list[T], number: int, size: int) -> tuple[list[T], dict[str, int]]:
    """Return a page of a list, and its offsets: from 1, and inclusive; a page past the end is empty, with both at 0."""
    start = (max(number, 1) - 1) * size
    page = entries[start : start + size]
    return page, {"start_offset": start + 1 if page else 0, "end_offset": start + len(page) if page else 0}


def select(recordings: list[StandInRecording], query: Mapping[str, list[str]]) -> list[StandInRecording]:
    """Return the recordings that a list query is for, in its order (newest first unless it says otherwise).

    Raise ValueError for a query that makes no sense.
    """
    statuses = _statuses(query)
    after = datetime.fromisoformat(_one(query, "start_time", "0001-01-02T00:00:00Z"))
    before = datetime.fromisoformat(_one(query, "end_time", "9999-12-30T00:00:00Z"))
    expired = _choice(query, "expired", "", {"", "true", "false"})
    meeting, words = _one(query, "meeting_id", ""), _one(query, "search", "")
    chosen = [
        recording
        for recording in recordings
        if (not statuses or recording.status in statuses)
        and (not expired or recording.expired == (expired == "true"))
        and meeting in {"", recording.meeting_id}
        and (words in recording.meeting_id or words in _title(recording))
        and _aware(after) <= recording.invoked_time <= _aware(before)
    ]
    _choice(query, "sort_by", "invokedTime", {"invokedTime"})
    descending = _choice(query, "sort_order", "DESC", {"ASC", "DESC"}) == "DESC"
    return sorted(chosen, key=lambda recording: recording.invoked_time, reverse=descending)


def _statuses(query: Mapping[str, list[str]]) -> list[str]:
    return [status for value in query.get("status", []) for status in value.split(",")]


def _one(query: Mapping[str, list[str]], name: str, default: str) -> str:
    return query.get(name, [default])[-1]


def _choice(query: Mapping[str, list[str]], name: str, default: str, allowed: set[str]) -> str:
    value = _one(query, name, default)
    if value not in allowed:
        raise ValueError(value)
    return value


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _meeting(recording: StandInRecording) -> dict[str, object]:
    created = timestamp(recording.invoked_time - timedelta(minutes=5))
    return {
        "id": recording.meeting_id,
        "title": _title(recording),
        "status": "ACTIVE",
        "created_at": created,
        "updated_at": created,
    }


def _title(recording: StandInRecording) -> str:
    return f"Meeting {recording.meeting_id[:8]}"
