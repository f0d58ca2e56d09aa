"""One file behind an expiring URL, read at any offset, through whatever breaks."""

from __future__ import annotations

from tasks.download.http_client import new_http_client, no_cookies, send
from tasks.download.presigned_urls import PresignedUrl, PresignedUrls
from tasks.download.response import SourceObject, described
from tasks.download.source import Source

__all__ = [
    "PresignedUrl",
    "PresignedUrls",
    "Source",
    "SourceObject",
    "described",
    "new_http_client",
    "no_cookies",
    "send",
]
