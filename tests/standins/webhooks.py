"""The webhooks that an app has registered, as the stand-in's API keeps them."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.standins.faults import Answer
from tests.standins.recordings import timestamp

EVENTS = (
    "meeting.started", "meeting.ended", "meeting.participantJoined", "meeting.participantLeft", "meeting.chatSynced",
    "recording.statusUpdate", "livestreaming.statusUpdate", "meeting.transcript", "meeting.summary",
)  # fmt: skip
ALL = "all"
"""In the place of an id: the list of events, whose form is documented nowhere."""
NO_WEBHOOK = Answer.refusal(404, "Webhook not found")
BAD_WEBHOOK = Answer.refusal(400, "Invalid webhook")
BAD_METHOD = Answer.refusal(405, "Method not allowed")


class Webhooks:
    """The registered webhooks of one app; everything may be changed while the stand-in runs."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.events: tuple[str, ...] = EVENTS
        """What a webhook may be subscribed to."""
        self.list_of_events: Any = None
        """What the list of events answers with; None: the names."""

    def answer(self, method: str, webhook_id: str | None, body: bytes, now: datetime) -> Answer:
        """Return the answer to a request for the list, or for one of them.

        Args:
            method: of HTTP: GET, POST, PUT, PATCH or DELETE.
            webhook_id: None for the list of webhooks, `ALL` for the list of events.
            body: of the request.
            now: the time on the stand-in's clock.
        """
        if webhook_id is None:
            return self._of_list(method, body, now)
        if webhook_id == ALL and method == "GET":
            return _success(list(self.events) if self.list_of_events is None else self.list_of_events)
        if webhook_id not in self.known:
            return NO_WEBHOOK
        if method == "GET":
            return _success(self.known[webhook_id])
        if method in {"PUT", "PATCH"}:
            return self._edited(self.known[webhook_id], method, body, now)
        return _success(self.known.pop(webhook_id)) if method == "DELETE" else BAD_METHOD

    def register(self, url: str, events: tuple[str, ...] = EVENTS, name: str = "archive", **more: Any) -> str:
        """Register a webhook as somebody else would, whatever the API would say to it, and return its id."""
        webhook_id, made = str(uuid.uuid4()), timestamp(datetime.now(UTC))
        its = {"id": webhook_id, "name": name, "url": url, "events": list(events), "enabled": True}
        self.known[webhook_id] = {**its, "created_at": made, "updated_at": made, **more}
        return webhook_id

    def _of_list(self, method: str, body: bytes, now: datetime) -> Answer:
        if method == "GET":
            return _success(list(self.known.values()))
        return self._registered(body, now) if method == "POST" else BAD_METHOD

    def _registered(self, body: bytes, now: datetime) -> Answer:
        asked = self._fields(body)
        if asked is None or not {"name", "url", "events"} <= asked.keys():
            return BAD_WEBHOOK
        made = timestamp(now)
        its = {"enabled": True, **asked, "id": str(uuid.uuid4()), "created_at": made, "updated_at": made}
        self.known[its["id"]] = its
        return _success(its, 201)

    def _edited(self, its: dict[str, Any], method: str, body: bytes, now: datetime) -> Answer:
        asked = self._fields(body)
        if asked is None or (method == "PUT" and not {"name", "url", "events"} <= asked.keys()):
            return BAD_WEBHOOK
        its |= {"enabled": True} if method == "PUT" else {}
        its |= {**asked, "updated_at": timestamp(now)}
        return _success(its)

    def _fields(self, body: bytes) -> dict[str, Any] | None:
        """Return what a request sets, None if it makes no sense."""
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or not asked.keys() <= {"name", "url", "events", "enabled"}:
            return None
        texts = [asked.get(name, "x") for name in ("name", "url")]
        events = asked.get("events", self.events[:1])
        sound = all(isinstance(text, str) and text for text in texts) and isinstance(asked.get("enabled", True), bool)
        return asked if sound and events and set(events) <= set(self.events) else None


def _success(data: object, status: int = 200) -> Answer:
    return Answer.json({"success": True, "data": data}, status)
