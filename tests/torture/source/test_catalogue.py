"""Whatever the source does, it ends as it must; and the way that is judged finds out pipelines that lie."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.torture.scenario import Expect, Verdict
from tests.torture.source.catalogue import SCENARIOS, TROUBLES
from tests.torture.source.scripts import in_turn
from tests.torture.source.trouble import SourceTrouble, scenario_of

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Outcome, Scenario

SEED = 1
ON_BOTH_STORES = {
    "cut-at-seeded-places", "etag-huge", "etag-odd", "expires-each-request", "gone-404-in-mid-transfer", "replaced",
    "server-down", "size-0", "type-huge", "type-odd",
}  # fmt: skip
"""The others leave the store no part in it; the long mode runs them all on both."""
SHORT = [scenario for scenario in SCENARIOS if scenario.short]
NO_TROUBLE = SourceTrouble("none", "nothing at all", Expect.INTACT, in_turn())
LIED_TO = (
    "html-200", "html-as-media", "xml-200", "json-200", "empty-200", "not-modified-304", "gzip-unsaid", "short-body",
    "chunked-ends-early-always", "unframed-cut-always", "forbidden-for-ever", "gone-404", "audio-html-as-media",
    "busy-for-ever", "redirect-nowhere",
)  # fmt: skip


@pytest.mark.parametrize("scenario", SHORT, ids=lambda scenario: f"{scenario.name}-rclone")
def test_it_ends_as_it_must(scenario: Scenario, rclone: Archiving) -> None:
    outcome = scenario.run(rclone, SEED)
    assert scenario.failures(outcome) == []


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in SHORT if scenario.name in ON_BOTH_STORES],
    ids=lambda scenario: f"{scenario.name}-swift",
)
def test_it_ends_as_it_must_on_the_strictest_store_too(scenario: Scenario, swift: Archiving) -> None:
    outcome = scenario.run(swift, SEED)
    assert scenario.failures(outcome) == []


def naive(bench: Archiving, recording: StandInRecording, *, marker_first: bool = False, **_: object) -> None:
    """Archive as one would at first: get it, put it, and say that it is there."""
    headers = {"Authorization": f"Bearer {bench.kit.token}"}
    details = httpx.get(f"{bench.kit.recordings_url}/{recording.id}", headers=headers).json()["data"]
    folder = bench.folder(recording)

    def put(name: str, body: bytes) -> None:
        bench.s3.put_object(Bucket=bench.bucket, Key=folder + name, Body=body)

    if marker_first:
        put("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    body = httpx.get(details["download_url"] or details["audio_download_url"], follow_redirects=True).content
    put("data/video/file.mp4", body)
    put("manifest-sha256.txt", f"{hashlib.sha256(body).hexdigest()}  data/video/file.mp4\n".encode())
    put("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")


def marking_first(bench: Archiving, recording: StandInRecording, **_: object) -> None:
    naive(bench, recording, marker_first=True)


def silent(*_: object, **__: object) -> None:
    """Archive nothing, and say nothing of that."""


def trouble(name: str) -> SourceTrouble:
    (found,) = [trouble for trouble in TROUBLES if trouble.name == name]
    return found


def met(its: SourceTrouble, bench: Archiving, pipeline: object) -> tuple[Outcome, list[str]]:
    scenario = scenario_of(its, pipeline)  # type: ignore[arg-type]
    outcome = scenario.run(bench, SEED)
    return outcome, scenario.failures(outcome)


@pytest.mark.parametrize("name", LIED_TO)
def test_a_pipeline_that_believes_what_it_is_sent_is_found_out(name: str, rclone: Archiving) -> None:
    outcome, failures = met(trouble(name), rclone, naive)
    assert outcome.verdict is Verdict.LIE
    assert failures


def test_a_pipeline_that_marks_too_early_is_found_out(rclone: Archiving) -> None:
    outcome, failures = met(trouble("cut-before-headers"), rclone, marking_first)
    assert outcome.verdict is Verdict.HALF
    assert failures


def test_a_pipeline_that_does_nothing_is_found_out(rclone: Archiving) -> None:
    outcome, failures = met(NO_TROUBLE, rclone, silent)
    assert outcome.verdict is Verdict.LIE
    assert failures


def test_where_nothing_is_wrong_even_the_naive_pipeline_passes(rclone: Archiving) -> None:
    outcome, failures = met(NO_TROUBLE, rclone, naive)
    assert outcome.verdict is Verdict.INTACT
    assert failures == []


def test_an_error_that_shows_a_link_is_found_out(rclone: Archiving) -> None:
    def telling(bench: Archiving, recording: StandInRecording, **_: object) -> None:
        naive(bench, recording)
        raise ValueError(bench.kit.token)

    _, failures = met(NO_TROUBLE, rclone, telling)
    assert any("a secret got out" in failure for failure in failures)


def test_a_final_error_is_found_out_where_trying_again_helps(rclone: Archiving) -> None:
    retried = trouble("busy-for-ever")
    believed = SourceTrouble("", "", Expect.REFUSED, retried.arrange, different={"patience_s": 0.5})
    scenario = scenario_of(believed)
    assert any("worth retrying" in failure for failure in scenario.failures(scenario.run(rclone, SEED)))
