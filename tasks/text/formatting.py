"""Texts for people: sizes, durations, and one safe line of what others wrote."""

from __future__ import annotations

from tasks.text.redaction import redact, redact_text

MIB = 1024 * 1024


def safe_line(text: str, most: int = 300) -> str:
    """Return a text that others wrote as one line that may be shown: printable, and without secrets.

    Args:
        text: such as a server's error message, which may repeat what was sent to it.
        most: the largest number of characters in the line; a dot or a blank at the end is removed.
    """
    return _printable(redact(text))[:most].rstrip(". ")


def archivable_line(text: str, most: int = 300) -> str:
    """Return a text that others wrote as one line that may be archived: printable, and without secrets.

    Unlike `safe_line`, the result is the same on every machine, whatever the machine's own secrets are.

    Args:
        text: such as a meeting's title.
        most: the largest number of characters in the line.
    """
    return _printable(redact_text(text))[:most].strip()


def _printable(text: str) -> str:
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


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
