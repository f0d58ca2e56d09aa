"""Figures of some recordings together."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.figures import RecordingFigures, sum_up

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


def archived(lag_s: float | None = None, **changed: Any) -> RecordingFigures:
    known = {"recording_id": ID, "archive_url": f"s3://bucket/pre/app-1/2026/11/20/{ID}/", "bytes": 10, "lag_s": lag_s}
    return RecordingFigures(**known | changed)


@pytest.mark.parametrize(
    ("lags", "p50", "p95"),
    [
        ([], None, None),
        ([7.0], 7.0, 7.0),
        ([3.0, 1.0], 1.0, 3.0),
        ([float(lag) for lag in range(100, 0, -1)], 50.0, 95.0),
        ([1.0] * 19 + [900.0], 1.0, 1.0),
        ([1.0] * 18 + [900.0] * 2, 1.0, 900.0),
    ],
)
def test_half_of_the_lags_and_19_of_20_are_no_longer_than_stated(
    lags: list[float], p50: float | None, p95: float | None
) -> None:
    figures = sum_up([archived(lag) for lag in lags])
    assert (figures.lag_p50_s, figures.lag_p95_s) == (p50, p95)


def test_a_lag_that_is_not_known_is_counted_and_moves_no_other() -> None:
    figures = sum_up([archived(5.0, refreshes=1), archived(None, resumes=2), archived(None, bytes=7, retries=3)])
    assert (figures.recordings, figures.bytes) == (3, 27)
    assert (figures.lag_p50_s, figures.lag_p95_s, figures.lag_unknown) == (5.0, 5.0, 2)
    assert (figures.refreshes, figures.resumes, figures.retries) == (1, 2, 3)


def test_an_event_of_an_older_version_counts_with_a_lag_that_is_not_known() -> None:
    payload = {"recording_id": ID, "archive_url": f"s3://bucket/app-1/2026/11/20/{ID}/", "files": [], "bytes": 5}
    assert RecordingFigures.model_validate(payload).lag_s is None


@pytest.mark.parametrize(
    ("url", "app_id"),
    [
        (f"s3://bucket/app-1/2026/11/20/{ID}/", "app-1"),
        (f"s3://bucket/a/b c/app_2/2026/11/20/{ID}", "app_2"),
        (f"s3://bucket/app.1/2026/11/20/{ID}/", ""),
        ("s3://bucket/", ""),
        ("", ""),
    ],
)
def test_the_app_is_read_from_the_place_of_the_archive(url: str, app_id: str) -> None:
    assert archived(archive_url=url).app_id == app_id
