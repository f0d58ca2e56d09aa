"""Sizes and durations: in bytes and seconds, and as people write them."""

from __future__ import annotations

MIB = 1024 * 1024


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
