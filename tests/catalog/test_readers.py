"""Programs that know nothing of us read the catalog, and the README names its columns as they are."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.catalog import COLUMNS, SCHEMA_VERSION
from tests.catalog.test_update import three
from tests.standins.realtimekit import MediaSource
from tests.support.cataloguing import files, rows, update

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

README = Path(__file__).parents[2] / "tasks" / "catalog" / "README.md"
TYPES = {
    "text": ("text", "VARCHAR"),
    "integer": ("integer, 64 bits", "BIGINT"),
    "number": ("number", "DOUBLE"),
    "time": ("time", "TIMESTAMP WITH TIME ZONE"),
    "texts": ("list of texts", "VARCHAR[]"),
    "files": ("list of files", "STRUCT(path VARCHAR, size BIGINT, sha256 VARCHAR, content_type VARCHAR)[]"),
}
"""As the README calls a column's type, and as DuckDB does."""


AS_IN_README = "read_parquet('s3://bucket/prefix/_catalog/**')"
ALL = f"SELECT * FROM {AS_IN_README}"  # noqa: S608 - of ourselves


def asked(query: str, folder: Path) -> list[Any]:
    """Ask DuckDB.

    Args:
        query: as in the README.
        folder: where the bucket was copied to.
    """
    with duckdb.connect() as connection:
        there = query.replace(AS_IN_README, f"read_parquet('{folder}/archive/_catalog/**')")
        return connection.execute(there).fetchall()


def download(bench: Archiving, folder: Path) -> None:
    """Copy the catalog to a folder."""
    for key, content in files(bench).items():
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def test_duckdb_reads_the_catalog(rclone: Archiving, tmp_path: Path) -> None:
    recordings = three(rclone)
    recordings.append(rclone.add(tracks={"default": {"ann.webm": MediaSource(b"ann\0")}}))
    rclone.archived(recordings[-1])
    update(rclone)
    download(rclone, tmp_path)
    columns = {name: kind for name, kind, *_ in asked("DESCRIBE " + ALL, tmp_path)}
    assert columns == {column.name: TYPES[column.kind][1] for column in COLUMNS} | {
        "app_id": "VARCHAR",
        "month": "VARCHAR",
    }
    wanted = "recording_id, app_id, month, bytes, len(files)"
    found = asked(ALL.replace("*", wanted, 1) + " ORDER BY recording_id", tmp_path)
    expected = rows(rclone)
    assert found == [
        (its_id, rclone.kit.app_id, f"{row['invoked_at']:%Y-%m}", row["bytes"], len(row["files"]))
        for its_id, row in sorted(expected.items())
    ]
    nested = asked(ALL.replace("*", "unnest(files).path", 1), tmp_path)
    assert sorted(nested) == sorted((file["path"],) for row in expected.values() for file in row["files"])


def test_the_queries_of_the_readme_run(rclone: Archiving, tmp_path: Path) -> None:
    three(rclone)
    update(rclone)
    download(rclone, tmp_path)
    (queries,) = re.findall(r"```sql\n(-- DuckDB.*?)```", README.read_text(), re.DOTALL)
    statements = [part for part in queries.split(";\n") if part.strip()]
    assert len(statements) == 3
    answers = [asked(part, tmp_path) for part in statements]
    assert [month for month, *_ in answers[0]] == ["2026-09", "2026-10", "2026-11"]


def hive(kind: pa.DataType) -> str:
    """Return what Athena, which has Hive's types, calls a type."""
    if pa.types.is_list(kind):
        return f"array<{hive(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {hive(field.type)}' for field in kind)}>"
    names = {
        pa.string(): "string",
        pa.int64(): "bigint",
        pa.float64(): "double",
        pa.timestamp("us", "UTC"): "timestamp",
    }
    return names[kind]


def test_the_table_for_athena_has_the_columns_and_partitions_of_the_files(rclone: Archiving) -> None:
    rclone.archived(rclone.add(1000))
    update(rclone)
    ((key, content),) = files(rclone).items()
    ddl = r"```sql\n-- Athena.*?\nCREATE EXTERNAL TABLE \w+ \((.*?)\n\)\nPARTITIONED BY \((.*?)\)\nSTORED AS PARQUET"
    ((columns, partitions),) = re.findall(ddl, README.read_text(), re.DOTALL)
    stated = [part.strip().replace("`", "").split(" ", 1) for part in re.split(r",(?![^<]*>)", columns)]
    assert stated == [[field.name, hive(field.type)] for field in pq.read_schema(io.BytesIO(content))]
    assert partitions.split(", ") == [f"{name} string" for name in re.findall(r"/(\w+)=", key)]


def test_columns_say_what_they_are(rclone: Archiving) -> None:
    three(rclone)
    update(rclone)
    for content in files(rclone).values():
        schema = pq.read_schema(io.BytesIO(content))
        described = {field.name: field.metadata[b"description"].decode() for field in schema}
        assert described == {column.name: column.description for column in COLUMNS}


def table() -> str:
    lines = [f"| `{name}` | {TYPES[kind][0]} | {description} |" for name, kind, description in COLUMNS]
    return "\n".join(["| column | type | |", "|---|---|---|", *lines])


def test_the_readme_has_all_columns() -> None:
    text = README.read_text()
    assert text.split("<!-- columns -->\n")[1].split("<!-- end of columns -->")[0] == f"{table()}\n"
    assert f"Version {SCHEMA_VERSION} of the schema." in text


def test_a_column_is_only_ever_added() -> None:
    first = {
        1: "recording_id session_id meeting_id title status invoked_at started_at stopped_at archived_at duration_s "
        "start_reason started_by started_by_id stop_reason stopped_by stopped_by_id files bytes container codecs width "
        "height media_findings condition findings fixity_outcome fixity_checked_at fixity_read_at fixity_findings "
        "archive_url bag_version"
    }
    assert SCHEMA_VERSION in first
    for names in first.values():
        assert set(names.split()) <= {column.name for column in COLUMNS}
    assert set(first[SCHEMA_VERSION].split()) == {column.name for column in COLUMNS}
