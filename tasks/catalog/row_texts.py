"""Texts of rows: whatever anybody wrote becomes short, plain and free of secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.text import redact_text

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_TEXT = 1000
"""Characters."""
MOST_TEXTS = 100
"""In a list."""


def plain_text(value: object) -> str | None:
    """Return a text that can be shown, on one line; None if it is empty, or none."""
    if not isinstance(value, str):
        return None
    # A parser of JSON lets halves of characters through, which no file in UTF-8 can hold.
    whole = redact_text(value[: 4 * LONGEST_TEXT]).encode(errors="replace").decode()
    plain = "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in whole)
    return " ".join(plain.split())[:LONGEST_TEXT] or None


def plain_texts(values: Iterable[object], most: int = MOST_TEXTS) -> list[str]:
    """Return the first of some values as texts that can be shown; what is no text is left out."""
    return [text for value in list(values)[:most] if (text := plain_text(value))]
