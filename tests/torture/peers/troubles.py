"""Which troubles are for any tool that fetches a file, and some that a single stream is sure to meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standins.realtimekit import ChunkedEndsEarly, Drop, InTurn, SyntheticContent, Unframed
from tests.torture.scenario import Expect
from tests.torture.source import api
from tests.torture.source.catalogue import TROUBLES
from tests.torture.source.scripts import sized, when, with_source
from tests.torture.source.trouble import SourceTrouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import Fault, StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.source.scripts import Arrange


def _in_the_first_part(fault: Callable[[int], Fault]) -> Arrange:
    """Let the first request meet a fault at a byte that lies in the first range of whoever asks for ranges."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.file_faults = [fault(_early(bench))]
        return sized(bench)

    return arrange


def _early(bench: Archiving) -> int:
    return bench.part * 4 // 5


def _replaced(_bench: Archiving, recording: StandInRecording) -> None:
    assert recording.video is not None
    recording.video.replace(SyntheticContent(recording.video.size, seed=99))


def _always_cut_without_ranges(bench: Archiving, seed: int) -> StandInRecording:
    bench.kit.file_faults = lambda _: Drop(_early(bench))
    return with_source(ranges=False)(bench, seed)


HONEST = SourceTrouble("honest", "nothing wrong", Expect.INTACT, lambda bench, _: sized(bench))
"""What every tool must be able to do, or it is we who run it wrongly."""
_CUT = _in_the_first_part(Drop)
_OWN: tuple[SourceTrouble, ...] = (
    HONEST,
    SourceTrouble("cut-once", "the connection is cut once", Expect.INTACT, _CUT),
    SourceTrouble("reset-once", "it is reset once", Expect.INTACT, _in_the_first_part(lambda at: Drop(at, "rst"))),
    SourceTrouble("chunked-ends-early-once", "chunks that end politely, too early, once", Expect.INTACT,
                  _in_the_first_part(ChunkedEndsEarly)),
    SourceTrouble("unframed-cut-once", "no length, and a cut", Expect.INTACT,
                  _in_the_first_part(lambda at: InTurn(Unframed(), Drop(at)))),
    SourceTrouble("replaced-after-a-cut", "a cut, then another object", Expect.RESUMED,
                  when(lambda request: request.number_of_file == 2, _replaced, _CUT)),
    SourceTrouble("expires-after-a-cut", "a cut, then the URL has expired", Expect.INTACT,
                  when(lambda request: request.number == 2, lambda bench, _: bench.kit.expire_all_links(), _CUT)),
    SourceTrouble("cut-always-without-ranges", "no ranges, and a cut each time", Expect.RESUMED,
                  _always_cut_without_ranges),
)  # fmt: skip
"""Troubles that a single stream meets, too: many of the others are in the second range or later."""
_NOT_FOR_TOOLS = {
    *(trouble.name for trouble in api.TROUBLES),  # no tool asks the API a second time
    "expires-in-a-second",  # it would measure how fast a tool starts
    # A tool does not know whether a size is announced, nor what a file is.
    *(trouble.name for trouble in TROUBLES if "-of-audio" in trouble.name or "-of-unannounced" in trouble.name),
}
TELLING = (
    "honest", "cut-once", "reset-once", "cut-every-connection", "reset-after-each-answer", "chunked-cut",
    "chunked-ends-early-once", "unframed-cut-once", "cut-always-without-ranges", "stall-in-mid-body",
    "stall-for-ever", "short-body", "earlier-range", "empty-200", "html-200", "html-as-media", "xml-200", "gzip",
    "gzip-unsaid", "long-body", "replaced-after-a-cut", "expires-after-a-cut", "expires-at-once", "busy-503",
    "gone-404",
)  # fmt: skip
"""What is worth a row in a table for people."""


def troubles_for_tools() -> tuple[SourceTrouble, ...]:
    """Return the troubles that any tool can meet, beginning with none at all."""
    return *_OWN, *(trouble for trouble in TROUBLES if trouble.name not in _NOT_FOR_TOOLS)
