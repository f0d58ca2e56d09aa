"""A run that deletes is killed at random moments, as a machine loses its power, until nothing is left to delete."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from threading import Timer
from typing import TYPE_CHECKING

import pytest

from tasks.archive import tombstone_key
from tests.clock import python_path
from tests.flows.world import PROJECT
from tests.support.expiring import Expiring
from tests.torture.store.trouble import proxy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.stores import Store as StoreServer
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import Fault, StoreProxy
    from tests.torture.store.requests import StoreRequest

LATEST = 20
"""A run is killed at one of so many requests to the store from its first write on, or a little later."""
READS = ("Get", "Head", "List")
A_LITTLE_S = 0.03


class Deaths:
    """Starts runs of the command, and kills each of them at a random request.

    Args:
        proxy: through which the runs reach the store.
        environment: their variables.
        seed: of the moments.
    """

    def __init__(self, proxy: StoreProxy, environment: dict[str, str], seed: int) -> None:
        self._proxy = proxy
        self._environment = environment
        self._random = random.Random(seed)

    def run(self) -> int:
        """Run the command until its death or end, and return its exit code."""
        command = [sys.executable, "-W", "ignore", "-m", "flows.expire_archive", "--delete"]
        with subprocess.Popen(
            command, cwd=PROJECT, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            self._proxy.start_over(self._killing(process))
            return process.wait(60)

    def _killing(self, process: subprocess.Popen[bytes]) -> Callable[[StoreRequest], Fault | None]:
        """Return the rule that kills a run at a request: before it is passed on, or a little later."""
        left, writes = self._random.randint(1, LATEST), False
        delay_s = self._random.choice((0.0, self._random.uniform(0, A_LITTLE_S)))

        def kill(request: StoreRequest) -> None:
            nonlocal left, writes
            writes = writes or not request.operation.startswith(READS)
            left -= writes
            if left == 0:
                Timer(delay_s, process.kill).start() if delay_s else process.kill()

        return kill


def require_the_truth(expiring: Expiring, before: dict[str, set[str]]) -> int:
    """Check what can be seen after a death, and return how many recordings are still whole.

    Args:
        expiring: the archive.
        before: keys by recording's folder, as they were archived.
    """
    keys, whole = expiring.bench.stored_keys(), 0
    touched = {key for key in keys if key.startswith("archive/_deleted/")}
    for folder, archived in before.items():
        left = {key for key in keys if key.startswith(folder.rstrip("/"))}
        tombstone = expiring.tombstone(folder) if tombstone_key(folder) in touched else None
        if f"{folder}bagit.txt" in left:
            assert left == archived, "with its marker, it is complete"
        if left == archived:
            whole += 1
            assert tombstone is None or tombstone.state == "begun", "what is whole is not called deleted"
        else:
            assert tombstone is not None, "nothing goes without a tombstone"
            assert tombstone.state == ("begun" if left else tombstone.state), "what is called deleted is gone"
            assert tombstone.bags[0].manifest_sha256, "the checksums are known before anything goes"
    return whole


@pytest.mark.parametrize("kills", [8, 100])
@pytest.mark.timeout(550)
def test_a_deletion_that_is_killed_leaves_no_half_bag_and_no_untold_deletion(
    rclone: Archiving, rclone_server: StoreServer, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    expiring = Expiring(rclone, monkeypatch)
    recordings = [expiring.old(40 + number) for number in range(kills)]
    kept = expiring.old(1)
    expiring.policy("keep_days = 30\n")
    expiring.put(f"{rclone.folder(recordings[0]).rstrip('/')}.description.json")
    everything = rclone.stored_keys()
    before = {
        folder: {key for key in everything if key.startswith(folder.rstrip("/"))}
        for folder in map(rclone.folder, recordings)
    }
    seed = random.randrange(1 << 30)
    with proxy_of(rclone_server) as proxy:
        settings = rclone_server.environment() | {
            "ARCHIVE_URL": f"s3://{rclone.bucket}/archive",
            "AWS_ENDPOINT_URL_S3": proxy.url,
            "TASK_RETRIES": "0",
            "PYTHONPATH": python_path(PROJECT),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        deaths, died = Deaths(proxy, inherited | settings, seed), 0
        for _ in range(kills):
            died += deaths.run() < 0
            require_the_truth(expiring, before)
        assert died >= kills * 0.9, "the runs died"
    assert require_the_truth(expiring, before) < kills, "the runs got somewhere"
    expiring.run(max_deletions=kills)
    assert expiring.rest() == {key for key in everything if key.startswith(rclone.folder(kept))}
    assert expiring.begun() == rclone.uploads() == []
    assert {tombstone.state for folder in before if (tombstone := expiring.tombstone(folder))} == {"deleted"}
