"""From source to store: the files of one recording, part by part, resumable, with progress."""

from __future__ import annotations

from tasks.transfer.file_transfer import Limits, Payload
from tasks.transfer.progress import Bars, LogLines, Moving, Tally, View, shown
from tasks.transfer.report import Transferred, report
from tasks.transfer.transfer import FILES_AT_ONCE, Transfer

__all__ = [
    "FILES_AT_ONCE",
    "Bars",
    "Limits",
    "LogLines",
    "Moving",
    "Payload",
    "Tally",
    "Transfer",
    "Transferred",
    "View",
    "report",
    "shown",
]
