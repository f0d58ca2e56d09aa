"""The findings about a bag: what is wrong with each of its files."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.archive.inventory import shown

FindingKind = Literal["altered", "missing", "unknown", "miscounted", "malformed", "unverifiable"]


class Finding(BaseModel):
    """What is wrong with one file of a bag, or with what its manifests say of it."""

    model_config = ConfigDict(frozen=True)

    kind: FindingKind  # "unverifiable" alone is no damage
    path: str  # within the bag, fit to be shown
    expected: str
    found: str

    def __str__(self) -> str:
        """Return it as a sentence's part."""
        return f"{self.path or 'the recording'} {self.kind}: expected {self.expected}, found {self.found}"


class Findings:
    """The findings of one bag.

    Args:
        most: how many are kept; the others are counted. None keeps all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.kept: list[Finding] = []
        self.count = 0
        self.damaged = False

    def note(self, kind: FindingKind, path: str, expected: str, actual: str) -> None:
        """Add a finding; all texts are made fit to be shown."""
        self.count += 1
        self.damaged |= kind != "unverifiable"
        if self._most is None or len(self.kept) < self._most:
            self.kept.append(Finding(kind=kind, path=shown(path), expected=shown(expected), found=shown(actual)))
