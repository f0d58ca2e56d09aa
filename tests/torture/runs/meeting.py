"""Runs that meet over one recording, whose source may change: what they say, and what a reader sees of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.errors import ArchiverError, SizeDisagrees
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.torture.scenario import Outcome, Verdict
from tests.torture.source.readers import Reader, Versions

if TYPE_CHECKING:
    import random

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

ATTEMPTS = 4
"""As Prefect's tasks have."""


@dataclass
class Meeting:
    """A recording, what its source has held, and what came of the runs that met over it."""

    bench: Archiving
    dice: random.Random
    recording: StandInRecording = field(init=False)
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    cut_short: bool = False
    """Whether a run was killed, or gave up for good: it may have left what only a run that overwrites carries on."""

    def __post_init__(self) -> None:
        """Make the recording known."""
        parts = self.dice.choice((0, 1, 2, 3))
        size = parts * self.bench.part + self.dice.randrange(1, 50_000)
        audio = MediaSource(b"s\0und" * 1000, "audio/mpeg") if self.dice.random() < 0.5 else None
        self.recording = self.bench.add(MediaSource(SyntheticContent(size, self._seed())), audio=audio)
        self.versions = Versions(self.recording)
        self.reader = Reader(self.bench, self.versions)

    def replace(self, *, same_size: bool) -> None:
        """Put another video in the place of the source's."""
        video = self.recording.video
        if video is None:
            raise AssertionError
        size = video.size if same_size else self.dice.randrange(1, 3 * self.bench.part)
        video.replace(SyntheticContent(size, self._seed()))
        self.versions.note()

    def _seed(self) -> int:
        return self.dice.randrange(1 << 30)

    def archived(self, client: Any, *, overwrite: bool, **settings: Any) -> None:
        """Archive the recording with a few retries, and take in what comes of it."""
        for attempt in range(1, ATTEMPTS + 1):
            run = self.bench.run(**settings)
            run.client = client
            try:
                run.archived(self.recording.id, overwrite=overwrite)
            except ArchiverError as error:
                if isinstance(error, SizeDisagrees):
                    self.cut_short = True
                    return  # the source was replaced after the API had told its size
                if error.retryable and attempt < ATTEMPTS:
                    continue
                self.failures.append(f"a run gave up: {type(error).__name__}: {error}")
            return

    def outcome(self) -> Outcome:
        """Let a last run find or finish the archive, and return what came of it all."""
        self.bench.kit.on_file_request = None
        self.archived(self.bench.s3, overwrite=False)
        meanwhile = len(self.reader.wrong)
        finished = self.reader.look() and len(self.reader.wrong) == meanwhile
        if self.cut_short and self.bench.left_over(self.recording):
            self.archived(self.bench.s3, overwrite=True)
        return Outcome(
            Verdict.LIE if self.reader.wrong else Verdict.INTACT,
            finished=finished,
            error="; ".join(dict.fromkeys(self.reader.wrong)),
            left_over=tuple(self.bench.left_over(self.recording)),
            seconds=time.monotonic() - self.began,
            failures=(*self.failures, *([] if finished else ["nothing is archived"])),
        )
