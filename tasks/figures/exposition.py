"""Figures as Prometheus reads them: one gauge for each figure, with its unit in its name.

The tables below are all metrics that there are. Labels are apps and archives, never recordings, sessions or people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from tasks.figures.models import AuditFigures, SweepFigures, TransferFigures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client.core import Metric
    from pydantic import BaseModel

F = TypeVar("F", SweepFigures, AuditFigures)

Metrics: TypeAlias = "Iterable[Metric]"
"""As Prometheus' library has them."""
DAY_S = 86_400

_TRANSFERS = {
    "bytes": ("archived_bytes", "Bytes of the recordings archived, all files"),
    "lag_p50_s": ("lag_p50_seconds", "Time from the end of a recording to its archive, median"),
    "lag_p95_s": ("lag_p95_seconds", "Time from the end of a recording to its archive, 95th percentile"),
    "lag_unknown": ("lag_unknown_recordings", "Recordings archived whose lag is not known"),
    "refreshes": ("url_refreshes", "Fresh URLs in place of expired ones, of the recordings archived"),
    "resumes": ("resumed_reads", "Reads carried on after a drop, of the recordings archived"),
    "retries": ("stage_retries", "Stages that were run again after an error"),
}
SWEEP = {
    "seconds": ("duration_seconds", "Time that the sweep took"),
    "already_archived": ("already_archived_recordings", "Recordings that were archived before the sweep"),
    "archived": ("archived_recordings", "Recordings archived by the sweep"),
    **_TRANSFERS,
    "failed": ("failed_recordings", "Recordings that could not be archived; the next sweep tries again"),
    "at_risk": ("at_risk_recordings", "Recordings that expire soon and are not archived"),
    "lost": ("lost_recordings", "Recordings that expired and were never archived"),
    "partial": ("partial_recordings", "Recordings archived without some files"),
    "still_to_come": ("awaited_recordings", "Recordings that are being recorded or uploaded"),
    "stuck": ("stuck_recordings", "Recordings not uploaded two days after they began"),
    "errored": ("errored_recordings", "Recordings of which RealtimeKit will never have a file"),
    "not_downloadable": ("not_downloadable_recordings", "Recordings that the API offers no usable URL for"),
    "handed_out": ("handed_out_recordings", "Recordings that a run of their own was started for"),
    "under_way": ("under_way_recordings", "Recordings that other runs are at work on"),
    "left": ("left_recordings", "Recordings left for the next sweep"),
    "gained_files": ("gained_files_recordings", "Recordings archived of which the API has more files now"),
    "sessions_archived": ("archived_sessions", "Sessions of which something new was archived"),
    "sessions_failed": ("failed_sessions", "Sessions that could not be looked at or archived"),
    "sessions_overdue": ("overdue_sessions", "Sessions of which not all has come, and which expire soon"),
}
AUDIT = {
    "seconds": ("duration_seconds", "Time that the audit took"),
    "finished": ("finished", "1 if the audit was done, 0 if the store did not answer"),
    "bytes_read": ("read_bytes", "Bytes that the audit read again"),
    "recordings": ("recordings", "Recordings in the archive"),
    "reread_within": ("covered_recordings", "Recordings read again lately, as the audit's within_days has it"),
    "never_reread": ("never_reread_recordings", "Recordings that no audit has read again"),
    "oldest_days": ("oldest_reading_seconds", "Age of the oldest reading of a recording"),
    "reread": ("reread_recordings", "Recordings read again by the audit"),
    "damaged": ("damaged_recordings", "Recordings that are not what was archived"),
    "unread": ("unread_recordings", "Recordings that could not be read"),
    "sessions": ("sessions", "Sessions in the archive"),
    "sessions_reread_within": ("covered_sessions", "Sessions read again lately, as the audit's within_days has it"),
    "sessions_never_reread": ("never_reread_sessions", "Sessions that no audit has read again"),
    "sessions_reread": ("reread_sessions", "Sessions read again by the audit"),
    "damaged_sessions": ("damaged_sessions", "Sessions whose newest version is not what was archived"),
    "damaged_older_versions": ("damaged_older_versions", "Damaged versions of sessions that have a newer version"),
    "unread_sessions": ("unread_sessions", "Sessions that could not be read"),
}
DAY = {"recordings": ("archived_recordings", "Recordings archived"), **_TRANSFERS}
"""By the figure's name in the model: the metric's name without its prefix, and its meaning."""
_SCALE = {"oldest_days": DAY_S}
"""What a figure is multiplied by, to be in the metric's unit."""


@dataclass(frozen=True)
class Completed(Generic[F]):
    """The figures of a sweep or an audit, and when it was completed."""

    at: datetime
    figures: F


def sweep_metrics(sweeps: Mapping[str, Completed[SweepFigures]]) -> Iterator[Metric]:
    """Yield the metrics of the last sweep of each app, by the app's id."""
    when = {app_id: completed.at.timestamp() for app_id, completed in sweeps.items()}
    meaning = "When the last sweep of all recordings was completed, in seconds since 1970"
    yield _gauge("realtimekit_sweep_last_completed_timestamp_seconds", meaning, "app_id", when)
    figures = {app_id: completed.figures for app_id, completed in sweeps.items()}
    yield from _gauges("realtimekit_sweep", SWEEP, "app_id", figures)


def audit_metrics(audits: Mapping[str, Completed[AuditFigures]]) -> Iterator[Metric]:
    """Yield the metrics of the last audit of each archive, by the archive's bucket and prefix."""
    when = {archive: completed.at.timestamp() for archive, completed in audits.items()}
    meaning = "When the last audit of all apps was completed, in seconds since 1970"
    yield _gauge("realtimekit_audit_last_completed_timestamp_seconds", meaning, "archive", when)
    figures = {archive: completed.figures for archive, completed in audits.items()}
    yield from _gauges("realtimekit_audit", AUDIT, "archive", figures)


def day_metrics(apps: Mapping[str, TransferFigures], window_s: float) -> Iterator[Metric]:
    """Yield the metrics of what was archived lately by whatever run.

    Args:
        apps: the figures by the app's id.
        window_s: how far back they reach: a day, or less if that were too many recordings.
    """
    window = GaugeMetricFamily("realtimekit_day_window_seconds", "How far back the figures of the last day reach")
    window.add_metric([], window_s)
    yield window
    within = {name: (metric, f"{meaning}, within the last day") for name, (metric, meaning) in DAY.items()}
    yield from _gauges("realtimekit_day", within, "app_id", apps)


def encode(metrics: Metrics, accept: str = "") -> tuple[bytes, str]:
    """Return metrics as a text, and the text's content type.

    Args:
        metrics: each with another name.
        accept: the header of whoever asks: OpenMetrics, if that is in it; else the older format of Prometheus.
    """
    encoder, content_type = choose_encoder(accept)
    return encoder(_Collected(tuple(metrics))), content_type


@dataclass(frozen=True)
class _Collected:
    metrics: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def _gauges(
    prefix: str, table: Mapping[str, tuple[str, str]], label: str, labelled: Mapping[str, BaseModel]
) -> Iterator[Metric]:
    for name, (metric, meaning) in table.items():
        values = {where: getattr(figures, name) for where, figures in labelled.items()}
        yield _gauge(f"{prefix}_{metric}", meaning, label, values, _SCALE.get(name, 1))


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, float | None], scale: float = 1) -> Metric:
    gauge = GaugeMetricFamily(name, meaning, labels=[label])
    for where, value in sorted(values.items()):
        if value is not None:
            gauge.add_metric([where], float(value) * scale)
    return gauge
