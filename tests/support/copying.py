"""Copies of an archive for tests, without Prefect, from one real store to another."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

from tasks.copy_settings import CopySettings
from tasks.copying import CopyFindings, CopyOptions, CopySession, copy_bags, make_report
from tasks.s3 import Store
from tasks.session import StoreAccess
from tests.support.meddling import Meddled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.copying import CopyReport
    from tests.support.archiving import Archiving, Setup

LOG = logging.getLogger(__name__)
PREFIX = "second/copy"


def settings_of(setup: Setup, **different: Any) -> CopySettings:
    """Return the settings of a copy of a bench's archive."""
    own: dict[str, Any] = {
        "archive_url": f"s3://{setup.bucket}/{setup.prefix}",
        "transfer_concurrency": setup.concurrency,
        "transfer_patience": setup.patience_s,
        "task_retries": 0,
        "archive_copy_endpoint_url": "",
        "archive_copy_region": "",
        "archive_copy_profile": "",
        "archive_copy_credentials": "",
    }
    return CopySettings.model_construct(**own | different)


class SecondCopy:
    """A bucket for the copy of a bench's archive.

    Args:
        bench: the archive.
        client: of the copy's store.
        bucket: that is there; none for a new one.
        prefix: within the bucket.
    """

    def __init__(self, bench: Archiving, client: Any, bucket: str = "", prefix: str = PREFIX) -> None:
        self.bench = bench
        self.client = client
        self.prefix = prefix
        self.bucket = bucket or f"copy-{uuid.uuid4().hex[:12]}"
        if not bucket:
            client.create_bucket(Bucket=self.bucket)

    @property
    def url(self) -> str:
        """Where it lies."""
        return f"s3://{self.bucket}/{self.prefix}"

    def run(
        self,
        first: Callable[..., Any] | None = None,
        second: Callable[..., Any] | None = None,
        different: dict[str, Any] | None = None,
        **options: Any,
    ) -> CopyReport:
        """Copy in a run of its own.

        Args:
            first, second: get the calls of each store's client into their hands.
            different: settings.
            options: see `CopyOptions`.
        """
        settings = settings_of(self.bench.setup(), **{"archive_copy_url": self.url} | (different or {}))
        clients: list[Any] = [
            Meddled(client, meddle) if meddle else client
            for client, meddle in ((self.bench.s3, first), (self.client, second))
        ]
        of_copy = settings.of_copy()
        accesses = StoreAccess(settings, clients[0]), StoreAccess(of_copy, clients[1])
        session = CopySession(settings, of_copy, *accesses, LOG)
        findings, chosen = CopyFindings(), CopyOptions(**options)
        copy_bags(session, findings, chosen)
        return make_report(session, findings, chosen, 0.0, "")

    def objects(self) -> dict[str, bytes]:
        """Return all that is in the copy, by path below its root."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        read = {key: self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}
        return {key.removeprefix(f"{self.prefix}/"): content for key, content in read.items()}

    def uploads(self) -> list[str]:
        """Return the keys of all uploads under way."""
        return [upload.key for upload in Store(self.client, self.bucket, 5).uploads(f"{self.prefix}/")]

    def put(self, path: str, content: bytes) -> None:
        """Put an object into the copy."""
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{path}", Body=content)

    def delete(self, path: str) -> None:
        """Delete an object of the copy."""
        self.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{path}")


def archive_of(bench: Archiving) -> dict[str, bytes]:
    """Return all that is in the archive, by path below its root."""
    return {key.removeprefix("archive/"): content for key, content in bench.objects().items()}
