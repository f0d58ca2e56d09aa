"""The figures that an operator plots: of recordings, of a sweep, and of an audit.

Two modules are doors of their own, as they load Prometheus' library: `exposition` and `textfile`.
"""

from __future__ import annotations

from tasks.figures.models import AuditFigures, RecordingFigures, SweepFigures, TransferFigures, sum_up

__all__ = ["AuditFigures", "RecordingFigures", "SweepFigures", "TransferFigures", "sum_up"]
