"""Figures in files: node_exporter's textfile collector shows them to Prometheus where no Prefect server has them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.figures.exposition import encode

if TYPE_CHECKING:
    from tasks.figures.exposition import Metrics
    from tasks.text import Log


def write_metrics(folder: str, name: str, metrics: Metrics, log: Log) -> None:
    """Write metrics to a file, which always is whole; a folder that does not take them is no failure.

    Args:
        folder: of the collector; must exist.
        name: of the file, without its ending; what no file system takes is replaced.
        metrics: replace those that are in the file.
        log: told of a file that cannot be written.
    """
    text, _ = encode(metrics)
    path = Path(folder, f"{re.sub(r'[^A-Za-z0-9-]+', '_', name)}.prom")
    written = path.with_suffix(f".{os.getpid()}.tmp")  # the collector reads no file with this ending
    try:
        written.write_bytes(text)  # any user may read it: the collector is another one
        written.replace(path)
    except (OSError, ValueError) as error:
        log.warning("The figures cannot be written to METRICS_FOLDER: %s", type(error).__name__)
        with suppress(OSError, ValueError):
            written.unlink(missing_ok=True)
