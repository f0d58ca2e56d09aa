"""Where scenarios happen: a real store, a stand-in of RealtimeKit, a fresh bucket, inside of pytest and outside."""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import certifi
import pytest

from tasks.s3.client import new_s3_client
from tests.standins.realtimekit import RealtimeKitStandIn
from tests.standins.stores import RcloneStore, Store, SwiftStore
from tests.support.archiving import Archiving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STORES: Mapping[str, type[Store]] = {"swift": SwiftStore, "rclone": RcloneStore}
"""By the names that scenarios know them by."""
CONNECTIONS = 32
SEND_BUFFER = 64 * 1024
"""Bytes of the stand-in's: small, so that what it counts as sent is close to what was read."""


def ignore_aws_settings(patch: pytest.MonkeyPatch) -> None:
    """Let nothing of this machine's own settings lead to a store."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def load_one_certificate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let HTTP clients load one certificate instead of all: that takes longer than many a test, and none needs TLS."""
    end = "-----END CERTIFICATE-----\n"
    one = folder / "one.pem"
    one.write_text(certifi.contents().partition(end)[0] + end)
    patch.setenv("SSL_CERT_FILE", str(one))


def load_service_models_once(patch: pytest.MonkeyPatch) -> None:
    """Let all boto3 clients share what they read of S3's API, which is most of the time that it takes to make one."""
    patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))


def lead_to(server: Store, patch: pytest.MonkeyPatch) -> None:
    """Let clients that are made from now on find a store, which is started if it is not running."""
    if not server.running:
        server.start()
    for name, value in server.environment().items():
        patch.setenv(name, value)


def archive_in(server: Store, client: Any, kit: RealtimeKitStandIn) -> Archiving:
    """Return an archive in a fresh bucket."""
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    return Archiving(kit, server, client, bucket)


class Stage:
    """A store that runs, for one scenario after another."""

    def __init__(self, server: Store, patch: pytest.MonkeyPatch) -> None:
        self._server = server
        self._patch = patch
        lead_to(server, patch)
        self._client: Any = new_s3_client(CONNECTIONS)

    @contextmanager
    def bench(self) -> Iterator[Archiving]:
        """Open an archive in a fresh bucket, with a RealtimeKit of its own, for one scenario."""
        lead_to(self._server, self._patch)
        with RealtimeKitStandIn(send_buffer=SEND_BUFFER) as kit:
            yield archive_in(self._server, self._client, kit)


@contextmanager
def open_stage(store_name: str) -> Iterator[Stage]:
    """Run a store, and let the environment lead to it.

    Args:
        store_name: one of STORES.
    """
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, pytest.MonkeyPatch.context() as patch:
        ignore_aws_settings(patch)
        load_one_certificate(patch, Path(folder))
        load_service_models_once(patch)
        with STORES[store_name](Path(folder, store_name)) as server:
            yield Stage(server, patch)


@contextmanager
def open_bench(store_name: str) -> Iterator[Archiving]:
    """Open an archive in a fresh bucket of a store that is run for it alone."""
    with open_stage(store_name) as stage, stage.bench() as bench:
        yield bench
