"""Deletions for tests: the door's own body without Prefect, and the world that it leaves, judged by its objects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows import expire_archive
from tasks.archive import Tombstone, tombstone_key
from tasks.engine import NO_LABELS, Engine
from tasks.errors import DeletionIncomplete
from tasks.retention import ExpiryReport
from tasks.session import StoreAccess
from tests.support.meddling import Meddled, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

WHO: dict[str, Any] = {"reason": "asked for", "by": "Kim"}


class Noting(Engine):
    """Runs stages plainly, and notes the events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def emit(
        self,
        event: str,
        its_id: str,
        payload: dict[str, Any],
        kind: str = "recording",
        labels: Mapping[str, str] = NO_LABELS,
    ) -> None:
        """Note an event."""
        assert kind in {"recording", "session", "expiry"}
        assert labels == NO_LABELS
        self.events.append((event, its_id, payload))


@dataclass
class Expiring:
    """An archive whose recordings are deleted."""

    bench: Archiving
    patch: pytest.MonkeyPatch
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Lead the door to the archive."""
        self.patch.setenv("ARCHIVE_URL", f"s3://{self.bench.bucket}/archive")
        self.patch.setenv("TASK_RETRIES", "0")
        self.patch.setenv("TRANSFER_PATIENCE", "2")
        self.through(self.bench.s3)

    def through(self, client: Any) -> None:
        """Let all go through a client of the store."""
        self.patch.setattr(expire_archive, "StoreAccess", lambda settings: StoreAccess(settings, client))

    def policy(self, text: str) -> None:
        """Write the policy."""
        self.bench.s3.put_object(
            Bucket=self.bench.bucket, Key="archive/_retention/policy.toml", Body=f"version = 1\n{text}".encode()
        )

    def run(self, *, delete: bool = True, **parameters: Any) -> ExpiryReport:
        """Run the door's body."""
        engine = Noting()
        try:
            return expire_archive.expire(engine, delete=delete, **parameters)
        finally:
            self.events = engine.events

    def incomplete(self, **parameters: Any) -> tuple[ExpiryReport, str]:
        """Run it, and return the result and the text of its failure."""
        with pytest.raises(DeletionIncomplete) as raised:
            self.run(**parameters)
        assert isinstance(raised.value.result, ExpiryReport)
        return raised.value.result, str(raised.value)

    def old(self, days: float, **more: Any) -> StandInRecording:
        """Archive a recording that began some days ago."""
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)
        recording = self.bench.add(100, invoked_time=at, **more)
        self.bench.archived(recording)
        return recording

    def tombstone(self, folder: str) -> Tombstone | None:
        """Return the tombstone of what lay in a folder."""
        key = tombstone_key(folder)
        if key not in self.bench.stored_keys(key):
            return None
        content = self.bench.s3.get_object(Bucket=self.bench.bucket, Key=key)["Body"].read()
        return Tombstone.model_validate_json(content)

    def put(self, key: str, content: bytes = b"x") -> None:
        """Put an object into the bucket."""
        self.bench.s3.put_object(Bucket=self.bench.bucket, Key=key, Body=content)

    def rest(self) -> set[str]:
        """Return the keys of all objects of recordings and sessions, without tombstones and the policy."""
        return {key for key in self.bench.stored_keys() if not key.startswith(("archive/_deleted/", "archive/_ret"))}

    def begun(self) -> list[str]:
        """Return what names unfinished deletions."""
        return self.bench.stored_keys("archive/_deleted/_begun/")


def keep_markers(expiring: Expiring, of: str) -> None:
    """Let the store refuse the deletion of the marker of a recording, or of all if the id is empty."""

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "delete_object" and request["Key"].endswith(f"{of}/bagit.txt"):
            raise refusal("AccessDenied", 403)
        return send()

    expiring.through(Meddled(expiring.bench.s3, meddle))


def is_without_names(tombstone: Tombstone, *names: str) -> bool:
    """Tell whether a tombstone names nobody and no file."""
    text = json.dumps(tombstone.model_dump(mode="json"))
    return not any(name in text for name in names)
