"""A session under trouble: what is visible after each run, and what must be true of it whatever the run said."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.errors import ArchiverError
from tests.support.meetings import SUMMARY, Meeting, chat, transcript
from tests.torture.scenario import Outcome, Verdict, wrong_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import StandInDocument, StandInRecording
    from tests.support.archiving import Archiving

KINDS = ("transcript", "chat", "summary")
MOST_CLEAN_RUNS = 2
"""After the trouble: the first has all, and the second finds nothing new."""


@dataclass
class Trial:
    """Runs of one session, one after the other or at once, and what is visible after each."""

    bench: Archiving
    dice: random.Random
    meeting: Meeting
    recording: StandInRecording
    began: float = field(default_factory=time.monotonic)
    verdicts: list[Verdict] = field(default_factory=lambda: [Verdict.INTACT])
    failures: list[str] = field(default_factory=list)
    error: str = ""
    _visible: dict[str, set[bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, bench: Archiving, seed: int, **meeting: object) -> Trial:
        """Let a session end whose documents the seed picks."""
        dice = random.Random(seed)
        meeting_of_it = Meeting.at(bench, participants=dice.randint(0, 250), **meeting)  # type: ignore[arg-type]
        return cls(bench, dice, meeting_of_it, meeting_of_it.add_recording())

    def put_all(self) -> None:
        """Let all documents be there."""
        for kind in KINDS:
            self.put(kind)

    def put(self, kind: str) -> None:
        """Let a document be there, or another in its place."""
        said = [f"sentence {self.dice.randrange(10**9)}" for _ in range(self.dice.randint(1, 400))]
        content = {"transcript": transcript(*said), "chat": chat(*said), "summary": SUMMARY + said[0].encode()}[kind]
        self.meeting.put(kind, content)

    @property
    def documents(self) -> dict[str, StandInDocument]:
        """The documents at the source."""
        return dict(self.meeting.session.documents)

    def run(self, archive: Callable[[], object] | None = None) -> bool:
        """Let a run archive the session, look at what is visible, and tell whether the run said that all is well."""
        error: Exception | None = None
        try:
            (archive or (lambda: self.bench.run(patience_s=2).archived_session(self.meeting.id)))()
        except ArchiverError as failed:
            error, self.error = failed, str(failed)
        self.look(said_well=error is None)
        return error is None

    def run_with_recording(self, patience_s: float = 2.0) -> bool:
        """Let a run archive the recording and what is there of its session; no trouble of the session may reach it.

        Returns:
            Whether the run said that all is well with the session.
        """
        try:
            outcome = self.bench.run(patience_s=patience_s).archived_with_session(self.recording.id)
        except ArchiverError as failed:
            self.failures.append(f"the recording was not archived: {failed}")
            return False
        if wrong := wrong_with(self.bench, self.recording):
            self.failures.append(f"the recording is not archived as it is: {wrong}")
        self.error = outcome.failure or self.error
        self.look(said_well=not outcome.failure)
        return not outcome.failure

    def look(self, *, said_well: bool) -> None:
        """Judge what is visible by its bytes alone."""
        wrong = self.meeting.wrong()
        versions = self.meeting.versions()
        if wrong:
            self.failures += wrong
            self.verdicts.append(Verdict.LIE if said_well else Verdict.HALF)
        elif said_well and not versions:
            self.verdicts.append(Verdict.LIE)
        elif not said_well:
            self.verdicts.append(Verdict.SAFE)
        everything = {body for files in versions.values() for body in files.values()}
        newest = {path.partition(".")[0] for path in (self.meeting.newest() if versions else ())}
        for path, bodies in self._visible.items():
            if not bodies <= everything:
                self.failures.append(f"{path}, as it was visible once, is in no version any more")
            if said_well and path.partition(".")[0] not in newest:
                self.failures.append(f"{path} is not in the newest version")
        for files in versions.values():
            for path, body in files.items():
                if path.startswith("data/") and path != "data/missing.txt":
                    self._visible.setdefault(path, set()).add(body)

    def outcome(self, *, is_there: tuple[str, ...] = KINDS) -> Outcome:
        """Let runs without trouble finish it, and return what came of it all.

        Args:
            is_there: the documents that the newest version must have, as the source has them.
        """
        kit = self.bench.kit
        kit.api_faults, kit.file_faults, kit.on_file_request, kit.on_api_request = [], [], None, None
        kit.links_expire_after_requests = None
        for _ in range(MOST_CLEAN_RUNS):
            self.run()
        before = len(self.meeting.versions())
        self.run()
        if len(self.meeting.versions()) != before:
            self.failures.append("a run that found nothing new wrote a version")
        expected = {
            source.content.read(0, source.size)
            for kind in is_there
            if (source := self.documents[kind].source) is not None
        }
        finished = expected == set(self.meeting.payload().values()) if is_there else bool(self.meeting.versions())
        committed = tuple(f"v{number:04}" for number in self.meeting.versions())
        left_over = [key for key in self.bench.left_over() if any(f"/{version}/" in key for version in committed)]
        worst = max(self.verdicts, key=list(Verdict).index)
        seconds = time.monotonic() - self.began
        return Outcome(worst, finished, self.error, tuple(left_over), 0, seconds, tuple(self.failures))
