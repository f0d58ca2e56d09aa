"""The policy of retention: how many days recordings are kept, and what is held, whatever its age.

An operator writes it as TOML, into the bucket at `{prefix}/_retention/policy.toml`: so all machines have the same, and
who may delete the archive's objects may change it, and nobody else. Without that file nothing is deleted by age.

    version = 1
    keep_days = 365                     # for all that no rule names; "forever" for no end

    [[rules]]
    app_id = "…"                        # an app, or a meeting by meeting_id or title, or both together
    keep_days = 90

    [[holds]]
    recording_id = "…"                  # or meeting_id
    reason = "case 12/2026"

The most special rule counts: of a meeting before an app's, and the longest of those that are equally special. A hold
always wins. An unknown key, a wrong type and a rule that is there twice are errors. A rule or a hold that means nothing
in the archive is an error as well, as a wrong id may stand where a recording was to be kept; `may_match_nothing = true`
lets it stand.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.app_ids import AppId, same_app
from tasks.archive import RETENTION
from tasks.errors import ObjectTooLarge, PolicyInvalid, RecordingIdInvalid
from tasks.realtimekit import parse_recording_id
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from tasks.retention.facts import Facts
    from tasks.s3 import Bucket

FOREVER = "forever"
MOST_DAYS = 36_500
LARGEST = MIB


def _recording_id(text: str) -> str:
    try:
        return parse_recording_id(text)
    except RecordingIdInvalid:
        message = "must be a UUID"
        raise ValueError(message) from None


def _plain(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        message = "must have no blanks at its ends, and no control characters"
        raise ValueError(message)
    return text


Days = Annotated[int, Field(ge=1, le=MOST_DAYS)] | Literal["forever"]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_plain)]
RecordingId = Annotated[str, AfterValidator(_recording_id)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Rule(_Strict):
    """How long the recordings of an app or a meeting are kept."""

    app_id: AppId | None = None
    meeting_id: Text | None = None
    title: Text | None = None
    keep_days: Days
    may_match_nothing: bool = False

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.app_id is None and self.meeting_id is None and self.title is None:
            message = "names neither app_id nor meeting_id nor title"
            raise ValueError(message)
        if self.meeting_id is not None and self.title is not None:
            message = "names a meeting by meeting_id and by title: one is enough"
            raise ValueError(message)
        return self

    @property
    def is_of_meeting(self) -> bool:
        """Whether it is about a meeting, and not about all of an app."""
        return self.meeting_id is not None or self.title is not None

    @property
    def target(self) -> str:
        """What it is about, for people."""
        named = {"app_id": self.app_id, "meeting_id": self.meeting_id, "title": self.title}
        return " and ".join(f"{name} = {value!r}" for name, value in named.items() if value is not None)

    def matches(self, facts: Facts, *, or_may: bool = False) -> bool:
        """Tell whether it is about a recording or a session.

        Args:
            facts: of the recording or the session.
            or_may: tell whether it may be, as far as anybody knows.
        """
        if self.app_id is not None and not same_app(self.app_id, facts.app_id):
            return False
        if self.meeting_id is not None:
            return _is_of_meeting(self.meeting_id, facts, or_may=or_may)
        return self.title is None or _is_in(self.title, facts.titles, or_may=or_may)


class Hold(_Strict):
    """What is kept, whatever its age and whoever asks."""

    recording_id: RecordingId | None = None
    meeting_id: Text | None = None
    reason: Text
    may_match_nothing: bool = False

    @model_validator(mode="after")
    def _means_one_thing(self) -> Self:
        if (self.recording_id is None) == (self.meeting_id is None):
            message = "names either recording_id or meeting_id"
            raise ValueError(message)
        return self

    @property
    def target(self) -> str:
        """What it is about, for people."""
        return f"recording_id = {self.recording_id!r}" if self.recording_id else f"meeting_id = {self.meeting_id!r}"

    def matches(self, facts: Facts, *, or_may: bool = False) -> bool:
        """Tell whether it is about a recording or a session; arguments as for `Rule.matches`."""
        if self.recording_id is not None:
            return facts.kind == "recording" and self.recording_id == facts.id
        return self.meeting_id is not None and _is_of_meeting(self.meeting_id, facts, or_may=or_may)


def _is_of_meeting(meeting_id: str, facts: Facts, *, or_may: bool) -> bool:
    """Compare the ids of meetings: they are UUIDs, which people may write in capitals."""
    return _is_in(meeting_id.casefold(), {its.casefold() for its in facts.meeting_ids}, or_may=or_may)


def _is_in(wanted: str, known: Collection[str], *, or_may: bool) -> bool:
    return wanted in known or (or_may and not known)


class Policy(_Strict):
    """How long all is kept."""

    version: Literal[1]
    keep_days: Days
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()
    holds: Annotated[tuple[Hold, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _has_nothing_twice(self) -> Self:
        targets = [
            *(f"rule for {rule.target}" for rule in self.rules),
            *(f"hold of {hold.target}" for hold in self.holds),
        ]
        if twice := [target for target, count in Counter(targets).items() if count > 1]:
            message = f"there twice: {'; '.join(twice)}"
            raise ValueError(message)
        return self

    @property
    def asks_for_meetings(self) -> bool:
        """Whether it is to be known of which meeting a recording is."""
        return any(rule.is_of_meeting for rule in self.rules) or any(hold.meeting_id for hold in self.holds)

    def shortest_days(self, app_id: str) -> int:
        """Return how long anything of an app is kept at the least."""
        of_app = [rule.keep_days for rule in self.rules if rule.app_id is None or same_app(rule.app_id, app_id)]
        return min(_number(days) for days in (self.keep_days, *of_app))

    def keep_days_of(self, facts: Facts) -> tuple[int, str]:
        """Return how many days a recording or a session is kept, and what says so.

        Of which meeting it is may be unknown: then the longest counts of all that may count.
        """
        rules = [rule for rule in self.rules if rule.matches(facts)]
        special = [rule for rule in rules if rule.is_of_meeting] or rules
        may = [rule for rule in self.rules if rule.is_of_meeting and rule.matches(facts, or_may=True)]
        # Without the name of what the rule is about: this is written down for good.
        numbered = [(_number(rule.keep_days), f"rule {self.rules.index(rule) + 1} of the policy") for rule in special]
        unsure = [(_number(rule.keep_days), f"rule {self.rules.index(rule) + 1} of the policy") for rule in may]
        default = [] if special else [(_number(self.keep_days), "the policy's default")]
        return max([*numbered, *unsure, *default])

    def hold_of(self, facts: Facts, *, or_may: bool = True) -> str:
        """Return why a recording or a session is held; empty if it is not.

        Args:
            facts: of the recording or the session.
            or_may: what is not known may be held.
        """
        for hold in self.holds:
            if hold.matches(facts):
                return f"held by {hold.target}: {hold.reason}"
        for hold in self.holds if or_may else ():
            if hold.matches(facts, or_may=True):
                return f"may be held by {hold.target}, as nobody knows of which meeting it is"
        return ""

    def holds_that_must_match(self) -> Iterator[Hold]:
        """Yield the holds that have to mean something in the archive."""
        yield from (hold for hold in self.holds if not hold.may_match_nothing)

    def must_match(self) -> Iterator[Rule | Hold]:
        """Yield the rules and holds that have to mean something in the archive."""
        yield from self.holds_that_must_match()
        yield from (rule for rule in self.rules if not rule.may_match_nothing)


def _number(days: int | str) -> int:
    return MOST_DAYS * 100 if isinstance(days, str) else days


def is_over(day: date, days: int, today: date) -> bool:
    """Tell whether what was recorded on a day has been kept for so many whole days."""
    return today - day > timedelta(days=days)


def policy_key(root: str) -> str:
    """Return the key of the policy, given the archive's key prefix with a slash at its end, or empty."""
    return f"{root}{RETENTION}/policy.toml"


def read_policy(bucket: Bucket, root: str) -> tuple[Policy, str] | None:
    """Return the policy and its SHA-256; None if there is none.

    Raises:
        PolicyInvalid: it is not well-formed.
    """
    key = policy_key(root)
    target = f"s3://{bucket.bucket}/{key}"
    try:
        content = bucket.get(key, LARGEST)
    except ObjectTooLarge as large:
        raise PolicyInvalid(target, (str(large),)) from None
    return None if content is None else (parse_policy(content, target), hashlib.sha256(content).hexdigest())


def find_policy_sha256(bucket: Bucket, root: str) -> str:
    """Return the SHA-256 of the policy as it is now, readable or not; empty if there is none."""
    try:
        content = bucket.get(policy_key(root), LARGEST)
    except ObjectTooLarge:
        return "too large"
    return "" if content is None else hashlib.sha256(content).hexdigest()


def parse_policy(content: bytes, target: str) -> Policy:
    """Read a policy.

    Args:
        content: of the file.
        target: where it is, for people.

    Raises:
        PolicyInvalid: it is not well-formed; names all problems.
    """
    try:
        return Policy.model_validate(tomllib.loads(content.decode()))
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False, include_url=False)
        problems = [f"{_place(error['loc'])}: {error['msg'].removeprefix('Value error, ')}" for error in errors]
        raise PolicyInvalid(target, tuple(dict.fromkeys(problems))) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise PolicyInvalid(target, (f"not TOML: {error}",)) from None


def _place(parts: tuple[int | str, ...]) -> str:
    """Return where a problem is, for people; pydantic also names which of several types it tried."""
    named = [f"number {part + 1}" if isinstance(part, int) else part for part in parts]
    return ", ".join(part for part in named if re.fullmatch(r"[a-z_]+|number [0-9]+", part) and part != "int") or "all"
