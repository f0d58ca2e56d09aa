"""Rows of the catalog to Parquet and back, in memory.

pyarrow is an optional extra, and imported only here. It was preferred to DuckDB: its schema is a value that all rows
are held to, it writes to memory without temporary files or SQL, and it is imported in half the time. DuckDB, which
needs less room on the disk, reads the catalog in the tests: a program that has not written it.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from tasks.catalog.schema import COLUMNS, Row
from tasks.errors import ExtraNotInstalled

CONTENT_TYPE = "application/vnd.apache.parquet"
FOOTER = b"realtimekit_catalog"
"""The key of what our footer says, among the file's key-value metadata."""


def encode(rows: list[Row], footer: str) -> bytes:
    """Return a Parquet file.

    Args:
        rows: each with all columns.
        footer: kept in the file's metadata.
    """
    pa, pq = _pyarrow()
    table, sink = pa.Table.from_pylist(rows, schema=_schema()), io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({FOOTER: footer.encode()})  # as the schema's, it would be kept twice
    return sink.getvalue()


def decode_footer(content: bytes) -> str:
    """Return what was given to `encode` as the footer; empty if the file is not one of ours, whatever else it is."""
    pa, pq = _pyarrow()
    try:
        metadata = pq.read_metadata(io.BytesIO(content)).metadata or {}
        return bytes(metadata.get(FOOTER, b"")).decode()
    except (pa.ArrowException, OSError, ValueError):
        return ""


def decode(content: bytes) -> list[Row]:
    """Return the rows of a Parquet file, each with all columns; none if the file cannot be read as one of ours."""
    pa, pq = _pyarrow()
    try:
        table = pq.read_table(io.BytesIO(content))
        names = set(table.column_names)
        arrays = [
            table.column(field.name).cast(field.type) if field.name in names else _unknown(len(table), field.type)
            for field in _schema()
        ]
        rows: list[Row] = pa.table(arrays, schema=_schema()).to_pylist()
    except (pa.ArrowException, OSError, ValueError):
        return []
    return rows


def _unknown(count: int, kind: Any) -> Any:
    """Return the values of a column that an older file lacks: of lists empty ones, of all others null."""
    pa, _ = _pyarrow()
    return pa.array([[]] * count, kind) if pa.types.is_list(kind) else pa.nulls(count, kind)


@cache
def _schema() -> Any:
    pa, _ = _pyarrow()
    time = pa.timestamp("us", tz="UTC")
    file = pa.struct(
        [("path", pa.string()), ("size", pa.int64()), ("sha256", pa.string()), ("content_type", pa.string())]
    )
    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "time": time,
        "texts": pa.list_(pa.string()),
        "files": pa.list_(file),
    }
    return pa.schema(
        [pa.field(name, kinds[kind], metadata={"description": description}) for name, kind, description in COLUMNS]
    )


def _pyarrow() -> tuple[Any, Any]:
    """Return pyarrow, and its module for Parquet.

    Raises:
        ExtraNotInstalled: it cannot be loaded.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - see above
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise ExtraNotInstalled("catalog", "pyarrow") from error
    return pa, pq
