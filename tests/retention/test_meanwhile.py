"""What happens while a run deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import tombstone_key
from tests.support.expiring import WHO, Expiring
from tests.support.meddling import Meddled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving


@pytest.fixture
def expiring(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> Expiring:
    return Expiring(rclone, monkeypatch)


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
