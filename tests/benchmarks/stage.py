"""Where contestants run: API, source, store and a Prefect server, all on this machine, all in memory where it fits."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from tests.benchmarks.source import FileSource
from tests.clock import python_path
from tests.flows.duty import PrefectServer
from tests.standins.realtimekit import RealtimeKitStandIn
from tests.standins.stores import RcloneStore, SwiftStore
from tests.support.certificates import self_signed
from tests.torture.peers.tools import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.standins.stores import Store

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
SPARE = 6 * 1024**3
"""Bytes of memory that are not ours."""
PROJECT = Path(__file__).parents[2]
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")


class RememberingRclone(RcloneStore):
    """`rclone serve s3` that keeps the MD5 of what it stored, as stores do.

    On its own it reads an object anew for each ETag that it tells, at every HEAD and in every list: for a gigabyte that
    takes seconds, which would be all that is measured of whoever looks at what he has stored.
    """

    def _command(self) -> list[str]:
        *serve, folder = super()._command()
        if self.certificate:
            serve += ["--cert", str(self.certificate), "--key", str(self.certificate)]
        cache = self.folder.with_name(f"{self.folder.name}-hashes")
        return [*serve, "--cache-dir", str(cache), f":hasher,remote='{folder}',hashes=md5,max_age=off:"]


STORES: Mapping[str, type[Store]] = {"rclone": RememberingRclone, "swift": SwiftStore}


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@dataclass
class Stage:
    """What all scenarios share; what it started ends with it.

    Args:
        store_name: "rclone" or "swift".
        rounds: how often each contestant runs; None for each scenario's own number.
        size: bytes of a recording, None for each scenario's own.
        quick: whether it is only to be seen that all works.
        large: whether memory is also measured for a recording that takes long.
    """

    store_name: str
    rounds: int | None = None
    size: int | None = None
    quick: bool = False
    large: bool = False
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Nothing is started before it is needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all."""
        self._stack.close()

    def times(self, usual: int) -> int:
        """Return how many rounds there are, of which a scenario usually has so many."""
        return 1 if self.quick else self.rounds or usual

    def bytes(self, usual: int, when_quick: int) -> int:
        """Return a recording's size, which a scenario usually has so large."""
        return self.size or (when_quick if self.quick else usual)

    @cached_property
    def prefect(self) -> PrefectServer:
        """A Prefect server as on duty, but on SQLite."""
        say("  starting a Prefect server …")
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-prefect-")))
        server = PrefectServer(folder)
        self._stack.callback(server.stop)  # also if it does not answer in time
        server.start()
        return server

    @cached_property
    def programs(self) -> Path:
        """The folder of the peers' programs."""
        return installed()

    @contextmanager
    def folder(self, room: int) -> Iterator[Path]:
        """Give an empty folder with room for so many bytes, in memory if it has that to spare."""
        spare = shutil.disk_usage(MEMORY).free - SPARE if MEMORY.is_dir() else 0
        available = min(spare, _available_memory() - SPARE)
        where = MEMORY if room < available else None
        with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=where) as made:
            free = shutil.disk_usage(made).free
            if free < room:
                raise RuntimeError(f"{room:,} bytes are needed in {made}, and {free:,} are free")
            yield Path(made)

    @contextmanager
    def ground(self, room: int, pace: int | None = None, *, encrypted: bool = False) -> Iterator[Ground]:
        """Run an API, a source and a store for one scenario.

        Args:
            room: bytes that source and store need together.
            pace: bytes per second of each connection to the source; None for as fast as can be.
            encrypted: whether source and store speak https.
        """
        with self.folder(room) as folder, RealtimeKitStandIn() as kit:
            (folder / "source").mkdir()
            certificate = self_signed(folder / "certificate.pem") if encrypted else None
            store = STORES[self.store_name](folder / "store")
            if certificate and not isinstance(store, RcloneStore):
                raise RuntimeError(f"{store.name} speaks no https here; use --store rclone")
            if certificate:
                store.certificate, store.endpoint_url = certificate, store.endpoint_url.replace("http:", "https:")
            with FileSource(folder / "source", pace, certificate) as source, store:
                kit.lead_links_to(source.origin)
                yield Ground(self, kit, source, store, folder)


@dataclass
class Ground:
    """Where a scenario happens."""

    stage: Stage
    kit: RealtimeKitStandIn
    source: FileSource
    store: Store
    folder: Path
    api_url: str = ""
    """Where our programs look for the API, if not at its own address."""
    began: Callable[[int], None] = lambda _pid: None
    """Told the process group of each contestant."""

    @cached_property
    def s3(self) -> Any:
        """A client on the store."""
        return self.store.client()

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """Give an empty bucket, which is gone afterwards with all that is in it."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=name)
        try:
            yield name
        finally:
            for upload in self._uploads(name):
                self.s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
            for key in self.sizes(name):
                self.s3.delete_object(Bucket=name, Key=key)
            if self.store.name == "rclone":
                shutil.rmtree(self.store.folder / name, ignore_errors=True)

    def sizes(self, bucket: str) -> dict[str, int]:
        """Return the bytes of all objects, by key."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", ())}

    def _uploads(self, bucket: str) -> list[dict[str, Any]]:
        try:
            return list(self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()))
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchUpload":  # rclone's word for none
                return []
            raise

    @property
    def trust(self) -> dict[str, str]:
        """The environment variables by which OpenSSL, Go, curl and boto3 trust source and store."""
        names = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
        return dict.fromkeys(names, str(self.store.certificate)) if self.store.certificate else {}

    def settings(self, bucket: str, **different: str) -> dict[str, str]:
        """Return the whole environment of our own programs, all settings at their defaults but what is different."""
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **self.store.environment(),
            **self.trust,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": python_path(PROJECT),
            "CLOUDFLARE_API_TOKEN": self.kit.token,
            "CLOUDFLARE_ACCOUNT_ID": self.kit.account_id,
            "REALTIMEKIT_APP_ID": self.kit.app_id,
            "CLOUDFLARE_BASE_URL": self.api_url or self.kit.base_url,
            "ARCHIVE_URL": f"s3://{bucket}/recordings",
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            **different,
        }


def _available_memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
