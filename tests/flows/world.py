"""What the tests of the flows share: a world for a run, processes in it, and what Prefect's server knows of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import httpx

from tests.clock import python_path
from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn, StandInRecording, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.standins.realtimekit import FileRequest
    from tests.standins.stores import Store

PROJECT = Path(__file__).parents[2]
MIB = 1024 * 1024
PART = 5 * MIB
PATIENCE_S = 90
_OURS = ("AWS_", "CLOUDFLARE_", "REALTIMEKIT_", "ARCHIVE_", "TRANSFER_", "TASK_", "POLL_", "STALL_", "ALARMS_")


def eventually(look: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """Return what `look` finds as soon as it finds something."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
    return found


@dataclass
class Gate:
    """Lets the source answer the first requests, and holds the others up until it is opened."""

    passing: int
    reached: Event = field(default_factory=Event)
    opened: Event = field(default_factory=Event)

    def __call__(self, request: FileRequest) -> None:
        """Hold up a request."""
        if request.number > self.passing and not self.opened.is_set():
            self.reached.set()
            self.opened.wait(PATIENCE_S)


@dataclass(frozen=True)
class World:
    """An API, a bucket and a Prefect server, and the folder that processes are started in.

    Without a server, `prefect_api` is empty, and commands run plainly.
    """

    kit: RealtimeKitStandIn
    store: Store
    bucket: str
    prefect_api: str
    folder: Path

    def add(self, video: bytes | MediaSource = b"vide\0" * 1000, **of_recording: Any) -> StandInRecording:
        """Make a recording known to the API."""
        source = video if isinstance(video, MediaSource) else MediaSource(video)
        return self.kit.add(StandInRecording(str(uuid.uuid4()), **{"video": source, **of_recording}))

    def add_large(self, parts: int = 8, **of_recording: Any) -> StandInRecording:
        """Make a recording known whose video takes so many parts."""
        return self.add(MediaSource(SyntheticContent(parts * PART, 1)), **of_recording)

    @contextmanager
    def gate(self, passing: int) -> Iterator[Gate]:
        """Put a gate before the source, open at the latest when the block ends."""
        gate = self.kit.on_file_request = Gate(passing)
        try:
            yield gate
        finally:
            gate.opened.set()

    def settings(self) -> dict[str, str]:
        """Return the variables that a person would set."""
        return self.store.environment() | {
            "CLOUDFLARE_API_TOKEN": self.kit.token,
            "CLOUDFLARE_ACCOUNT_ID": self.kit.account_id,
            "REALTIMEKIT_APP_ID": self.kit.app_id,
            "CLOUDFLARE_BASE_URL": self.kit.base_url,
            "ARCHIVE_URL": f"s3://{self.bucket}/pre",
            "TRANSFER_PART_SIZE": "5MiB",
            "TRANSFER_CONCURRENCY": "4",
            "POLL_INTERVAL": "0.1",
            "TASK_RETRIES": "0",
        }

    def environment(self, **changes: str | None) -> dict[str, str]:
        """Return the whole environment of a process; what is changed to None is not set."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        ours: dict[str, str | None] = {
            "PREFECT_API_URL": self.prefect_api or None,
            "PYTHONPATH": python_path(PROJECT),
            "PYTHONWARNINGS": "ignore",
        }
        merged = inherited | ours | self.settings() | changes
        return {name: value for name, value in merged.items() if value is not None}

    def run(self, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run `python -m flows.archive_recording` to its end."""
        with self.running(*arguments, changes=changes) as process:
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    @contextmanager
    def running(
        self, *arguments: str, stderr: int = subprocess.PIPE, changes: Mapping[str, str | None] | None = None
    ) -> Iterator[Any]:
        """Start `python -m flows.archive_recording`; it does not outlive the block."""
        command = [sys.executable, "-m", "flows.archive_recording", *arguments]
        environment = self.environment(**(changes or {}))
        with subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def objects(self) -> dict[str, bytes]:
        """Return all objects of the bucket, by what comes after the recording's folder in their key."""
        client = self.store.client()
        listed = client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        keys = [found["Key"] for found in listed]
        bodies = [client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys]
        return {key.split("/", 6)[-1]: body for key, body in zip(keys, bodies, strict=True)}

    def stored_parts(self) -> set[int]:
        """Return the numbers of the parts that uploads under way have."""
        client = self.store.client()
        uploads = client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        listed = [client.list_parts(Bucket=self.bucket, Key=up["Key"], UploadId=up["UploadId"]) for up in uploads]
        return {part["PartNumber"] for parts in listed for part in parts.get("Parts", [])}

    def ask_prefect(self, what: str, **criteria: Any) -> Any:
        """Return what Prefect's server answers to a filter; over SQLite, it may be silent, and is asked again."""
        try:
            answer = httpx.post(f"{self.prefect_api}/{what}/filter", json=criteria, timeout=30)
        except httpx.ReadTimeout:
            answer = httpx.post(f"{self.prefect_api}/{what}/filter", json=criteria, timeout=60)
        return answer.raise_for_status().json()

    def flow_runs(self, recording: StandInRecording) -> list[dict[str, Any]]:
        """Return the flow runs that archive a recording, oldest first."""
        named = {"name": {"any_": [f"archive {recording.id}"]}}
        runs: list[dict[str, Any]] = self.ask_prefect("flow_runs", flow_runs=named, sort="START_TIME_ASC")
        return runs

    def logged(self, **of: Any) -> list[str]:
        """Return the lines that the server has of a run's log, such as of `flow_run_id`."""
        criteria = {name: {"any_": [its_id]} for name, its_id in of.items()}
        return [log["message"] for log in self.ask_prefect("logs", logs=criteria)]

    def events(self, recording: StandInRecording) -> list[dict[str, Any]]:
        """Return the events of a recording that the server has received."""
        about = {"resource": {"id": [f"realtimekit.recording.{recording.id}"]}}
        events: list[dict[str, Any]] = self.ask_prefect("events", filter=about)["events"]
        return events


def new_world(kit: RealtimeKitStandIn, store: Store, prefect_api: str, folder: Path) -> World:
    """Return a world with no recordings yet, and an empty bucket; a store that a test has killed is started again."""
    if not store.running:
        store.start()
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    store.client().create_bucket(Bucket=bucket)
    return World(kit, store, bucket, prefect_api, folder)
