"""An archived recording is described: by a run that its own archiving started, or for a person who asks."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from flows.describe_recording import describe, main
from flows.describe_recording import describe_recording as describe_flow
from tasks.engine import Engine
from tasks.errors import NotInArchive, RecordingIdInvalid
from tests.flows.duty import deploy, deployment_id, prefect
from tests.flows.running import archive_recording, describe_recording
from tests.flows.world import World, eventually
from tests.standins import media
from tests.standins.realtimekit import MediaSource

if TYPE_CHECKING:
    from tasks.archive.models import ArchivedRecording

CLOUDFLARES = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "REALTIMEKIT_APP_ID")


def archived(world: World, **of_recording: Any) -> ArchivedRecording:
    return archive_recording(world.add(MediaSource(media.video_mp4()), **({"duration": 10.7} | of_recording)).id)


def stored_description(world: World, recording_id: str) -> Any:
    return json.loads(world.objects()[f"{recording_id}.description.json"])


def described_runs(world: World, recording_id: str) -> list[dict[str, Any]]:
    named = {"name": {"any_": [f"describe {recording_id}"]}}
    runs: list[dict[str, Any]] = world.ask_prefect("flow_runs", flow_runs=named)
    return runs


def runs_of_deployment(world: World, recording_id: str) -> list[dict[str, Any]]:
    of_it = {"id": {"any_": [deployment_id(world, "after-archive")]}}
    runs: list[dict[str, Any]] = world.ask_prefect("flow_runs", deployments=of_it)
    return [run for run in runs if run["parameters"]["recording_id"] == recording_id]


@pytest.mark.duty
def test_the_event_of_an_archive_starts_a_run_that_describes_it(here: World) -> None:
    deploy(here)
    done = {duration: archived(here, details={"recording_duration": duration}) for duration in (None, 10.7)}
    for duration, its in done.items():  # the API does not always know how long a recording is
        (run,) = eventually(partial(runs_of_deployment, here, its.recording_id))
        told = its.model_dump(mode="json", include={"recording_id", "archive_url", "files", "bytes", "duration_s"})
        assert run["parameters"] == told | {"duration_s": duration or 0}

    prefect(here, "flow-run", "execute", run["id"], **dict.fromkeys(CLOUDFLARES))
    (run,) = described_runs(here, its.recording_id)
    assert (run["state"]["type"], run["state"]["name"]) == ("COMPLETED", "Completed"), run["state"]["message"]
    (video,) = stored_description(here, its.recording_id)["files"]
    assert video["duration_s"] == pytest.approx(10.667)


@pytest.fixture
def without_cloudflare(here: World, monkeypatch: pytest.MonkeyPatch) -> ArchivedRecording:
    """Archive a recording, and forget all about Cloudflare."""
    done = archived(here, audio=MediaSource(media.audio_mp3(85_248)[:85_248], "audio/mpeg"))
    for name in CLOUDFLARES:
        monkeypatch.delenv(name)
    return done


def test_a_description_is_facts_and_a_picture_beside_the_bag(
    here: World, without_cloudflare: ArchivedRecording
) -> None:
    done, bag = without_cloudflare, here.objects()
    described = describe_recording(done.recording_id, done.archive_url)
    assert described.findings == ()
    assert {file.path: (file.sha256, file.size) for file in described.files} == {
        file.path: (file.sha256, file.size) for file in done.files
    }
    stored = here.objects()
    name, poster = f"{done.recording_id}.description.json", f"{done.recording_id}.poster.jpg"
    assert stored.keys() - bag.keys() == {name, poster}
    assert described.poster == f"data/video/{done.recording_id}.mp4"
    assert json.loads(stored[name]) == described.model_dump(mode="json")
    (artifact,) = here.ask_prefect("artifacts", artifacts={"key": {"any_": [f"described-{done.recording_id}"]}})
    for told in ("![A frame of the video](data:image/jpeg;base64,", "video: h264, 640 x 360, 24 frames/s", "0:00:11"):
        assert told in artifact["data"]
    assert len(artifact["data"]) < 42_000
    assert base64.b64encode(stored[poster]).decode() in artifact["data"]

    assert describe_recording(done.recording_id, done.archive_url) == described
    assert here.objects() == stored


def test_media_that_nothing_understands_is_a_finding_and_no_failure(here: World) -> None:
    done = archive_recording(here.add(b"vide\0" * 1000, duration=60).id)
    described = describe_recording(done.recording_id, done.archive_url)
    assert "nothing understands it as media" in described.findings[0]
    (run,) = described_runs(here, done.recording_id)
    assert (run["state"]["type"], run["state"]["name"]) == ("COMPLETED", "Findings")
    assert described.findings[0] in run["state"]["message"]
    assert stored_description(here, done.recording_id)["findings"] == list(described.findings)


def test_a_picture_of_what_was_archived_before_does_not_stay(here: World) -> None:
    recording = here.add(MediaSource(media.video_mp4()), duration=10.7)
    done = archive_recording(recording.id)
    describe_recording(done.recording_id, done.archive_url)
    assert here.objects()[f"{recording.id}.poster.jpg"].startswith(b"\xff\xd8\xff")
    recording.video = MediaSource(b"vide\0" * 1000)
    archive_recording(recording.id, overwrite=True)
    assert describe_recording(done.recording_id, done.archive_url).poster == ""
    assert f"{recording.id}.poster.jpg" not in here.objects()


def test_what_the_event_says_is_compared_and_not_believed(here: World, without_cloudflare: ArchivedRecording) -> None:
    done = without_cloudflare
    told = done.model_dump(include={"recording_id", "archive_url", "files", "bytes", "duration_s"})
    assert describe_recording(**told).findings == ()
    first, second = done.files
    lie = (first.model_copy(update={"sha256": "0" * 64}), second)
    described = describe_recording(done.recording_id, done.archive_url, lie, done.bytes + 1)
    assert [finding.partition(":")[0] for finding in described.findings[:1]] == [first.path]
    assert f"the archive holds {done.bytes:,}" in described.findings[1]
    assert stored_description(here, done.recording_id)["files"][0]["sha256"] == first.sha256


def test_an_address_outside_of_the_archive_ends_the_run(here: World) -> None:
    done = archived(here)
    before = here.objects()
    with pytest.raises(NotInArchive, match="It must be like s3://"):
        describe_recording(done.recording_id, done.archive_url.replace(here.bucket, "another"))
    with pytest.raises(RecordingIdInvalid):
        describe(Engine(), "../x", done.archive_url)
    assert here.objects() == before


def test_on_a_terminal_it_prints_one_line_of_json(
    without_cloudflare: ArchivedRecording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([without_cloudflare.archive_url.rstrip("/")]) == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert json.loads(told)["recording_id"] == without_cloudflare.recording_id
    assert main(["s3://bucket/nowhere"]) == 2


def test_the_form_asks_for_two_things_and_explains_all() -> None:
    shown = describe_flow.parameters.model_dump()
    assert shown["required"] == ["recording_id", "archive_url"]
    assert all(len(parameter["description"]) > 20 for parameter in shown["properties"].values())
    assert not any("anyOf" in parameter for parameter in shown["properties"].values())
