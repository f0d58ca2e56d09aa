"""One archive, and one server of the library over it, for all tests that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tasks.s3 import new_s3_client
from tests.standins.realtimekit import RealtimeKitStandIn
from tests.support.library import Sample, fill, serving
from tests.torture.stage import CONNECTIONS, archive_in, lead_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.stores import Store


@pytest.fixture(scope="session")
def sample(rclone_server: Store) -> Iterator[Sample]:
    """What is archived."""
    with pytest.MonkeyPatch.context() as patch, RealtimeKitStandIn() as kit:
        lead_to(rclone_server, patch)
        yield fill(archive_in(rclone_server, new_s3_client(CONNECTIONS), kit))


@pytest.fixture(scope="session")
def library(sample: Sample) -> Iterator[httpx.Client]:
    """A client of a library that is open to its own machine."""
    with pytest.MonkeyPatch.context() as patch:
        lead_to(sample.bench.server, patch)
        with serving(sample.bench) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield client
