"""Months of an app's recordings: how an archive is listed in pieces, and what one file of the catalog is about."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import NamedTuple

from tasks.app_ids import APP_ID
from tasks.archive.layout import CATALOG, session_days

_MONTH_FOLDER = re.compile(rf"(?P<app>{APP_ID})/(?P<year>[0-9]{{4}})/(?P<month>[0-9]{{2}})/")
_MONTH = re.compile(rf"{CATALOG}/app_id=(?P<app>{APP_ID})/month=(?P<month>[0-9]{{4}}-[0-9]{{2}})/recordings\.parquet")


class Month(NamedTuple):
    """A month of an app's recordings: what one file of the catalog is about."""

    app_id: str
    month: str  # YYYY-MM

    @property
    def folder(self) -> str:
        """Where the month's bags lie, below the archive's root, without a slash at its end."""
        return f"{self.app_id}/{self.month.replace('-', '/')}"

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the catalog that stand in the path alone."""
        return self._asdict()

    @property
    def catalog_path(self) -> str:
        """The path of the month's catalog file below the archive's root, as Hive names partitions."""
        return f"{CATALOG}/app_id={self.app_id}/month={self.month}/recordings.parquet"


def is_year(path: str) -> bool:
    """Tell whether a folder is of an app's year.

    Args:
        path: below the archive's root, with a slash at its end.
    """
    return re.fullmatch(f"{APP_ID}/[0-9]{{4}}/", path) is not None


def parse_month(path: str) -> Month | None:
    """Return the month whose folder a path is; None if it is none.

    Args:
        path: below the archive's root, with a slash at its end.
    """
    match = _MONTH_FOLDER.fullmatch(path)
    return Month(match["app"], f"{match['year']}-{match['month']}") if match else None


def month_of(folder: str) -> Month:
    """Return the month of a recording's folder.

    Args:
        folder: below the archive's root.
    """
    app_id, year, month = folder.split("/")[:3]
    return Month(app_id, f"{year}-{month}")


def days_beside(month: Month) -> list[str]:
    """Return the folders of days before and after a month in which sessions of the month's recordings may lie.

    They are below the archive's root, without a slash at their ends; recordings without any time have none.
    """
    try:
        first = date.fromisoformat(f"{month.month}-01")
        last = date.fromordinal((first + timedelta(days=31)).replace(day=1).toordinal() - 1)
    except (ValueError, OverflowError):
        return []
    near = {day for edge in (first, last) for day in session_days(edge)}
    return [f"{month.app_id}/{day:%Y/%m/%d}" for day in sorted(near) if f"{day:%Y-%m}" != month.month]


def parse_catalog_path(path: str) -> Month | None:
    """Return the month that a file of the catalog is about; None if it is none of the catalog's files.

    Args:
        path: the key below the archive's root.
    """
    match = _MONTH.fullmatch(path)
    return Month(match["app"], match["month"]) if match else None
