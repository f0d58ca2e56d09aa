"""The main job for tests, without Prefect: the stand-in at one end, a real store at the other, all of it in between."""

from __future__ import annotations

import json
import logging
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING, Any

import httpx

from tasks.archive import Archive, ArchivedRecording
from tasks.bag import payload_paths
from tasks.links import Link, Links
from tasks.moving import Limits, Moved, Payload
from tasks.realtimekit import API_PATIENCE_S, RealtimeKit, require_media, require_some_media
from tasks.store import Store
from tasks.sweep import plan_for
from tasks.sweep_scope import Scope
from tasks.transfer import Transfer
from tasks.units import MIB
from tasks.wire import new_http_client
from tests.meddling import Meddled
from tests.standins.realtimekit import MediaSource, StandInRecording, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from tasks.details import Recording
    from tasks.sweep import Plan
    from tests.standins.realtimekit import RealtimeKitStandIn
    from tests.standins.stores import Store as StoreServer

LOG = logging.getLogger(__name__)
SMALLEST_PART = {"swift": 5 * MIB, "rclone": 128 * 1024}
"""Bytes by store: Swift is as strict as Amazon, and with rclone tests may be quick."""


@dataclass(frozen=True)
class Setup:
    """What a run has to know, plain enough to be handed to another process."""

    base_url: str
    account_id: str
    app_id: str
    token: str
    bucket: str
    part_size: int
    concurrency: int = 4
    patience_s: float = 10.0
    api_patience_s: float = API_PATIENCE_S
    stall_s: float = 5.0
    prefix: str = "archive"
    accept_size: bool = False
    partial: bool = False

    def text(self) -> str:
        """Return it as one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def parsed(cls, text: str) -> Setup:
        """Read what `text` returned."""
        return cls(**json.loads(text))


class Counted:
    """Counts what moved, by path."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.already: dict[str, int] = {}
        self.read: Counter[str] = Counter()

    def begin(self, path: str, size: int, already: int) -> None:
        """Note that a file is being moved."""
        self.sizes[path], self.already[path] = size, already

    def advance(self, path: str, count: int) -> None:
        """Note that bytes were read."""
        self.read[path] += count


@dataclass
class Run:
    """One run's objects, wired as in production but for Prefect; a second run has its own of everything."""

    setup: Setup
    client: Any
    stop: Event = field(default_factory=Event)
    counted: Counted = field(default_factory=Counted)

    @cached_property
    def store(self) -> Store:
        """The bucket."""
        return Store(self.client, self.setup.bucket, self.setup.patience_s, self.stop)

    @cached_property
    def archive(self) -> Archive:
        """The archive in it."""
        return Archive(self.store, self.setup.prefix, self.setup.app_id, LOG)

    def transfer(self, api: RealtimeKit, recording: Recording, http: httpx.Client) -> Transfer:
        """Return what moves the recording's files."""
        links = Links(_links(recording), lambda: _links(api.recording(recording.id)), self.stop, LOG)
        its = self.setup
        limits = Limits(its.concurrency, its.part_size, its.patience_s)
        unfinished = lambda: self.archive.unfinished(recording)  # noqa: E731 - asked anew at every look
        return Transfer(self.store, http, links, unfinished, limits, self.counted, self.stop, LOG)

    def payloads(self, recording: Recording) -> list[Payload]:
        """Return what goes where."""
        paths, folder = payload_paths(recording), self.archive.folder(recording)
        metadata = {"recording-id": recording.id, "session-id": recording.session_id}
        named = [(media, paths[media.label]) for media in recording.media]
        return [Payload(media, path, folder + path, metadata, self.setup.accept_size) for media, path in named]

    def recording(self, recording_id: str) -> Recording:
        """Return the recording's details."""
        with httpx.Client() as http:
            return self._api(http).recording(recording_id)

    def move(self, recording_id: str, *, replace: bool = False) -> list[Moved]:
        """Move the files only: nothing is committed."""
        with httpx.Client(timeout=self.setup.stall_s) as http, new_http_client(self.setup.stall_s) as files:
            api = self._api(http)
            recording = api.recording(recording_id)
            return self.transfer(api, recording, files).move_all(self.payloads(recording), replace=replace)

    def commit(self, recording_id: str, moved: Sequence[Moved], *, overwrite: bool = False) -> ArchivedRecording:
        """Commit what `move` has moved."""
        with httpx.Client(timeout=self.setup.stall_s) as http, new_http_client(self.setup.stall_s) as files:
            api = self._api(http)
            recording = api.recording(recording_id)
            return self.transfer(api, recording, files).commit(self.archive, recording, moved, overwrite=overwrite)

    def archived(self, recording_id: str, *, overwrite: bool = False) -> ArchivedRecording:
        """Archive a recording, or find that it is."""
        with httpx.Client(timeout=self.setup.stall_s) as http, new_http_client(self.setup.stall_s) as files:
            api = self._api(http)
            recording = api.recording(recording_id)
            found = None if overwrite else self.archive.find(recording)
            if found is not None:
                return found
            require_some_media(recording)
            transfer = self.transfer(api, recording, files)
            payloads = self.payloads(recording)
            if overwrite:
                require_media(recording)
                self.archive.require_no_loss(recording, [payload.path for payload in payloads])
            moved = transfer.move_all(payloads, replace=overwrite)
            partial = self.setup.partial
            return transfer.commit(self.archive, recording, moved, overwrite=overwrite, partial=partial)

    def planned(self, now: datetime) -> Plan:
        """Return what a sweep at that time would do, of the app's recordings of the nine days before."""
        with httpx.Client() as http:
            return plan_for(self._api(http), self.archive, self.store, self.setup.app_id, Scope(now))

    def _api(self, http: httpx.Client) -> RealtimeKit:
        its = self.setup
        ids, patience_s = (its.account_id, its.app_id), its.api_patience_s
        return RealtimeKit(http, its.base_url, *ids, its.token, stop=self.stop, patience_s=patience_s)


def _links(recording: Recording) -> dict[str, Link]:
    return {media.label: Link(media.url, media.expires_at, recording.expires) for media in recording.media}


@dataclass
class Archiving:
    """An archive under test: where recordings come from, and where they go."""

    kit: RealtimeKitStandIn
    server: StoreServer
    s3: Any
    """A boto3 client as production makes it."""
    bucket: str

    @property
    def part(self) -> int:
        """A part's size in bytes, if a run is not told otherwise."""
        return SMALLEST_PART[self.server.name]

    def setup(self, **different: Any) -> Setup:
        """Return what a run has to know."""
        kit = self.kit
        its: dict[str, Any] = {"part_size": self.part} | different
        return Setup(kit.base_url, kit.account_id, kit.app_id, kit.token, self.bucket, **its)

    def run(self, meddle: Callable[..., Any] | None = None, **different: Any) -> Run:
        """Return a run's objects, its store's client in the hands of `meddle`."""
        return Run(self.setup(**different), Meddled(self.s3, meddle) if meddle else self.s3)

    def archived(self, recording: StandInRecording, *, overwrite: bool = False, **different: Any) -> ArchivedRecording:
        """Archive a recording in a run of its own."""
        return self.run(**different).archived(recording.id, overwrite=overwrite)

    def add(self, video: int | MediaSource | None = None, **more: Any) -> StandInRecording:
        """Make a recording known, with a video of so many bytes."""
        source = MediaSource(SyntheticContent(video, seed=video)) if isinstance(video, int) else video
        return self.kit.add(StandInRecording(str(uuid.uuid4()), video=source, **more))

    def objects(self) -> dict[str, bytes]:
        """Return all that is in the bucket."""
        return {key: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in self.stored_keys()}

    def stored_keys(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def folder(self, recording: StandInRecording) -> str:
        """Return where the recording's bag is, or would be."""
        setup = self.setup()
        return f"{setup.prefix}/{setup.app_id}/{recording.invoked_time:%Y/%m/%d}/{recording.id}/"

    def names(self, recording: StandInRecording) -> set[str]:
        """Return what is in the recording's folder."""
        folder = self.folder(recording)
        return {key.removeprefix(folder) for key in self.stored_keys(folder)}

    def uploads(self) -> list[str]:
        """Return the keys of all uploads under way."""
        return [upload.key for upload in self.run().store.uploads("")]

    def copied(self, folder: Path) -> Path:
        """Copy the bucket's objects to a folder, as a person would to look at them, and return the only bag's."""
        for key, body in self.objects().items():
            target = folder / key
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
        (marker,) = folder.rglob("bagit.txt")
        return marker.parent

    def left_over(self, recording: StandInRecording | None = None) -> list[str]:
        """Return what no finished run may leave: uploads, and records of them."""
        keys = self.stored_keys(f"{self.folder(recording)}unfinished/" if recording else "")
        return self.uploads() + [key for key in keys if "/unfinished/" in key]

    def unfit(self) -> list[str]:
        """Return what failed runs have left that no other can carry on.

        That is empty uploads, uploads without a record, and records of uploads that are over without an object.
        """
        store, stored = self.run().store, self.stored_keys()
        uploads = {upload.id: upload for upload in store.uploads("")}
        records = {key: json.loads(store.get(key) or b"{}") for key in stored if "/unfinished/" in key}
        known = {record.get("upload_id") for record in records.values()}
        lost = [upload.key for its_id, upload in uploads.items() if its_id not in known or not store.parts(upload)]
        return lost + [
            key
            for key, record in records.items()
            if record.get("upload_id") not in uploads and record.get("key") not in stored
        ]


def payload(recording: StandInRecording) -> Mapping[str, bytes]:
    """Return what the recording's files hold at their source, by name."""
    return {name: source.content.read(0, source.size) for name, source in recording.files().items()}
