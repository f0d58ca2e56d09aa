"""The webhooks that an app has registered, as the stand-in's API keeps them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from tests.standins.faults import Answer
from tests.standins.recordings import timestamp

if TYPE_CHECKING:
    from datetime import datetime

EVENTS = frozenset({
    "meeting.started", "meeting.ended", "meeting.participantJoined", "meeting.participantLeft", "meeting.chatSynced",
    "recording.statusUpdate", "livestreaming.statusUpdate", "meeting.transcript", "meeting.summary",
})  # fmt: skip
NO_WEBHOOK = Answer.refusal(404, "Webhook not found")
BAD_WEBHOOK = Answer.refusal(400, "Invalid webhook")
BAD_METHOD = Answer.refusal(405, "Method not allowed")


class Webhooks:
    """The registered webhooks of one app."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, webhook_id: str | None, body: bytes, now: datetime) -> Answer:
        """Return the answer to a request for the list, or for one of them.

        Args:
            method: of HTTP: GET, POST or DELETE.
            webhook_id: None for the list.
            body: of the request.
            now: the time on the stand-in's clock.
        """
        if webhook_id is None:
            return self._of_list(method, body, now)
        if webhook_id not in self._known:
            return NO_WEBHOOK
        if method == "GET":
            return Answer.json({"success": True, "data": self._known[webhook_id]})
        return Answer.json({"success": True, "data": self._known.pop(webhook_id)}) if method == "DELETE" else BAD_METHOD

    def _of_list(self, method: str, body: bytes, now: datetime) -> Answer:
        if method == "GET":
            return Answer.json({"success": True, "data": list(self._known.values())})
        return self._registered(body, now) if method == "POST" else BAD_METHOD

    def _registered(self, body: bytes, now: datetime) -> Answer:
        try:
            asked = json.loads(body)
            its = {"name": asked["name"], "url": asked["url"], "events": asked["events"]}
        except (ValueError, LookupError, TypeError):
            return BAD_WEBHOOK
        if not its["events"] or not set(its["events"]) <= EVENTS:
            return BAD_WEBHOOK
        made = timestamp(now)
        its |= {"id": str(uuid.uuid4()), "enabled": asked.get("enabled", True), "created_at": made, "updated_at": made}
        self._known[its["id"]] = its
        return Answer.json({"success": True, "data": its}, 201)
