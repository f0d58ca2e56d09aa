"""Programs that know nothing of us read the catalog, and the README names its columns as they are."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.catalog import COLUMNS, SCHEMA_VERSION
from tasks.catalog.parquet import decode
from tests.catalog.test_update import three
from tests.standins.realtimekit import MediaSource
from tests.support.cataloguing import files, rows, sessions, update
from tests.support.meetings import Meeting

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
    meeting = Meeting.at(rclone, days_ago=100)  # without a recording, in a month without any
    rclone.run().archived_session(meeting.id)
    update(rclone)
    assert [session.session_id for session in sessions(rclone)] == [meeting.id]
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


def test_the_example_for_pandas_runs(rclone: Archiving) -> None:
    """Neither pandas nor s3fs is light: `uv run --with pandas --with s3fs pytest` has them."""
    pytest.importorskip("pandas")
    pytest.importorskip("s3fs")
    three(rclone)
    update(rclone)
    (example,) = re.findall(r"```python\n(import pandas.*?)```", README.read_text(), re.DOTALL)
    known: dict[str, Any] = {}
    exec(example.replace("s3://bucket/prefix/", f"s3://{rclone.bucket}/archive/"), known)  # noqa: S102 - the README's
    table, expected = known["table"], rows(rclone)
    assert set(table.columns) == {column.name for column in COLUMNS} | {"app_id", "month"}
    assert {(one.recording_id, str(one.month), one.bytes) for one in table.itertuples()} == {
        (its_id, f"{row['invoked_at']:%Y-%m}", row["bytes"]) for its_id, row in expected.items()
    }
    assert {str(table[column.name].dt.tz) for column in COLUMNS if column.kind == "time"} == {"UTC"}


def hive_type(kind: pa.DataType) -> str:
    """Return a type as Athena calls it."""
    if pa.types.is_list(kind):
        return f"array<{hive_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {hive_type(field.type)}' for field in kind)}>"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.unit in {"ms", "us"} else f"{kind}, which Athena does not read"
    return {pa.string(): "string", pa.int64(): "bigint", pa.float64(): "double"}[kind]


def test_athenas_table_is_that_of_the_files(rclone: Archiving) -> None:
    three(rclone)
    update(rclone)
    (columns, partitions) = re.findall(
        r"CREATE EXTERNAL TABLE recordings \(\n(.*?)\n\)\nPARTITIONED BY \((.*?)\)\n", README.read_text(), re.DOTALL
    )[0]
    stated = re.findall(r"`?(\w+)`? (array<struct<[^>]*>>|[\w<>]+)(?:,\s*|$)", columns)
    for key, content in files(rclone).items():
        schema = pq.read_schema(io.BytesIO(content))
        assert stated == [(field.name, hive_type(field.type)) for field in schema]
        of_path = re.findall(r"(\w+)=[^/]+/", key)
        assert partitions == ", ".join(f"{name} string" for name in of_path)


def test_columns_say_what_they_are(rclone: Archiving) -> None:
    three(rclone)
    update(rclone)
    for content in files(rclone).values():
        schema = pq.read_schema(io.BytesIO(content))
        described = {field.name: field.metadata[b"description"].decode() for field in schema}
        assert described == {column.name: column.description for column in COLUMNS}


def test_a_file_of_an_older_version_is_read_with_nothing_in_the_columns_that_it_lacks(rclone: Archiving) -> None:
    three(rclone)
    update(rclone)
    for content in files(rclone).values():
        older = pq.read_table(io.BytesIO(content)).drop_columns(["participants", "poster_url"])
        sink = io.BytesIO()
        pq.write_table(older, sink)
        assert [(row["participants"], row["poster_url"]) for row in decode(sink.getvalue())] == [([], None)]


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
    first[2] = f"{first[1]} participants participant_ids session_version poster_url"
    assert SCHEMA_VERSION in first
    for names in first.values():
        assert set(names.split()) <= {column.name for column in COLUMNS}
    assert set(first[SCHEMA_VERSION].split()) == {column.name for column in COLUMNS}
