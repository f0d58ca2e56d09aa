"""A store whose trouble passes: every fault at every stage, each survived by the run that meets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.torture.scenario import Expect
from tests.torture.store.faults import (
    XHTML,
    After,
    Broken,
    Hangs,
    Late,
    Lost,
    Outage,
    Slow,
    page,
    refusal,
)
from tests.torture.store.scripts import always, at, everything, in_turn, once
from tests.torture.store.trouble import ANSWER_TIMEOUT_S, StoreTrouble, archived, interrupted, nothing, orphaned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import Fault, StoreProxy
    from tests.torture.store.scripts import Where

INTACT = Expect.INTACT
SHORT_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Stage:
    """A request that a run makes, and what it takes to have it made."""

    name: str
    where: Where
    parts: int = 0
    before: Callable[[Archiving, StandInRecording, Any], None] = nothing


STAGES = (
    Stage("small", at("PutObject", within="/data/")),
    Stage("create", at("CreateMultipartUpload"), 2),
    Stage("record", at("PutObject", within="/unfinished/"), 2),
    Stage("part", at("UploadPart", part=2), 3),
    Stage("complete", at("CompleteMultipartUpload"), 2),
    Stage("head", at("HeadObject", within="/data/")),
    Stage("tag", at("PutObject", "/manifest-sha256.txt")),
    Stage("marker", at("PutObject", "/bagit.txt")),
    Stage("tag-read", at("GetObject", "/tagmanifest-sha256.txt")),
    Stage("listing", at("ListObjectsV2")),
    Stage("uploads", at("ListMultipartUploads"), 2),
    Stage("delete", at("DeleteObject"), 2),
    Stage("abort", at("AbortMultipartUpload"), 2, orphaned),
    Stage("parts", at("ListParts"), 3, interrupted),
    Stage("read-back", at("GetObject", within="/data/"), 3, interrupted),
    Stage("found", at("ListObjectsV2"), 0, archived),
)


@dataclass(frozen=True)
class Passing:
    """A fault that passes."""

    name: str
    what: str
    fault: Fault
    times: int = 1
    answer_timeout_s: float = ANSWER_TIMEOUT_S

    def at(self, stage: Stage, *, short: bool) -> StoreTrouble:
        """Return the trouble of it at a stage."""
        return StoreTrouble(
            f"{stage.name}-{self.name}",
            f"{self.what} ({stage.name})",
            INTACT,
            once(stage.where, self.fault, self.times),
            parts=stage.parts,
            before=stage.before,
            short=short,
            answer_timeout_s=self.answer_timeout_s,
        )


FAULTS = (
    Passing("internal-error", "three internal errors", refusal(500, "InternalError"), 3),
    Passing("slow-down", "the store throttles twice", refusal(503, "SlowDown"), 2),
    Passing("too-many-requests", "the store throttles once, with 429", refusal(429, "TooManyRequests")),
    Passing("bad-gateway", "a web page of a load balancer, twice", page(502), 2),
    Passing("redirected", "the store is elsewhere for a moment", refusal(307, "TemporaryRedirect")),
    Passing("reset", "the connection is reset in the middle of the request", Broken("rst")),
    Passing("cut", "the connection ends in the middle of the request", Broken("fin", 0.9)),
    Passing("refused-early", "the store hangs up before it has read the request", refusal(503, "Busy", early=True)),
    Passing("lost", "the store does it, and its answer is lost", Lost("rst")),
    Passing("lost-in-silence", "the store does it, and never answers", Lost("hang"), 1, SHORT_TIMEOUT_S),
    Passing("hangs", "the store never answers", Hangs(), 1, SHORT_TIMEOUT_S),
    Passing("error-though-done", "the store does it, and says that it failed", After(refusal(500, "InternalError"))),
    Passing("page-200", "a page of XML with status 200 that is not the store's", page(200, XHTML)),
    Passing("outage", "the store refuses connections for a second", Outage(1.0)),
    Passing("late", "the connection breaks, and the request arrives with the next", Late()),
)

# Some of each stage: all of them would take the suite a minute.
SHORT = {
    "small": {"internal-error", "reset", "lost", "refused-early"},
    "create": {"lost", "page-200"},
    "record": {"lost"},
    "part": {"reset", "lost", "page-200", "late"},
    "complete": {"lost", "lost-in-silence", "error-though-done", "page-200"},
    "head": {"page-200", "bad-gateway"},
    "tag": {"cut"},
    "marker": {"lost", "reset", "outage"},
    "tag-read": set(),
    "listing": set(),
    "uploads": {"page-200"},
    "delete": {"lost", "page-200"},
    "abort": {"lost", "page-200"},
    "parts": {"too-many-requests"},
    "read-back": {"redirected", "reset"},
    "found": {"slow-down"},
}


def _waited(at_least_s: float) -> Callable[[StoreProxy], list[str]]:
    """Return the check that the client did not come back before it was asked to."""

    def check(proxy: StoreProxy) -> list[str]:
        met = proxy.struck[-1]
        later = [its for its in proxy.requests if its.number > met.number and its.operation == met.operation]
        after = [its.at - met.at for its in later if (its.key, its.query) == (met.key, met.query)]
        return [] if after and after[0] >= at_least_s else [f"it was asked again after {after[:1]} s, not {at_least_s}"]

    return check


TROUBLES = (
    *(fault.at(stage, short=fault.name in SHORT[stage.name]) for stage in STAGES for fault in FAULTS),
    StoreTrouble(
        "slow-down-for-a-second", "the store throttles, and says for how long", INTACT,
        once(at("PutObject"), refusal(503, "SlowDown", Retry_After="1")), check=_waited(1.0),
    ),
    StoreTrouble(
        "too-many-requests-for-a-second", "the same with 429, at a part", INTACT,
        once(at("UploadPart"), refusal(429, "TooManyRequests", Retry_After="1")), parts=2, check=_waited(1.0),
        short=False,
    ),
    StoreTrouble(
        "slow", "the store takes and gives 2 MB a second, and patience is shorter than that takes", INTACT,
        always(everything, Slow(2_000_000)), parts=3, stores=("rclone",), different={"patience_s": 0.1},
    ),
    StoreTrouble(
        "slow-swift", "the same with larger parts", INTACT,
        always(everything, Slow(8_000_000)), parts=3, stores=("swift",), different={"patience_s": 0.5}, short=False,
    ),
    StoreTrouble(
        "connections-die-one-after-another", "every other request is reset, whatever it is", INTACT,
        in_turn(everything, *[None, Broken("rst")] * 40), parts=3,
    ),
    StoreTrouble(
        "overwrite-marker-delete-lost", "the answer to taking the old archive out of sight is lost", INTACT,
        once(at("DeleteObject", "/bagit.txt"), Lost("rst")), before=archived, overwrite=True,
    ),
    StoreTrouble(
        "overwrite-marker-lost", "the answer to the new archive's marker is lost", INTACT,
        once(at("PutObject", "/bagit.txt"), Lost("rst")), before=archived, overwrite=True, parts=2, short=False,
    ),
    StoreTrouble(
        "not-there-then-away", "the first answer is that there is nothing, and then the store is gone for a second",
        INTACT, in_turn(everything, None, Outage(1.0)),
    ),
    StoreTrouble(
        "skewed-once", "a request arrives as if a machine had slept with it in its hands", INTACT,
        once(at("UploadPart"), refusal(403, "RequestTimeTooSkewed")), parts=2,
    ),
)  # fmt: skip
