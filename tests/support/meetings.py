"""Sessions for tests: a meeting with its recordings and documents, and its archive judged by its bytes alone."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import bagit

from tests.standins.realtimekit import MediaSource, StandInDocument, StandInRecording, StandInSession, SyntheticContent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.archiving import Archiving

TAG_FILES = {
    "bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "session.json", "participants.json",
}  # fmt: skip
SUMMARY = b"# Weekly sync\n\n- All is well.\n"


def transcript(*said: str) -> bytes:
    """Return a transcript in which somebody says something every ten seconds."""
    rows = [f'"{10_000 * number}","peer","user","custom","Mary","{text}"\n' for number, text in enumerate(said)]
    return "".join(rows).encode()


def chat(*said: str) -> bytes:
    """Return a chat as JSON; what is a URL is an uploaded file."""
    kinds = {True: "FILE_MESSAGE", False: "TEXT_MESSAGE"}
    messages = [
        {"displayName": "Mary", "payloadType": kinds[text.startswith("http")], "payload": text} for text in said
    ]
    return json.dumps(messages).encode()


def document(content: bytes, name: str = "document.csv", content_type: str = "text/csv") -> StandInDocument:
    """Return a document that is there."""
    return StandInDocument(MediaSource(content, content_type), name)


@dataclass
class Meeting:
    """A session at the stand-in, and where it is archived."""

    bench: Archiving
    session: StandInSession
    held: set[bytes] = field(default_factory=set)
    """All that the source ever held as a document, for `wrong`."""

    @classmethod
    def at(cls, bench: Archiving, *, participants: int = 2, days_ago: float = 1, **more: object) -> Meeting:
        """Let a session end some days ago, without any document yet."""
        started = (datetime.now(UTC) - timedelta(days=days_ago)).replace(microsecond=0)
        session = bench.kit.add_session(StandInSession(started_at=started, **more))  # type: ignore[arg-type]
        session.add_participants(participants)
        return cls(bench, session)

    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    def put(self, kind: str, content: bytes, name: str = "document.csv", content_type: str = "text/csv") -> None:
        """Let a document be there, in the place of any other."""
        self.held.add(content)
        setattr(self.session, kind, document(content, name, content_type))

    def add_recording(self, after_s: float = 10) -> StandInRecording:
        """Let a recording of the session begin so many seconds after its start."""
        source = MediaSource(SyntheticContent(1000))
        invoked = self.session.started_at + timedelta(seconds=after_s - 3)
        return self.bench.kit.add(
            StandInRecording(
                str(uuid.uuid4()),
                video=source,
                invoked_time=invoked,
                meeting_id=self.session.meeting_id,
                details={"session_id": self.id},
            )
        )

    @property
    def folder(self) -> str:
        """Where its versions are."""
        setup = self.bench.setup()
        return f"{setup.prefix}/{setup.app_id}/{self.session.started_at:%Y/%m/%d}/session-{self.id}/"

    def versions(self) -> dict[int, dict[str, bytes]]:
        """Return the content of all committed versions, by their number and by path."""
        found: dict[int, dict[str, bytes]] = {}
        for key in self.bench.stored_keys(self.folder):
            match = re.fullmatch(r"v(\d{4})/(.+)", key.removeprefix(self.folder))
            assert match is not None, key
            body = self.bench.s3.get_object(Bucket=self.bench.bucket, Key=key)["Body"].read()
            found.setdefault(int(match[1]), {})[match[2]] = body
        return {number: files for number, files in sorted(found.items()) if "bagit.txt" in files}

    def newest(self) -> dict[str, bytes]:
        """Return the content of the newest committed version."""
        return list(self.versions().values())[-1]

    def payload(self) -> dict[str, bytes]:
        """Return the payload of the newest committed version."""
        return {path: body for path, body in self.newest().items() if path.startswith("data/")}

    def findings(self) -> list[str]:
        """Return what the newest version states."""
        return re.findall(r"^Archive-Finding: (.*)$", self.newest()["bag-info.txt"].decode(), re.MULTILINE)

    def wrong(self) -> list[str]:
        """Return in sentences what is wrong with any committed version, as its bytes alone show."""
        return [f"v{number:04}: {what}" for number, files in self.versions().items() for what in self._flaws(files)]

    def _flaws(self, files: dict[str, bytes]) -> list[str]:
        flaws = [f"{name} is missing" for name in sorted(TAG_FILES - files.keys())]
        flaws += [
            f"{path} does not belong there"
            for path in sorted(files.keys() - TAG_FILES)
            if not path.startswith(("data/", "unfinished/"))
        ]
        payload = {path: body for path, body in files.items() if path.startswith("data/")}
        for manifest, of in (("manifest-sha256.txt", payload), ("tagmanifest-sha256.txt", files)):
            lines = files.get(manifest, b"").decode().splitlines()
            stated = {path: sha256 for sha256, _, path in (line.partition("  ") for line in lines)}
            actual = {path: hashlib.sha256(of[path]).hexdigest() for path in stated if path in of}
            if stated != actual or (of is payload and stated.keys() != payload.keys()):
                flaws.append(f"{manifest} states what is not so")
        if self.held:
            flaws += [
                f"{path} is nothing that the source ever held"
                for path, body in payload.items()
                if path.count("/") == 1 and path != "data/missing.txt" and body not in self.held
            ]
        return flaws

    def validate(self, folder: Path) -> None:
        """Copy the committed versions to a disk, and let a program that knows nothing of us judge them."""
        for number, files in self.versions().items():
            for path, body in files.items():
                target = folder / f"v{number:04}" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(body)
            bagit.Bag(str(folder / f"v{number:04}")).validate()
