"""A tombstone as data: what was deleted on purpose, when, why and by whom, and what the store has kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tasks.errors import DeletedOnPurpose, TombstoneUnreadable

if TYPE_CHECKING:
    from datetime import datetime

State = Literal["begun", "hidden", "deleted", "revoked"]
"""begun: not finished, and some or all of it may be there. hidden: nothing is visible, but the store keeps older
versions. deleted: all of it is gone. revoked: a person wanted it archived again."""


class DeletedFile(BaseModel):
    """A payload file, without its name, which may be that of a person."""

    model_config = ConfigDict(frozen=True)

    kind: str  # video, audio, tracks, transcript, chat, summary, uploads, missing, other
    size: int | None  # bytes; None if it was not there
    sha256: str  # as the manifest stated


class DeletedBag(BaseModel):
    """A bag, as it was before its deletion."""

    model_config = ConfigDict(frozen=True)

    version: int = 0  # of a session; 0 for a recording's bag
    was_committed: bool = False  # it had the marker
    manifest_sha256: str = ""  # of manifest-sha256.txt; empty if there was none that could be read
    files: tuple[DeletedFile, ...] = ()


class Remains(BaseModel):
    """Objects that the store did not let go."""

    model_config = ConfigDict(frozen=True)

    reason: str
    objects: int  # current ones, or older versions of objects
    until: AwareDatetime | None = None  # when the last lock ends, if the store tells


class Tombstone(BaseModel):
    """What was deleted on purpose."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    kind: Literal["recording", "session"]
    id: str
    app_id: str
    folder: str  # below the archive's root, with a slash at its end
    session_id: str = ""  # of a recording
    state: State
    cause: Literal["policy", "request"]
    reason: str
    by: str
    begun_at: AwareDatetime
    deleted_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    objects: int = 0  # that were there when the deletion began, of bags and of what was made from them
    bytes: int = 0
    bags: tuple[DeletedBag, ...] = ()
    with_sessions: tuple[str, ...] = ()  # folders of the sessions whose documents are deleted with the recording
    versions_deleted: int | None = None  # older versions; None if the store keeps none, or does not tell
    remains: tuple[Remains, ...] = Field(default=())

    @property
    def is_in_force(self) -> bool:
        """Whether the tombstone keeps runs from archiving."""
        return self.state != "revoked"

    @property
    def when(self) -> datetime:
        """When it was deleted, or when that began."""
        return self.deleted_at or self.begun_at

    def is_locked(self, now: datetime) -> bool:
        """Tell whether locks of the store keep all that is left, and still do at a time."""
        return bool(self.remains) and all(its.until is not None and its.until > now for its in self.remains)

    def describe(self) -> str:
        """Return a sentence for people, without a dot at its end."""
        begun = "deletion begun" if self.state == "begun" else "deleted on purpose"
        return f"{begun} on {self.when:%Y-%m-%d} by {self.by}: {self.reason}"

    def error(self) -> DeletedOnPurpose:
        """Return the error of a run that was to archive it."""
        return DeletedOnPurpose(self.kind, self.id, f"{self.when:%Y-%m-%d}", self.by, self.reason)


def parse_tombstone(content: bytes, target: str) -> Tombstone:
    """Read a tombstone.

    Args:
        content: of the object.
        target: where it is, for people.

    Raises:
        TombstoneUnreadable: it is none, or one of a newer version of this program.
    """
    try:
        return Tombstone.model_validate_json(content)
    except ValidationError as invalid:
        fields = ", ".join(".".join(map(str, error["loc"])) or "JSON" for error in invalid.errors()[:3])
        raise TombstoneUnreadable(target, f"not well-formed: {fields}") from None
