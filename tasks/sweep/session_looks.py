"""What sweeps know of an app's sessions: one small object of the archive, written at the end of each sweep.

Two sweeps at once may each replace what the other has noted. Then some sessions are asked about once more, and nothing
else is lost; neither is it if the object is.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.archive import session_looks_key
from tasks.errors import ObjectTooLarge
from tasks.sweep.session_schedule import FORGOTTEN, SessionLook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.s3 import Store

VERSION = 1
"""Of the object's form. An object of another version counts as lost."""


def read_looks(store: Store, root: str, app_id: str, now: datetime) -> dict[str, SessionLook]:
    """Return what sweeps know, by the session's id; nothing if the object is lost or is none of ours.

    Args:
        store: the archive's bucket.
        root: the archive's key prefix, with a slash at its end, or empty.
        app_id: of the sessions.
        now: the time of the sweep.

    Raises:
        StoreRefused, StoreUnavailable: the store.
    """
    try:
        content = store.get(session_looks_key(root, app_id))
        known = json.loads(content) if content else {}
        if known.get("version") != VERSION:
            return {}
        return {session_id: _parse(entry, now) for session_id, entry in known["sessions"].items()}
    except (ObjectTooLarge, ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        return {}


def write_looks(store: Store, root: str, app_id: str, looks: Mapping[str, SessionLook], now: datetime) -> None:
    """Write what sweeps know; sessions that no list names any more are left out.

    Args:
        store: the archive's bucket.
        root: the archive's key prefix, with a slash at its end, or empty.
        app_id: of the sessions.
        looks: by the session's id.
        now: the time of the sweep.

    Raises:
        StoreRefused, StoreUnavailable: the store.
    """
    kept = {
        session_id: _entry(look)
        for session_id, look in sorted(looks.items())
        if now - (look.ended or look.looked_at) <= FORGOTTEN
    }
    body = json.dumps({"version": VERSION, "sessions": kept}, separators=(",", ":")).encode()
    store.put(session_looks_key(root, app_id), body, "application/json")


def _entry(look: SessionLook) -> dict[str, Any]:
    """Return what is known of a session, without what is as usual: there may be tens of thousands."""
    entry = {
        "looked_at": int(look.looked_at.timestamp()),
        "ended": int(look.ended.timestamp()) if look.ended else None,
        "day": look.day,
        "awaited": list(look.awaited),
        "expected": list(look.expected),
        "archived": look.archived,
        "failures": look.failures,
        "told": look.told,
    }
    return {name: value for name, value in entry.items() if value}


def _parse(entry: Mapping[str, Any], now: datetime) -> SessionLook:
    ended = entry.get("ended")
    look = SessionLook(
        looked_at=datetime.fromtimestamp(entry["looked_at"], UTC),
        ended=datetime.fromtimestamp(ended, UTC) if ended else None,
        day=str(entry.get("day", "")),
        awaited=tuple(map(str, entry.get("awaited", ()))),
        expected=tuple(map(str, entry.get("expected", ()))),
        archived=bool(entry.get("archived")),
        failures=int(entry.get("failures", 0)),
        told=bool(entry.get("told")),
    )
    # A clock that was ahead must not keep a session from being asked about.
    return replace(look, looked_at=min(look.looked_at, now))
