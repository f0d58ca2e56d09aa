"""What a run of the retention did, or would do, as data."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from tasks.archive import Remains  # noqa: TC001 - pydantic reads it when the model is made


class Deleted(BaseModel):
    """A recording, or what belongs to a session, that was deleted, or is to be."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["recording", "session"]
    id: str
    app_id: str
    archive_url: str
    state: str  # deleted; hidden: older versions remain; begun: not finished; planned: a dry run
    cause: Literal["policy", "request"]
    reason: str
    by: str
    objects: int
    bytes: int
    session_ids: tuple[str, ...] = ()  # whose documents go with the recording
    deleted_at: AwareDatetime | None = None
    versions_deleted: int | None = None  # older versions; None if the store keeps none, or does not tell
    remains: tuple[Remains, ...] = ()
    tombstone_url: str = ""


class Held(BaseModel):
    """What would be deleted, but is kept."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["recording", "session"]
    id: str
    app_id: str
    archive_url: str
    reason: str


class ExpiryReport(BaseModel):
    """What a run of the retention did, or would do."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    policy_sha256: str  # empty without a policy
    requested: bool  # what a person asked for, and not what the policy lets go
    looked_at: int  # recordings and sessions of the archive
    deleted: tuple[Deleted, ...] = ()  # in a dry run: what would be
    unfinished: tuple[Deleted, ...] = ()  # deletions that began in earlier runs, and are not finished
    held: tuple[Held, ...] = ()
    failed: tuple[str, ...] = ()  # what could not even be begun, and why
    left: int = 0  # for the next run: beyond the most deletions
    notices: tuple[str, ...] = ()
    seconds: float = 0.0
