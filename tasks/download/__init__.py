"""Files behind expiring URLs, with checks on each answer: media, read at any offset, and small documents."""

from __future__ import annotations

from tasks.download.documents import fetch_document, fetch_upload
from tasks.download.http_client import new_empty_cookie_jar, new_http_client, send_get
from tasks.download.presigned_urls import PresignedUrl, PresignedUrls
from tasks.download.response import SourceObject, describe_object
from tasks.download.source import Source

__all__ = [
    "PresignedUrl",
    "PresignedUrls",
    "Source",
    "SourceObject",
    "describe_object",
    "fetch_document",
    "fetch_upload",
    "new_empty_cookie_jar",
    "new_http_client",
    "send_get",
]
