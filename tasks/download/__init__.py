"""A file behind an expiring URL, read at any offset in spite of failures, with checks on each answer."""

from __future__ import annotations

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
    "new_empty_cookie_jar",
    "new_http_client",
    "send_get",
]
