"""From source to store: the files of one recording, part by part, resumable, with progress."""

from __future__ import annotations

from tasks.transfer.buffers import BufferPool
from tasks.transfer.models import Limits, Payload, Progress, TransferContext, TransferredFile
from tasks.transfer.progress import FileProgress, LogLines, Tally, View, progress_views, show_progress
from tasks.transfer.report import Transferred, report
from tasks.transfer.transfer import FILES_AT_ONCE, Transfer

__all__ = [
    "FILES_AT_ONCE",
    "BufferPool",
    "FileProgress",
    "Limits",
    "LogLines",
    "Payload",
    "Progress",
    "Tally",
    "Transfer",
    "TransferContext",
    "Transferred",
    "TransferredFile",
    "View",
    "progress_views",
    "report",
    "show_progress",
]
