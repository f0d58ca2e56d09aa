"""A reader who knows nothing of runs: whenever there is a bag, it is one, and of what the source held at some time."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from tasks.archive.bag import parse_manifest
from tasks.s3.error_codes import BODY_FAILURES
from tests.support.archiving import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

GONE = (404, 500)
"""What stores say of an object that is replaced or deleted just now; rclone fails."""
PAUSE_S = 0.01


@dataclass
class Versions:
    """What the source of a recording has held so far: a bag is right if it is one of these."""

    recording: StandInRecording
    _held: list[Counter[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what it holds now."""
        self.note()

    def note(self) -> None:
        """Take in what the source holds now."""
        self._held.append(Counter(_sha256(body) for body in payload(self.recording).values()))

    def fault_of(self, bag: Mapping[str, bytes]) -> str | None:
        """Return what is wrong with a bag, None if nothing is."""
        actual = {path: _sha256(body) for path, body in bag.items()}
        media = {path: digest for path, digest in actual.items() if path.startswith("data/")}
        stated = parse_manifest(bag["manifest-sha256.txt"])
        if stated != media:
            return f"it states {stated} and holds {media}"
        tags = parse_manifest(bag["tagmanifest-sha256.txt"])
        wrong = [path for path, digest in tags.items() if actual.get(path) != digest]
        if wrong:
            return f"its {', '.join(wrong)} is not what its tag manifest states"
        if Counter(media.values()) not in self._held:
            return f"it holds {media}, which the source never held at one time"
        return None


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Reader:
    """Looks for the bag of a recording, reads all of it, and judges it.

    Args:
        bench: where it is.
        versions: what it may be.
        client: to read with; the bench's own if not given.
    """

    def __init__(self, bench: Archiving, versions: Versions, client: Any = None) -> None:
        self._s3 = client or bench.s3
        self._bench = bench
        self._versions = versions
        self._folder = bench.folder(versions.recording)
        self._over = Event()
        self.wrong: list[str] = []
        self.seen = 0
        """How many whole bags."""

    def look(self) -> bool:
        """Look once, and tell whether there was a bag; one that changes while it is read is none."""
        try:
            seal = self._seal()
            bag = self._read()
            if seal != self._seal():
                return False
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in GONE:
                return False
            raise
        except BODY_FAILURES:
            return False
        self.seen += 1
        if (fault := self._versions.fault_of(bag)) is not None:
            self.wrong.append(fault)
        return True

    def before_each_write(self, meddle: Callable[..., Any]) -> Callable[..., Any]:
        """Return hands for `Meddled` that look before each call."""

        def looking(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
            self.look()
            return meddle(method, request, send)

        return looking

    def _read(self) -> dict[str, bytes]:
        return {key.removeprefix(self._folder): self._get(key) for key in self._bench.stored_keys(self._folder)}

    def _seal(self) -> list[object]:
        """Return what is different once a bag was replaced."""
        marker = self._s3.head_object(Bucket=self._bench.bucket, Key=f"{self._folder}bagit.txt")
        manifests = [self._get(f"{self._folder}{name}manifest-sha256.txt") for name in ("", "tag")]
        return [marker["LastModified"], *manifests]

    def _get(self, key: str) -> bytes:
        with closing(self._s3.get_object(Bucket=self._bench.bucket, Key=key)["Body"]) as body:
            content: bytes = body.read()
        return content

    def __enter__(self) -> Self:
        """Look again and again, until the `with` ends."""
        self._thread = ThreadPoolExecutor(1)
        self._looking = self._thread.submit(self._keep_looking)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking, and raise what kept it from looking: a reader that has died sees nothing wrong."""
        self._over.set()
        self._thread.shutdown()
        self._looking.result()

    def _keep_looking(self) -> None:
        while not self._over.wait(PAUSE_S):
            self.look()
