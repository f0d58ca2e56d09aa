"""Texts for people: sizes, durations, and one safe line of what others wrote."""

from __future__ import annotations

from tasks.text.redaction import showable

MIB = 1024 * 1024


def safe_line(text: str, most: int = 300) -> str:
    """Return a text that others wrote as one line that may be shown: printable, and without secrets.

    Args:
        text: such as a server's error message, which may repeat what was sent to it.
        most: the largest number of characters in the line; a dot or a blank at the end is removed.
    """
    line = " ".join(showable(text).split())
    return "".join(character for character in line if character.isprintable())[:most].rstrip(". ")


def human_size(size: float) -> str:
    """Return a size in bytes as people say it, in binary units."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"


def clock(seconds: float) -> str:
    """Return a duration in seconds as people write it, h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
