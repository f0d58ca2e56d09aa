"""What happens while a run deletes: another run deletes the same, and a person changes a mind or the policy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import revoke_tombstone, tombstone_key
from tasks.engine import Engine
from tasks.errors import StoreUnavailable
from tests.support.expiring import WHO, Expiring
from tests.support.meddling import Meddled, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import StandInRecording


def meanwhile(expiring: Expiring, method: str, part: str, number: int, action: Callable[[], object]) -> None:
    """Let something happen right after the first calls of a method for a key with a part."""
    calls: list[str] = []

    def meddle(name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        try:
            return send()
        finally:
            if name == method and part in request["Key"]:
                calls.append(name)
                if len(calls) == number:
                    expiring.through(expiring.bench.s3)
                    action()

    expiring.through(Meddled(expiring.bench.s3, meddle))


def test_a_tombstone_keeps_the_checksums_though_another_run_deletes_all_of_it_meanwhile(expiring: Expiring) -> None:
    recording = expiring.old(1)
    folder = expiring.bench.folder(recording)
    meanwhile(
        expiring, "get_object", tombstone_key(folder), 1, lambda: expiring.run(recording_ids=(recording.id,), **WHO)
    )
    expiring.run(recording_ids=(recording.id,), **WHO)
    stone = expiring.tombstone(folder)
    assert stone is not None
    assert stone.state == "deleted"
    assert [bag.manifest_sha256 != "" for bag in stone.bags] == [True]
    assert stone.objects > 5


def test_what_a_person_wants_archived_again_while_a_run_finishes_deletions_stays(expiring: Expiring) -> None:
    bench = expiring.bench
    recordings = sorted((expiring.old(1), expiring.old(1)), key=bench.folder)
    expiring.run(recording_ids=tuple(its.id for its in recordings), **WHO)
    for its in recordings:  # as another run has left something there
        expiring.put(f"{bench.folder(its).rstrip('/')}.poster.jpg")
    last = recordings[1]

    def archive_again() -> None:
        assert revoke_tombstone(bench.run().store, "archive/", bench.folder(last), datetime.now(UTC))
        bench.archived(last)

    meanwhile(expiring, "delete_object", recordings[0].id, 1, archive_again)
    expiring.run()
    assert "bagit.txt" in bench.names(last)
    stone = expiring.tombstone(bench.folder(last))
    assert stone is not None
    assert stone.state == "revoked"


def wanted_back(expiring: Expiring, recording: StandInRecording) -> Callable[[], None]:
    """Return what a person does who wants a recording back that is being deleted."""

    def archive_again() -> None:
        bench = expiring.bench
        assert revoke_tombstone(bench.run().store, "archive/", bench.folder(recording), datetime.now(UTC))
        bench.archived(recording)

    return archive_again


@pytest.mark.parametrize("at", ["bagit.txt", "unfinished/", "data/"])
def test_what_a_person_wants_back_while_its_deletion_is_under_way_stays_and_the_request_fails(
    expiring: Expiring, at: str
) -> None:
    recording = expiring.old(1)
    bench = expiring.bench
    folder = bench.folder(recording)
    expiring.put(f"{folder}unfinished/{'0' * 32}.json", b"{}")
    expiring.put(f"{folder}data/notes.txt")  # that nobody knows
    meanwhile(expiring, "delete_object", f"{folder}{at}", 1, wanted_back(expiring, recording))
    report, problem = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert (report.deleted[0].id, report.deleted[0].state) == (recording.id, "revoked")
    assert "somebody wants back since" in problem
    assert bench.archived(recording).already_archived


def test_what_a_person_wants_back_before_a_run_tries_again_stays(expiring: Expiring) -> None:
    recording = expiring.old(1)
    bench = expiring.bench
    expiring.patch.setattr(Engine, "with_retries", lambda *_: twice)
    away = [StoreUnavailable("delete_object", "s3://bucket", "away")]

    def twice(stage: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return stage(*arguments)
        except StoreUnavailable:
            expiring.through(bench.s3)
            wanted_back(expiring, recording)()
            return stage(*arguments)

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "delete_object" and request["Key"].endswith("bagit.txt") and away:
            raise away.pop()
        return send()

    expiring.through(Meddled(bench.s3, meddle))
    report, _ = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert report.deleted[0].state == "revoked"
    assert bench.archived(recording).already_archived


def test_a_marker_that_another_run_writes_meanwhile_goes_before_all_else_too(expiring: Expiring) -> None:
    recording = expiring.old(1)
    marker = f"{expiring.bench.folder(recording)}bagit.txt"
    before, deleted = expiring.rest(), list[str]()

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "delete_object" and request["Key"] == marker:
            deleted.append(marker)
            if len(deleted) == 2:
                raise refusal("AccessDenied", 403)
        answer = send()
        if method == "list_objects_v2" and "Delimiter" not in request and len(deleted) == 1:
            expiring.put(marker)
            answer = send()
        return answer

    expiring.through(Meddled(expiring.bench.s3, meddle))
    report, _ = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert report.deleted[0].state == "begun"
    assert expiring.rest() == before


@pytest.mark.parametrize("changed", ["held", "gone", "half"])
def test_a_policy_that_changes_while_a_run_deletes_ends_the_run(expiring: Expiring, changed: str) -> None:
    bench = expiring.bench
    first, second, third = (expiring.old(days) for days in (5, 4, 3))
    expiring.policy("keep_days = 1")
    key = "archive/_retention/policy.toml"

    def change() -> None:
        if changed == "gone":
            bench.s3.delete_object(Bucket=bench.bucket, Key=key)
        else:
            hold = f'[[holds]]\nrecording_id = "{second.id}"\nreason = "case"'
            expiring.policy(f"keep_days = 1\n{hold if changed == 'held' else hold[:20]}")

    meanwhile(expiring, "delete_object", first.id, 1, change)
    report, problem = expiring.incomplete()
    assert [its.id for its in report.deleted if its.kind == "recording"] == [first.id]
    assert (len(report.failed), report.left) == (1, 1)
    assert "has changed since this run has read it" in problem
    for its in (second, third):
        assert "bagit.txt" in bench.names(its)
        assert expiring.tombstone(bench.folder(its)) is None
