"""The texts that documents are made of: decoded, and read as CSV or JSON, or None for what is none."""

from __future__ import annotations

import csv
import io
import json


def decode_text(content: bytes) -> str | None:
    """Return a document's text; None if it is not UTF-8, holds a null character, or is blank."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text or not text.strip() else text


def is_json(text: str) -> bool:
    """Tell whether a text begins as a JSON list or object."""
    return text.lstrip()[:1] in {"[", "{"}


def read_json(text: str | bytes) -> object:
    """Return the value that a text is in JSON; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_csv(text: str) -> list[list[str]] | None:
    """Return the rows of a text in CSV that are not empty; None if it is none, or ends within a quoted field."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return None
