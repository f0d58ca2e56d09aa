"""Which recordings are archived is found by listing days, whatever store it is, and however the list shifts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx

from tasks.archive.day_listing import stored_files
from tasks.realtimekit.recordings import RealtimeKit
from tests.standins.realtimekit import Answer
from tests.support.calling import everything

if TYPE_CHECKING:
    import pytest

    from tests.standins.realtimekit import RealtimeKitStandIn
    from tests.standins.requests import ApiRequest
    from tests.support.archiving import Archiving


def test_a_whole_day_is_listed_at_once_and_the_marker_alone_counts(bench: Archiving) -> None:
    day = "archive/app/2026/11/20/"
    bags = {
        "1a": ["bagit.txt", "data/video/a.mp4", "data/audio/a.mp3", "manifest-sha256.txt"],
        "1b": ["bagit.txt", *(f"data/tracks/default/{number}.webm" for number in range(3))],
        "1c": ["bag-info.txt", "data/video/bagit.txt", "unfinished/bagit.txt"],
        "1c2": ["bagit.txt"],
        "2d": ["bagit.txt"],
    }
    keys = [f"{day}{name}/{path}" for name, paths in bags.items() for path in paths]
    for key in [*keys, "archive/app/2026/11/21/3e/bagit.txt"]:
        bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=b"")
    asked: list[str] = []

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        asked.append(request.get("Prefix", method))
        return send()

    folders = {name: f"{day}{name}/" for name in ("1a", "1b", "1c", "1x")}
    folders |= {name: f"archive/app/2026/11/21/{name}/" for name in ("3e",)}
    found = stored_files(bench.run(meddle).store, folders)
    assert found["1c"] == (False, Counter(video=1))
    archived = {name: stored.files for name, stored in found.items() if stored.is_bag}
    assert archived == {"1a": Counter(video=1, audio=1), "1b": Counter(tracks=3), "3e": Counter()}
    assert sorted(asked) == [f"{day}1", "archive/app/2026/11/21/3e/"]


def test_a_page_that_repeats_as_a_whole_page_has_just_arrived_is_not_the_end(
    kit: RealtimeKitStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.realtimekit.recordings._SORTED", {})
    pages = {1: ["b", "c"], 2: ["b", "c"], 3: ["d", "e"]}

    def answer(request: ApiRequest) -> Answer:
        number = int(request.query["page_no"][0])
        data = [{"id": name, "status": "UPLOADED"} for name in pages[number]]
        return Answer.json({"success": True, "data": data, "paging": {"total_count": 4 if number == 1 else 6}})

    kit.api_faults = answer
    with httpx.Client() as http:
        api = RealtimeKit(http, kit.base_url, kit.account_id, kit.app_id, kit.token)
        assert sorted(recording.id for recording in everything(api, {})) == ["b", "c", "d", "e"]
