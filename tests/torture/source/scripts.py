"""How troubles are arranged: which recording, and which request meets which fault."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeAlias

from tests.standins.realtimekit import Drop, MediaSource, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.standins.realtimekit import ApiRequest, Fault, FileRequest, StandInRecording
    from tests.support.archiving import Archiving

Arrange: TypeAlias = "Callable[[Archiving, int], StandInRecording]"
Rule: TypeAlias = "Callable[[FileRequest], Fault | None]"

ODD = 1234
"""Bytes by which a size is off a part's border."""


def sized(bench: Archiving, parts: float = 3, **more: Any) -> StandInRecording:
    """Make a recording known whose video has so many parts, and an odd end."""
    return bench.add(int(parts * bench.part) - ODD, **more)


def audio_only(bench: Archiving, size: int | None = None, **source: Any) -> StandInRecording:
    """Make a recording known that is audio alone: of that the API names no size.

    Args:
        size: in bytes; without it, a few parts.
        source: what is special about the source.
    """
    content = SyntheticContent(2 * bench.part + ODD if size is None else size, seed=3)
    return bench.add(audio=MediaSource(content, "audio/mpeg", **source))


def tracks(bench: Archiving, count: int) -> StandInRecording:
    """Make a recording of many participants known."""
    named = {f"track_{number:02}.webm": _track(number) for number in range(count)}
    return bench.add(tracks={"default": named})


def _track(number: int) -> MediaSource:
    return MediaSource(SyntheticContent(3000 + 7 * number, seed=number), "audio/webm")


def in_turn(*faults: Fault | None, parts: float = 3) -> Arrange:
    """Let the first requests for files meet these faults."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.file_faults = list(faults)
        return sized(bench, parts)

    return arrange


def by_rule(rule: Rule, parts: float = 3) -> Arrange:
    """Let a rule choose the fault of each request for a file."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.file_faults = rule
        return sized(bench, parts)

    return arrange


def always(fault: Fault, parts: float = 3) -> Arrange:
    """Let all requests for files meet a fault."""
    return by_rule(lambda _: fault, parts)


def first_tries(fault: Fault, parts: float = 3) -> Arrange:
    """Let the first request for each range meet a fault."""
    return by_rule(first_try(fault), parts)


def first_try(fault: Fault) -> Rule:
    """Return the rule by which the first request from each byte on meets a fault."""
    return lambda request: fault if request.attempt == 1 else None


def later_ranges(fault: Fault) -> Rule:
    """Return the rule by which all ranges but the first meet a fault."""
    return lambda request: fault if request.start else None


def at_seeded_places(how: str) -> Arrange:
    """Let every connection break, each at a place of its own that the seed chooses.

    Args:
        how: "fin", "rst" or "both".
    """

    def arrange(bench: Archiving, seed: int) -> StandInRecording:
        def fault(request: FileRequest) -> Fault:
            dice = random.Random(f"{seed}/{request.start}/{request.attempt}")
            # Ever further than 64 KiB, so that all of it comes to an end, and up to a part.
            after = dice.randrange(70_000, bench.part + 70_000)
            return Drop(after, "rst" if dice.choice(["fin", "rst"] if how == "both" else [how]) == "rst" else "fin")

        bench.kit.file_faults = fault
        return sized(bench)

    return arrange


def with_source(**source: Any) -> Arrange:
    """Have a video whose source is special, without any fault."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        return bench.add(MediaSource(SyntheticContent(3 * bench.part - ODD, seed=5), **source))

    return arrange


def faulty(arrange: Arrange, rule: Rule) -> Arrange:
    """Add a rule of faults to something arranged."""

    def arranged(bench: Archiving, seed: int) -> StandInRecording:
        bench.kit.file_faults = rule
        return arrange(bench, seed)

    return arranged


def when(
    moment: Callable[[FileRequest], bool], action: Callable[[Archiving, StandInRecording], None], arrange: Arrange
) -> Arrange:
    """Let something happen once, right before the first request of which `moment` is true is looked at."""

    def arranged(bench: Archiving, seed: int) -> StandInRecording:
        recording = arrange(bench, seed)
        done: list[bool] = []

        def look(request: FileRequest) -> None:
            if not done and moment(request):
                done.append(True)
                action(bench, recording)

        bench.kit.on_file_request = look
        return recording

    return arranged


def on_api_request(number: int, action: Callable[[StandInRecording], None], arrange: Arrange) -> Arrange:
    """Let something happen to the recording with the so-manieth request to the API, before that is looked at."""

    def arranged(bench: Archiving, seed: int) -> StandInRecording:
        recording = arrange(bench, seed)

        def look(request: ApiRequest) -> None:
            if request.number == number:
                action(recording)

        bench.kit.on_api_request = look
        return recording

    return arranged
