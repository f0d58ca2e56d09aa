"""Of very many recordings, an update and a search ask for a listing and for files of the catalog, and for no bag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.catalog import Dataset, Query, find_rows
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


@pytest.mark.parametrize("count", [110])
def test_a_search_takes_a_listing_and_a_file_a_month(rclone: Archiving, count: int) -> None:
    lay_out(rclone.server.folder / rclone.bucket / "archive" / rclone.kit.app_id, count, MONTHS)
    update(rclone)
    requests = Requests()
    run = rclone.run(requests)
    rows = find_rows(Dataset(run.store, f"{run.setup.prefix}/"), Query())
    assert len(rows) == count
    assert len(requests.made) == MONTHS + 1
