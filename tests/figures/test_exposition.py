"""The text for Prometheus, read by Prometheus' own parsers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tasks.figures import AuditFigures, SweepFigures, TransferFigures
from tasks.figures.exposition import (
    AUDIT,
    DAY,
    SWEEP,
    Completed,
    audit_metrics,
    day_metrics,
    encode,
    sweep_metrics,
)
from tests.flows.surface.examples import example
from tests.flows.world import PROJECT

if TYPE_CHECKING:
    from prometheus_client.core import Metric

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
README = (
    (PROJECT / "flows" / "README.md").read_text(encoding="utf-8").partition("\n## Figures\n")[2].partition("\n## ")[0]
)
UNITS = ("seconds", "bytes", "recordings", "sessions", "refreshes", "reads", "retries", "versions", "finished")


def all_metrics() -> list[Metric]:
    swept: SweepFigures = example(SweepFigures, at_risk=2, lag_p50_s=90.5, bytes=10**13)
    audited: AuditFigures = example(AuditFigures, oldest_days=2.5, finished=True)
    day = TransferFigures(recordings=3, lag_p95_s=0.25, lag_unknown=1)
    return [
        *sweep_metrics({"app-1": Completed(NOW, swept), "app-2": Completed(NOW, example(SweepFigures))}),
        *audit_metrics({"bucket/pre": Completed(NOW, audited)}),
        *day_metrics({"app-1": day}, 86_400),
    ]


def samples(metrics: Any) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value for metric in metrics for sample in metric.samples
    }


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"])
def test_both_formats_are_what_prometheus_own_parsers_read(accept: str) -> None:
    text, content_type = encode(all_metrics(), accept)
    assert content_type.startswith("application/openmetrics-text" if accept else "text/plain")
    metrics = list((parse_openmetrics if accept else parse_text)(text.decode()))
    read = samples(metrics)
    assert read["realtimekit_sweep_last_completed_timestamp_seconds", "app-1"] == NOW.timestamp()
    assert read["realtimekit_sweep_at_risk_recordings", "app-1"] == 2
    assert read["realtimekit_sweep_archived_bytes", "app-1"] == 10**13
    assert read["realtimekit_sweep_lag_p50_seconds", "app-1"] == 90.5
    assert read["realtimekit_audit_oldest_reading_seconds", "bucket/pre"] == 2.5 * 86_400
    assert read["realtimekit_audit_finished", "bucket/pre"] == 1
    assert read["realtimekit_day_lag_p95_seconds", "app-1"] == 0.25
    assert read["realtimekit_day_window_seconds", ""] == 86_400
    assert {metric.type for metric in metrics} == {"gauge"}
    assert all(metric.documentation for metric in metrics)


def test_what_is_not_known_has_no_value_rather_than_0() -> None:
    read = samples(all_metrics())
    assert ("realtimekit_sweep_lag_p95_seconds", "app-1") not in read
    assert ("realtimekit_day_lag_p50_seconds", "app-1") not in read


@pytest.mark.parametrize(
    ("model", "table", "without"),
    [
        (SweepFigures, SWEEP, {"looked_at_all", "app_ids", "recordings"}),
        (AuditFigures, AUDIT, {"looked_at_all", "deep", "within_days"}),
        (TransferFigures, DAY, set()),
    ],
)
def test_every_figure_has_a_metric(model: Any, table: dict[str, Any], without: set[str]) -> None:
    assert set(table) == set(model.model_fields) - without


def test_names_are_plain_differ_and_end_with_a_unit() -> None:
    names = [metric.name for metric in all_metrics()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("realtimekit_[a-z0-9_]+", name) and name.endswith(UNITS) for name in names)


# flows/README.md


def described(kind: str) -> set[str]:
    """Return the names in the table that flows/README.md has of a kind of metrics."""
    table = README.partition(f"`realtimekit_{kind}_…`")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]
    return {
        f"realtimekit_{kind}_{name}"
        for row in table.splitlines()
        for name in re.findall("`([a-z0-9_]+)`", row.split("|")[1])
    }


def test_the_readme_describes_every_metric_and_no_other() -> None:
    names = {metric.name for metric in all_metrics()}
    assert set.union(*(described(kind) for kind in ("sweep", "day", "audit"))) == names


def test_the_alert_rules_of_the_readme_are_about_metrics_that_there_are() -> None:
    config, rules = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
    assert [job["job_name"] for job in config["scrape_configs"]] == ["realtimekit-archiver"]
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    used = {name for expression in expressions for name in re.findall("realtimekit_[a-z0-9_]+", expression)}
    assert len(expressions) == 4
    assert used <= {metric.name for metric in all_metrics()}


@pytest.mark.parametrize(("event", "model"), [("sweep", SweepFigures), ("audit", AuditFigures)])
def test_the_readme_names_all_keys_of_the_events(event: str, model: Any) -> None:
    item = README.partition(f"- `realtimekit.{event}.completed`")[2].partition("\n- ")[0]
    keys = set(re.findall("`([a-z0-9_]+)`", item)) - {"figures"}
    assert keys == set(model.model_fields)
