"""What may go wrong with what belongs to a session: late, never, twice, replaced, broken, killed, at once."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from tasks.s3.client import new_s3_client
from tests.standins.realtimekit import Answer, ChunkedEndsEarly, Drop, HtmlPage, MediaSource, Refuse, StandInDocument
from tests.support.archive_child import Death
from tests.support.archiving import Run
from tests.support.meddling import Meddled
from tests.torture.runs.processes import Processes
from tests.torture.scenario import Expect, Outcome, Scenario
from tests.torture.sessions.trouble import KINDS, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import ApiRequest, Fault
    from tests.support.archiving import Archiving

MOST_WRITES = 14
"""Of a run that adds a version: a death later than that is none."""
LONGEST_DELAY_S = 0.01
FILE_FAULTS: tuple[Fault, ...] = (
    Drop(20, "rst"), Drop(1, "fin"), Refuse("rst"), Answer.slow_down(0), Answer(403), HtmlPage(), ChunkedEndsEarly(20),
)  # fmt: skip


def late(bench: Archiving, seed: int) -> Outcome:
    """Let each document come some looks after the session's end, said in one way or the other."""
    trial = Trial.of(bench, seed)
    trial.put_all()
    for document in trial.documents.values():
        document.looks_before = trial.dice.randint(0, 3)
        document.absence = trial.dice.choice(("404", "null", "no data"))
    for _ in range(4):
        trial.run()
    return trial.outcome()


def never(bench: Archiving, seed: int) -> Outcome:
    """Let the seven days end with some documents that never came."""
    trial = Trial.of(bench, seed, days_ago=8)
    there = tuple(kind for kind in KINDS if trial.dice.random() < 0.5)
    for kind in there:
        trial.put(kind)
    outcome = trial.outcome(is_there=there)
    stated = [
        kind for kind in KINDS if any(f"The {kind} was not there" in finding for finding in trial.meeting.findings())
    ]
    if stated != [kind for kind in KINDS if kind not in there]:
        trial.failures.append(f"the bag states that {', '.join(stated) or 'nothing'} was not there")
    return trial.outcome(is_there=there) if trial.failures else outcome


def vanished(bench: Archiving, seed: int) -> Outcome:
    """Let the source hand out no more what was archived, once the seven days are over."""
    trial = Trial.of(bench, seed)
    trial.put_all()
    trial.run()
    held = trial.documents
    for kind in KINDS:
        setattr(trial.meeting.session, kind, StandInDocument(absence=trial.dice.choice(("404", "null", "no data"))))
    trial.run()
    for kind, document in held.items():
        setattr(trial.meeting.session, kind, StandInDocument(document.source, document.name, 10**6))
    return trial.outcome()


def replaced(bench: Archiving, seed: int) -> Outcome:
    """Let documents be replaced between runs, and while they are read."""
    trial = Trial.of(bench, seed)
    trial.put_all()
    at = {trial.dice.randint(1, 6) for _ in range(2)}
    numbers = count(1)

    def look(_request: object) -> None:
        if next(numbers) in at:
            trial.put(trial.dice.choice(KINDS))

    bench.kit.on_file_request = look
    for _ in range(3):
        trial.run()
        trial.put(trial.dice.choice(KINDS))
    return trial.outcome()


def in_its_place(content: bytes) -> Callable[[Archiving, int], Outcome]:
    """Return what lets something else stand in the place of a document for a while, before it or after it."""

    def run(bench: Archiving, seed: int) -> Outcome:
        trial = Trial.of(bench, seed)
        trial.put_all()
        if trial.dice.random() < 0.5:
            trial.run()
        kind = trial.dice.choice(KINDS)
        right = trial.documents[kind]
        if not content.startswith(b"<"):
            trial.meeting.held.add(content)  # such a thing is kept, and told
        setattr(trial.meeting.session, kind, StandInDocument(MediaSource(content, "text/csv"), "document.csv"))
        trial.run()
        setattr(trial.meeting.session, kind, right)
        return trial.outcome()

    return run


def expired(bench: Archiving, seed: int) -> Outcome:
    """Let links expire before they are used, or after one request."""
    trial = Trial.of(bench, seed)
    trial.put_all()
    bench.kit.links_expire_after_requests = trial.dice.choice((None, 1))
    at = {trial.dice.randint(1, 6) for _ in range(3)}
    numbers = count(1)

    def look(_request: object) -> None:
        if next(numbers) in at:
            bench.kit.expire_all_links()

    bench.kit.on_file_request = look
    trial.run()
    return trial.outcome()


def between_pages(bench: Archiving, seed: int) -> Outcome:
    """Let the API fail from some page of the participants on, or at any request now and then."""
    trial = Trial.of(bench, seed)
    trial.meeting.session.add_participants(120)
    trial.put_all()
    page, share = str(trial.dice.randint(2, 3)), trial.dice.choice((0.0, 0.3))

    def fault(request: ApiRequest) -> Fault | None:
        fails = request.query.get("page_no") == [page] or trial.dice.random() < share
        return trial.dice.choice((Answer(503), Answer(500), Refuse("rst"), Drop(20, "fin"))) if fails else None

    bench.kit.api_faults = fault
    for _ in range(2):
        trial.run(lambda: bench.run(patience_s=1).archived_session(trial.meeting.id))
    return trial.outcome()


def broken(bench: Archiving, seed: int) -> Outcome:
    """Let half of all requests for documents fail in some way."""
    trial = Trial.of(bench, seed)
    trial.put_all()
    bench.kit.file_faults = lambda _request: trial.dice.choice(FILE_FAULTS) if trial.dice.random() < 0.5 else None
    for _ in range(2):
        trial.run()
    return trial.outcome()


def killed(bench: Archiving, seed: int) -> Outcome:
    """Kill runs at any of their writes, while documents come one after the other."""
    trial = Trial.of(bench, seed)
    kinds = trial.dice.sample(KINDS, 3)
    with Processes(bench) as processes:
        for number in range(4):
            if number < len(kinds):
                trial.put(kinds[number])
            how: Literal["before", "within", "after"] = trial.dice.choice(("before", "within", "after"))
            death = Death(trial.dice.randint(1, MOST_WRITES), how, trial.dice.random() * LONGEST_DELAY_S)
            ended = processes.ended(processes.start(trial.meeting.session, is_session=True, death=death))
            if not (ended.killed or ended.done):
                trial.failures.append(f"a run ended with {ended.code}: {ended.said}")
            trial.look(said_well=ended.done)
    return trial.outcome()


def at_once(bench: Archiving, seed: int) -> Outcome:
    """Let 2, 3 or 5 runs begin at about the same time, while documents come and are replaced."""
    trial = Trial.of(bench, seed)
    trial.put("transcript")
    if trial.dice.random() < 0.5:
        trial.run()
    come = iter(trial.dice.sample(["chat", "summary", "transcript"], 3))
    plans = [random.Random(trial.dice.random()) for _ in range(trial.dice.choice((2, 3, 5)))]

    def run(its_dice: random.Random) -> None:
        def meddle(_method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
            time.sleep(its_dice.random() * LONGEST_DELAY_S)
            return send()

        time.sleep(its_dice.random() * 0.3)
        if (kind := next(come, None)) is not None:
            trial.put(kind)
        Run(bench.setup(), Meddled(new_s3_client(8), meddle)).archived_session(trial.meeting.id)

    def all_at_once() -> None:
        with ThreadPoolExecutor(len(plans)) as threads:
            list(threads.map(run, plans))

    trial.run(all_at_once)
    return trial.outcome()


def killed_at_once(bench: Archiving, seed: int) -> Outcome:
    """Let two processes run at once, of which one is killed at any of its writes, again and again."""
    trial = Trial.of(bench, seed)
    with Processes(bench) as processes:
        for kind in trial.dice.sample(KINDS, 3):
            trial.put(kind)
            death = Death(trial.dice.randint(1, MOST_WRITES), "before")
            first = processes.start(trial.meeting.session, is_session=True, death=death)
            second = processes.start(trial.meeting.session, is_session=True)
            ended = [processes.ended(first), processes.ended(second)]
            trial.failures += [
                f"a run ended with {one.code}: {one.said}" for one in ended if not (one.killed or one.done)
            ]
            trial.look(said_well=ended[1].done)
    return trial.outcome()


def with_recording(bench: Archiving, seed: int) -> Outcome:
    """Archive a recording while its session comes late or broken, and the API refuses what is asked of it."""
    trial = Trial.of(bench, seed)
    share = trial.dice.choice((0.2, 0.5, 1.0))
    answers: tuple[Fault, ...] = (
        Answer(503), Answer.failure(10000, "Authentication error", 403), Answer.refusal(404, "Session not found"),
        Answer.too_many_requests(300), HtmlPage(), Refuse("rst"), Drop(20, "fin"),
    )  # fmt: skip

    def refuse(request: ApiRequest) -> Fault | None:
        is_of_recording = "/recordings/" in request.path
        return None if is_of_recording or trial.dice.random() >= share else trial.dice.choice(answers)

    for kind in trial.dice.sample(KINDS, 3):
        trial.put(kind)
        trial.documents[kind].looks_before = trial.dice.randint(0, 2)
        bench.kit.api_faults = refuse
        bench.kit.file_faults = lambda request: (
            trial.dice.choice(FILE_FAULTS) if "sessions" in request.key and trial.dice.random() < share else None
        )
        trial.run_with_recording(patience_s=0.3)
    bench.kit.api_faults, bench.kit.file_faults = [], []
    for document in trial.documents.values():
        document.looks_before = 0
    trial.run_with_recording()
    if trial.meeting.payload().keys() != {f"data/{name}" for name in ("transcript.csv", "chat.json", "summary.md")}:
        trial.failures.append(f"after the trouble, a run brought only {', '.join(trial.meeting.payload())}")
    return trial.outcome()


HTML = b"<!DOCTYPE html><html><body>Just a moment...</body></html>"
XML = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>'

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("session-late", "documents come one after the other", Expect.INTACT, late),
    Scenario("session-never", "some documents never come within the seven days", Expect.INTACT, never),
    Scenario("session-vanished", "documents are handed out no more", Expect.INTACT, vanished),
    Scenario("session-replaced", "documents are replaced, also while they are read", Expect.INTACT, replaced),
    Scenario("session-html-as-csv", "an HTML page as text/csv", Expect.INTACT, in_its_place(HTML)),
    Scenario("session-xml-as-csv", "an XML error as text/csv", Expect.INTACT, in_its_place(XML), short=False),
    Scenario("session-empty", "a document of 0 bytes", Expect.INTACT, in_its_place(b"")),
    Scenario("session-expired", "URLs expire before they are used", Expect.INTACT, expired),
    Scenario("session-between-pages", "the API fails between pages", Expect.RESUMED, between_pages),
    Scenario("session-broken", "half of all downloads fail in some way", Expect.INTACT, broken, short=False),
    Scenario("session-recording", "its recording is archived meanwhile", Expect.RESUMED, with_recording),
    Scenario("session-killed", "runs are killed at any of their writes", Expect.RESUMED, killed),
    Scenario("session-at-once", "2, 3 or 5 runs at once", Expect.INTACT, at_once),
    Scenario("session-killed-at-once", "one of two runs is killed", Expect.RESUMED, killed_at_once, short=False),
)
