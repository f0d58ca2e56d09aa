"""Presigned URLs of an archive's objects: links that let a browser read one object for a while, without credentials.

Whoever has such a URL reads the object until its end: it is handed out, and never logged or kept.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from botocore.exceptions import BotoCoreError

from tasks.errors import StoreRefused

if TYPE_CHECKING:
    from botocore.client import BaseClient

LONGEST_S = 7 * 24 * 3600
"""Seconds: what Signature Version 4 allows at most."""
LONGEST_NAME = 200
"""Characters of a file name in a header."""


class PresignedDownloads:
    """Makes presigned URLs of the objects of a bucket.

    Args:
        client: see `tasks.s3.client.new_s3_client`.
        bucket: its name.
    """

    def __init__(self, client: BaseClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        # With Amazon's regions, boto3 would sign URLs by Signature Version 2, which newer stores do not take.
        chooser: Any = _by_version_4
        client.meta.events.register_first("choose-signer.s3", chooser, unique_id="presigned-by-version-4")

    @property
    def origin(self) -> str:
        """The origin of all URLs, as a Content-Security-Policy names it."""
        parts = urlsplit(self.url("any", 1))
        return f"{parts.scheme}://{parts.netloc}"

    def url(
        self, key: str, lifetime_s: float, content_type: str = "", disposition: str = "", *, method: str = "GET"
    ) -> str:
        """Return a URL that reads an object.

        Args:
            key: of the object, whether it exists or not.
            lifetime_s: seconds until the URL ends; temporary credentials may end sooner.
            content_type: what the store is to answer as Content-Type; empty for the object's own.
            disposition: the same for Content-Disposition.
            method: GET or HEAD: a URL is good for one of them.

        Raises:
            StoreRefused: there are no credentials to sign with.
        """
        answer = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        asked: dict[str, Any] = {"Bucket": self._bucket, "Key": key} | {k: v for k, v in answer.items() if v}
        operation, lifetime = f"{method.lower()}_object", int(min(lifetime_s, LONGEST_S))
        try:
            url: str = self._client.generate_presigned_url(operation, Params=asked, ExpiresIn=lifetime)  # type: ignore[attr-defined]
        except BotoCoreError as error:
            refusal = StoreRefused("presign", f"s3://{self._bucket}/{key}", type(error).__name__, str(error))
        else:
            return url
        raise refusal


def content_disposition(kind: str, name: str) -> str:
    """Return a Content-Disposition with a file name, for every browser and every name.

    Args:
        kind: `inline` or `attachment`.
        name: of the file, whoever gave it.
    """
    name = name[-LONGEST_NAME:].encode(errors="replace").decode()
    plain = re.sub(r"[^A-Za-z0-9._ ()-]", "_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{extended}'


def _by_version_4(signature_version: object, **_: object) -> str | None:
    """Return the signer of presigned URLs; None leaves all other requests, and other kinds of signatures, alone."""
    return "s3v4-query" if signature_version in {"v4-query", "s3v4-query"} else None
