"""Where RealtimeKit sends an app's webhooks: registrations, read, made, mended and removed.

There is no secret to a registration: what is sent is signed with one key of RealtimeKit's, which `webhook_signature`
verifies. Registrations of other URLs belong to others, and are never changed.
Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/webhooks/
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote

import httpx

from tasks.errors import ApiNonsense, ApiRefused, ApiUnavailable, WebhookNotFound, WebhookNotTaken
from tasks.realtimekit.app_api import AppApi
from tasks.realtimekit.values import LONGEST_URL, as_text
from tasks.realtimekit.webhook_event import NEEDED_EVENTS, STATUS_UPDATE
from tasks.retry import Patience
from tasks.text import safe_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

Action: TypeAlias = Literal["registered", "mended", "unchanged"]

NAME = "realtimekit-archiver"
DEEPEST_NAME = 4
"""Levels of the list of events that are searched for names: its form is documented nowhere."""
LARGEST_PORT = 65_535
_URL_WANTED = "must be an https:// URL without user, query and fragment"


@dataclass(frozen=True)
class WebhookRegistration:
    """One registered webhook."""

    id: str
    name: str
    url: str
    events: tuple[str, ...]
    is_enabled: bool

    @property
    def place(self) -> str:
        """The URL as it may be shown."""
        return safe_line(self.url)

    def problems(self, wanted: Collection[str]) -> list[str]:
        """Return what keeps events from arriving, each in a few words.

        Args:
            wanted: the events that have to arrive.
        """
        missing = [event for event in wanted if event not in self.events]
        problems = {
            "it is disabled": not self.is_enabled,
            "its URL is not https": not self.url.lower().startswith("https://"),
            f"it is not subscribed to {', '.join(missing)}": bool(missing),
        }
        return [problem for problem, applies in problems.items() if applies]


@dataclass(frozen=True)
class EnsuredWebhook:
    """A registration that is as it has to be, and what was done for that."""

    action: Action
    registration: WebhookRegistration
    not_offered: tuple[str, ...]  # events that are needed, and that RealtimeKit does not send


def parse_webhook_url(text: str) -> str:
    """Return a URL in its canonical form; RealtimeKit has to reach it, and what is sent there is nobody else's.

    Raises:
        ValueError: it is not https, or holds what may be a secret.
    """
    try:
        url = httpx.URL(text.strip()) if len(text) <= LONGEST_URL else None
    except (httpx.InvalidURL, ValueError):
        url = None
    if url is None or url.scheme != "https" or not url.host or (url.port or 443) > LARGEST_PORT:
        raise ValueError(_URL_WANTED)
    if url.userinfo or set("?#") & set(text):
        raise ValueError(_URL_WANTED)
    return str(url)


class WebhookRegistrations(AppApi):
    """The registered webhooks of one app."""

    not_found = WebhookNotFound
    kind = "webhook"

    def all(self) -> list[WebhookRegistration]:
        """Return all registrations, whoever has made them.

        Raises:
            ApiRefused, ApiNonsense: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        data = self._api.get(self._url, {})["data"]
        if not isinstance(data, list):
            raise ApiNonsense("a list of webhooks that is none")
        return [parse_registration(entry) for entry in data if isinstance(entry, dict) and as_text(entry.get("id"))]

    def wanted_events(self) -> tuple[str, ...]:
        """Return the events to subscribe to: of those that are needed, the ones that RealtimeKit says it sends.

        Raises:
            ApiUnavailable: as for all registrations.
        """
        try:
            offered = frozenset(_names(self._api.get(f"{self._url}/all", {})["data"]))
        except (ApiRefused, ApiNonsense):
            return NEEDED_EVENTS
        return tuple(event for event in NEEDED_EVENTS if event in offered or STATUS_UPDATE not in offered)

    def ensure(self, url: str, name: str = "") -> EnsuredWebhook:
        """Have a URL registered, enabled and subscribed to all events that are needed.

        A change is not sent again blindly, as a second registration would deliver everything twice: after one that
        nobody answered, the list says what came of it.

        Args:
            url: as `parse_webhook_url` returns it.
            name: of the registration; empty for the name that it has, or `NAME` for a new one.

        Raises:
            ApiRefused, ApiNonsense, WebhookNotTaken: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        patience, attempt = Patience(self._patience_s, self._stop), 0
        action: Action = "unchanged"
        wanted, is_done = self.wanted_events(), False
        while True:
            present = self._best(url, wanted)
            changes = _changes(present, url, name, wanted)
            if present and not changes:
                return EnsuredWebhook(action, present, tuple(event for event in NEEDED_EVENTS if event not in wanted))
            if is_done:
                raise WebhookNotTaken(url, f"{', '.join(changes)} differ" if present else "it is not listed")
            attempt, action = attempt + 1, "mended" if present else "registered"
            try:
                self._apply(present, changes)
                is_done = True
            except ApiUnavailable as away:
                patience.pause(away, attempt)

    def remove(self, url: str) -> int:
        """Remove all registrations of a URL, and return how many there were.

        Raises:
            ApiRefused, ApiNonsense, WebhookNotTaken: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        patience, attempt = Patience(self._patience_s, self._stop), 0
        gone: set[str] = set()
        while left := self._of(url):
            if any(registration.id in gone for registration in left):
                raise WebhookNotTaken(url, "it is still registered")
            attempt += 1
            try:
                for registration in left:
                    self._delete(registration)
                    gone.add(registration.id)
            except ApiUnavailable as away:
                patience.pause(away, attempt)
        return len(gone)

    @property
    def _url(self) -> str:
        return f"{self._app_url}/webhooks"

    def _of(self, url: str) -> list[WebhookRegistration]:
        return [registration for registration in self.all() if _canonical(registration.url) == _canonical(url)]

    def _best(self, url: str, wanted: Sequence[str]) -> WebhookRegistration | None:
        """Return the registration of a URL that lacks the least; None if there is none."""
        return min(self._of(url), key=lambda registration: len(_changes(registration, url, "", wanted)), default=None)

    def _apply(self, present: WebhookRegistration | None, changes: Mapping[str, object]) -> None:
        method, url = ("PATCH", self._url_of(present)) if present else ("POST", self._url)
        with suppress(ApiNonsense):  # such as no data: the list says whether it is done
            self._api.change(method, url, changes)

    def _delete(self, registration: WebhookRegistration) -> None:
        with suppress(ApiNonsense, WebhookNotFound):
            self._api.change("DELETE", self._url_of(registration))

    def _url_of(self, registration: WebhookRegistration) -> str:
        return f"{self._url}/{quote(registration.id, safe='')}"


def parse_registration(entry: Mapping[str, Any]) -> WebhookRegistration:
    """Read one registration; fields of an unexpected type count as absent."""
    events = entry.get("events")
    return WebhookRegistration(
        id=as_text(entry.get("id")),
        name=as_text(entry.get("name")),
        url=as_text(entry.get("url")),
        events=tuple(event for event in events if isinstance(event, str)) if isinstance(events, list) else (),
        is_enabled=entry.get("enabled") is not False,
    )


def _changes(
    present: WebhookRegistration | None, url: str, name: str, wanted: Sequence[str]
) -> dict[str, str | bool | list[str]]:
    """Return the fields to send, by name: all of a new registration, or those of the present one that are to differ."""
    if present is None:
        return {"name": name or NAME, "url": url, "events": list(wanted), "enabled": True}
    changes: dict[str, str | bool | list[str]] = {}
    if missing := [event for event in wanted if event not in present.events]:
        changes["events"] = [*present.events, *missing]
    if not present.is_enabled:
        changes["enabled"] = True
    if name not in {"", present.name}:
        changes["name"] = name
    return changes


def _canonical(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return url
    return str(parsed.copy_with(path="/")) if not parsed.path.strip("/") and not parsed.query else str(parsed)


def _names(data: object, depth: int = DEEPEST_NAME) -> Iterator[str]:
    """Yield all texts of a list of events, be it one of names or of objects that hold one."""
    if isinstance(data, str):
        yield data
    elif depth and isinstance(data, list | Mapping):
        for item in data.values() if isinstance(data, Mapping) else data:
            yield from _names(item, depth - 1)
