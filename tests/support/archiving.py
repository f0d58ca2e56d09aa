"""The main job for tests: the stand-in at one end, a real store at the other, production's own pipeline in between."""

from __future__ import annotations

import json
import logging
import uuid
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING, Any

from pydantic import ByteSize, SecretStr

from tasks.cancellation import CancellationGroup
from tasks.pipeline import Options, archive_recording, commit_archive, fetch_details, transfer_media
from tasks.session import Attempt, Session, StoreAccess
from tasks.session_pipeline import MeetingSessionOptions, archive_meeting_session, archive_session_of_recording
from tasks.settings import Settings
from tasks.sweep import Scope, plan_sweep, sweep_sessions
from tasks.text import MIB
from tasks.transfer import Tally, Transferred
from tests.standins.realtimekit import MediaSource, StandInRecording, SyntheticContent
from tests.support.meddling import Meddled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from tasks.archive import Archive, ArchivedMeetingSession, ArchivedRecording
    from tasks.realtimekit import Recording
    from tasks.s3 import Store
    from tasks.session_pipeline import SessionOutcome
    from tasks.sweep import Plan, SessionChoice
    from tasks.sweep.sessions import SessionSweep
    from tasks.transfer import Payload, TransferredFile
    from tests.standins.realtimekit import RealtimeKitStandIn
    from tests.standins.stores import Store as StoreServer

LOG = logging.getLogger(__name__)
SMALLEST_PART = {"swift": 5 * MIB, "ceph": 5 * MIB, "rclone": 128 * 1024}
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
    stall_s: float = 5.0
    prefix: str = "archive"
    accept_size: bool = False
    partial: bool = False
    storage: Mapping[str, str] = field(default_factory=dict)  # settings of how it is stored

    def settings(self) -> Settings:
        """Return settings that say the same; not checked, as parts may be smaller here than in production."""
        storage: Mapping[str, Any] = self.storage
        return Settings.model_construct(
            archive_url=f"s3://{self.bucket}/{self.prefix}".rstrip("/"),
            cloudflare_api_token=SecretStr(self.token),
            cloudflare_account_id=self.account_id,
            realtimekit_app_id=self.app_id,
            cloudflare_base_url=self.base_url,
            transfer_concurrency=self.concurrency,
            transfer_part_size=ByteSize(self.part_size),
            transfer_patience=self.patience_s,
            stall_timeout=self.stall_s,
            **storage,
        )

    def text(self) -> str:
        """Return it as one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def parsed(cls, text: str) -> Setup:
        """Read what `text` returned."""
        return cls(**json.loads(text))


class Counted(Tally):
    """Counts what moved, by path."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[str, int] = {}
        self.already: dict[str, int] = {}
        self.read: Counter[str] = Counter()

    def begin(self, path: str, size: int, already: int) -> None:
        """Note that a file is being transferred."""
        super().begin(path, size, already)
        self.sizes[path], self.already[path] = size, already

    def advance(self, path: str, count: int) -> None:
        """Note that bytes were read."""
        super().advance(path, count)
        self.read[path] += count


class Stops(CancellationGroup):
    """Remembers what stops the latest attempt."""

    latest: Event

    def add(self, stop: Event) -> None:
        """Note the event."""
        self.latest = stop
        super().add(stop)


@dataclass
class Run:
    """One run with production's own session and pipeline; a second run has a session of its own."""

    setup: Setup
    client: Any
    stops: Stops = field(default_factory=Stops)
    counted: Counted = field(default_factory=Counted)

    @property
    def stop(self) -> Event:
        """What stops the attempt that is under way, or was the last."""
        return self.stops.latest

    @cached_property
    def attempt(self) -> Attempt:
        """What a stage works with, for a look at the store: its API is not asked."""
        return Attempt(self._session(), Event())

    @property
    def store(self) -> Store:
        """The bucket."""
        return self.attempt.store

    @property
    def archive(self) -> Archive:
        """The archive in it."""
        return self.attempt.archive

    def payloads(self, recording: Recording) -> list[Payload]:
        """Return what goes where."""
        return self.attempt.payloads(recording)

    def recording(self, recording_id: str) -> Recording:
        """Return the recording's details."""
        with closing(self._session()) as session:
            return fetch_details(session, recording_id)

    def move(self, recording_id: str, *, replace: bool = False) -> list[TransferredFile]:
        """Transfer the files only: nothing is committed."""
        with closing(self._session()) as session:
            recording = fetch_details(session, recording_id)
            return list(transfer_media(session, recording, self._options(overwrite=replace)).files)

    def commit(
        self, recording_id: str, files: Sequence[TransferredFile], *, overwrite: bool = False
    ) -> ArchivedRecording:
        """Commit what `move` has transferred."""
        with closing(self._session()) as session:
            recording = fetch_details(session, recording_id)
            transferred = Transferred(files, 0, 0.0, 0, 0)
            return commit_archive(session, recording, transferred, self._options(overwrite=overwrite))

    def archived(self, recording_id: str, *, overwrite: bool = False) -> ArchivedRecording:
        """Archive a recording, or find that it is."""
        with closing(self._session()) as session:
            return archive_recording(session, recording_id, self._options(overwrite=overwrite)).archived

    def archived_with_session(self, recording_id: str) -> SessionOutcome:
        """Archive a recording, or find that it is, and then what is there of its session."""
        with closing(self._session()) as session:
            outcome = archive_recording(session, recording_id, self._options(overwrite=False))
            return archive_session_of_recording(session, outcome.recording)

    def archived_session(self, session_id: str, **options: Any) -> ArchivedMeetingSession:
        """Archive what belongs to a meeting's session, or find that it is."""
        with closing(self._session()) as session:
            return archive_meeting_session(session, session_id, MeetingSessionOptions(**options))

    def planned(self, now: datetime) -> Plan:
        """Return what a sweep at that time would do, of the app's recordings of the nine days before."""
        with closing(self._session()) as session, session.attempt() as attempt:
            return plan_sweep(attempt.api, attempt.archive, attempt.store, self.setup.app_id, Scope(now))

    def swept_sessions(
        self, now: datetime, choice: SessionChoice = "recorded", *, dry_run: bool = False, before: Sequence[str] = ()
    ) -> SessionSweep:
        """Return what a sweep at that time does about the sessions of the app, which comes after those apps."""
        scope, app_ids = Scope(now), (*before, self.setup.app_id)
        seen = self.planned(now).sessions
        emitted: list[ArchivedMeetingSession] = []
        with closing(self._session()) as session:
            *_, swept = sweep_sessions(session, seen, app_ids, scope, choice, emitted.append, dry_run=dry_run)
        assert [archived.session_id for archived in emitted] == [session.session_id for session in swept.archived]
        return swept

    def _options(self, *, overwrite: bool) -> Options:
        return Options(overwrite=overwrite, accept_size=self.setup.accept_size, partial=self.setup.partial)

    @cached_property
    def _store_access(self) -> StoreAccess:
        """What all sessions of the run know of the store, as those of a sweep do."""
        return StoreAccess(self.setup.settings(), self.client)

    def _session(self) -> Session:
        return Session(
            self.setup.settings(),
            LOG,
            store_access=self._store_access,
            views=lambda _recording, _log: [],
            new_tally=lambda: self.counted,
            cancellation=self.stops,
        )


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
