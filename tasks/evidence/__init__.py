"""What proves that a file is media and whole: its container, followed byte by byte."""

from __future__ import annotations

from tasks.evidence.containers import identify_container
from tasks.evidence.media_evidence import TEXT_HEAD, Evidence, is_text

__all__ = ["TEXT_HEAD", "Evidence", "identify_container", "is_text"]
