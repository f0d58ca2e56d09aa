"""Credentials that may add and not delete: what is stored is committed, and what cannot be cleared away is told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import StoreRefused, UploadVanished
from tasks.transfer.models import UploadedFile
from tests.standins.realtimekit import SyntheticContent
from tests.support.archiving import Archiving, payload
from tests.support.auditing import audited
from tests.support.bags import bag_of, key_of, stored_payload
from tests.support.meddling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def refusing(*methods: str) -> Callable[..., Any]:
    """Return hands for `Meddled` that refuse these calls."""

    def meddle(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method in methods:
            raise refusal("AccessDenied", 403)
        return send()

    return meddle


@pytest.mark.parametrize("refused", [("delete_object",), ("delete_object", "abort_multipart_upload")], ids=len)
def test_what_is_stored_is_committed_though_nothing_may_be_cleared_away(
    bench: Archiving, refused: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = bench.add(2 * bench.part)
    bench.run().move(recording.id, replace=True)  # as a run leaves it that was killed
    assert recording.video is not None
    recording.video.replace(SyntheticContent(2 * bench.part, seed=7))
    with caplog.at_level(logging.WARNING):
        bench.run(refusing(*refused)).archived(recording.id)
    (told,) = [record.message for record in caplog.records if "clear away" in record.message]
    assert "/unfinished/" in told
    assert ("the upload to" in told) == (len(bench.uploads()) == 1) == (len(refused) == 2)
    assert stored_payload(bag_of(bench, tmp_path)) == list(payload(recording).values())
    assert audited(bench).told == []
    assert bench.run(refusing(*refused)).archived(recording.id).already_archived


def test_an_upload_whose_record_may_not_be_deleted_is_still_known_to_be_over(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part)
    run = bench.run(refusing("delete_object", "abort_multipart_upload"))
    (moved,) = run.move(recording.id, replace=True)
    assert isinstance(moved, UploadedFile)
    journal = run.archive.journal(run.recording(recording.id))
    journal.abort(moved.upload)
    assert len(bench.uploads()) == 1
    with pytest.raises(UploadVanished):
        journal.complete(moved.upload, moved.parts)
    again = bench.run()
    again.archived(recording.id)
    assert sum(again.counted.read.values()) == 2 * bench.part, "nobody carries on with it"
    assert bench.left_over() == []


def test_an_upload_is_not_aborted_if_those_who_complete_it_cannot_be_told(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part)
    (moved,) = bench.run().move(recording.id, replace=True)
    assert isinstance(moved, UploadedFile)
    unable = bench.run(refusing("delete_object", "put_object"))
    unable.archive.journal(unable.recording(recording.id)).abort(moved.upload)
    assert len(bench.left_over()) == 2
    bench.run().archived(recording.id)
    assert bench.left_over() == []


def test_an_archive_that_may_not_be_withdrawn_stays_as_it_is(bench: Archiving) -> None:
    recording = bench.add(1000)
    old = bench.archived(recording)
    with pytest.raises(StoreRefused, match=r"delete_object on .*/bagit\.txt"):
        bench.run(refusing("delete_object")).archived(recording.id, overwrite=True)
    assert bench.archived(recording).files == old.files


def test_a_stray_file_that_may_not_be_deleted_is_named_and_no_bag_is_made_with_it(bench: Archiving) -> None:
    recording = bench.add(1000)
    bench.run().move(recording.id)
    stray = key_of(bench, recording, "data/video/") + ".stray"
    bench.s3.put_object(Bucket=bench.bucket, Key=stray, Body=b"stray")
    with pytest.raises(StoreRefused, match=r"delete_object on .*\.stray"):
        bench.run(refusing("delete_object")).archived(recording.id)
    assert "bagit.txt" not in bench.names(recording)
