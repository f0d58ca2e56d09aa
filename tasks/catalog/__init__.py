"""The catalog: a table of all recordings, derived from the bags alone, for anybody's tools."""

from __future__ import annotations

from tasks.catalog.dataset import Dataset
from tasks.catalog.find import find_rows, json_line, parse_duration, parse_time, require_time, table_line
from tasks.catalog.models import AuditRecord, CatalogContext, CatalogReport
from tasks.catalog.schema import COLUMNS, SCHEMA_VERSION, Row
from tasks.catalog.search import Query, could_match, recorded_at, search
from tasks.catalog.update import update_catalog

__all__ = [
    "COLUMNS",
    "SCHEMA_VERSION",
    "AuditRecord",
    "CatalogContext",
    "CatalogReport",
    "Dataset",
    "Query",
    "Row",
    "could_match",
    "find_rows",
    "json_line",
    "parse_duration",
    "parse_time",
    "recorded_at",
    "require_time",
    "search",
    "table_line",
    "update_catalog",
]
