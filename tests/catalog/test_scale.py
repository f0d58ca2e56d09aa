"""Of very many recordings, an update with nothing new asks for the listing and one file, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.catalog.test_update import Requests
from tests.support.cataloguing import update
from tests.support.many_bags import FILES, lay_out

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

MONTHS = 11
TAG_FILES = 5


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [110, 10_000])
def test_an_update_with_nothing_new_takes_few_requests(rclone: Archiving, count: int) -> None:
    lay_out(rclone.server.folder / rclone.bucket / "archive" / rclone.kit.app_id, count, MONTHS)
    first = update(rclone)
    assert (first.recordings, first.read, first.months_written) == (count, count, MONTHS)
    requests = Requests()
    report = update(rclone, requests)
    assert (report.recordings, report.read, report.months_written) == (count, 0, 0)
    pages = count * (len(FILES) + TAG_FILES) / 1000 + MONTHS
    assert len(requests.made) <= pages + 6  # the archive's root, app and year, the catalog, its newest file, the audits
    assert count != 10_000 or len(requests.made) <= 100
