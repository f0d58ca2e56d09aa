"""Files behind expiring URLs: media, read at any offset through whatever breaks, and small documents."""

from __future__ import annotations

from tasks.download.documents import Document, fetch_document, fetch_upload
from tasks.download.http_client import new_http_client, no_cookies, send
from tasks.download.presigned_urls import Link, Links
from tasks.download.response import SourceObject, described
from tasks.download.source import Source

__all__ = [
    "Document",
    "Link",
    "Links",
    "Source",
    "SourceObject",
    "described",
    "fetch_document",
    "fetch_upload",
    "new_http_client",
    "no_cookies",
    "send",
]
