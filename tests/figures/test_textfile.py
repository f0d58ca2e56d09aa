"""Figures in files, for node_exporter's textfile collector."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tasks.figures.textfile import write_metrics

if TYPE_CHECKING:
    from pathlib import Path

LOG = logging.getLogger(__name__)


def write(folder: Path, value: float, name: str = "realtimekit_audit_bucket/a prefix") -> None:
    write_metrics(str(folder), name, [GaugeMetricFamily("realtimekit_something", "What it is.", value)], LOG)


def test_the_file_has_the_collectors_ending_and_any_user_may_read_it(tmp_path: Path) -> None:
    for value in (1, 2):
        write(tmp_path, value)
        (written,) = tmp_path.iterdir()
        assert written.name == "realtimekit_audit_bucket_a_prefix.prom"
        assert written.stat().st_mode & 0o044 == 0o044
        (metric,) = parse_text(written.read_text())
        assert [sample.value for sample in metric.samples] == [value]


def test_the_collector_never_meets_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 1)
    (there,) = tmp_path.iterdir()
    seen: list[tuple[list[str], str]] = []

    def look(_: Path, content: bytes) -> None:
        assert content
        seen.append((sorted(path.name for path in tmp_path.glob("*.prom")), there.read_text()))
        raise OSError

    monkeypatch.setattr("pathlib.Path.write_bytes", look)
    before = there.read_text()
    write(tmp_path, 2)
    assert seen == [([there.name], before)]
    assert there.read_text() == before


@pytest.mark.parametrize("broken", ["no folder", "a folder in the file's place", "a null byte"])
def test_a_folder_that_takes_no_file_is_a_warning_and_leaves_nothing(
    tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = {"no folder": tmp_path / "none", "a null byte": tmp_path / "\0"}.get(broken, tmp_path)
    if folder == tmp_path:
        (tmp_path / "it.prom").mkdir()
    write(folder, 1, "it")
    assert "METRICS_FOLDER" in caplog.text
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
