"""Progress for people: bars on a terminal, lines at a human pace in a log."""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm
from tqdm.utils import disp_len

from tasks.text import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasks.text import Log

LOG = logging.getLogger(__name__)
LOG_INTERVAL_S = 15.0
BAR_INTERVAL_S = 0.2
BARS_FROM = 80
"""Columns of a terminal: a narrower one has room for a file's name and figures alone."""
FIGURES_AND_BAR = 60
"""Columns besides the name."""
NARROW, FIGURES = "{desc}{percentage:3.0f}% {n_fmt}/{total_fmt} {rate_fmt}", 28
LAST_WORD_S = 2.0
"""How long a view may take to show the end; one that waits for a server that is away is left behind."""


@dataclass(frozen=True)
class FileProgress:
    """How far one file is."""

    path: str
    size: int  # bytes
    already: int  # of them in the store before this run
    done: int  # of them, including `already`
    since: float  # time.monotonic() when it began

    @property
    def rate(self) -> float:
        """Bytes a second since it began."""
        return (self.done - self.already) / max(time.monotonic() - self.since, 0.001)

    def __str__(self) -> str:
        left = f"{(self.size - self.done) / self.rate:.0f} s" if self.rate > 0 else "an unknown time"
        percent = 100 * self.done // self.size if self.size else 100
        amount = f"{human_size(self.done)} of {human_size(self.size)} ({percent} %)"
        return f"{self.path}: {amount}, {human_size(self.rate)}/s, {left} left"


class Tally:
    """Counts the bytes of all files of a recording; a `Progress` for the transfer, and the source of all views."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[int, int, float]] = {}
        self._done: dict[str, int] = {}
        self._lock = Lock()

    def begin(self, path: str, size: int, already: int) -> None:
        """Note that a file of `size` bytes is being transferred, of which `already` are in the store."""
        with self._lock:
            self._files[path] = (size, already, time.monotonic())
            self._done[path] = already

    def advance(self, path: str, count: int) -> None:
        """Note that `count` more bytes of the file were read."""
        with self._lock:
            self._done[path] += count

    def files(self) -> list[FileProgress]:
        """Return how far each file is."""
        with self._lock:
            return [
                FileProgress(path, size, already, self._done[path], since)
                for path, (size, already, since) in self._files.items()
            ]


class View(Protocol):
    """Shows how far the files are; called from a thread of its own, every `interval_s` seconds."""

    interval_s: float

    def show(self, files: Sequence[FileProgress]) -> None:
        """Show the files as they are now."""

    def close(self) -> None:
        """Show nothing more."""


class LogLines:
    """A line per unfinished file at a human pace; never a bar.

    Args:
        log: where the lines go.
    """

    interval_s = LOG_INTERVAL_S

    def __init__(self, log: Log) -> None:
        self._log = log

    def show(self, files: Sequence[FileProgress]) -> None:
        """Log every file that is under way."""
        for file in files:
            if file.done < file.size:
                self._log.info("%s", file)

    def close(self) -> None:
        """Do nothing: the run's own log lines tell the end."""


class Bars:
    """A bar per file on a terminal's stderr; log lines meanwhile appear above them."""

    interval_s = BAR_INTERVAL_S

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[Any]] = {}
        self._restore = ExitStack()
        self._restore.enter_context(_logs_above_bars())

    def show(self, files: Sequence[FileProgress]) -> None:
        """Draw every file's bar as it stands now."""
        for file in files:
            name, bar_format = _fitted(file.path)
            if file.path not in self._bars:
                self._bars[file.path] = tqdm(
                    desc=name, bar_format=bar_format, total=file.size, initial=file.already,
                    unit="B", unit_scale=True, unit_divisor=1024, dynamic_ncols=True,
                )  # fmt: skip
            bar = self._bars[file.path]
            bar.desc, bar.bar_format = name, bar_format  # the terminal may have become wider
            bar.total = file.size  # which grows where one bar stands for many files
            bar.update(file.done - bar.n)

    def close(self) -> None:
        """Leave the bars as they are, and the logs as they were."""
        for bar in self._bars.values():
            bar.close()
        self._restore.close()


def _fitted(path: str) -> tuple[str, str | None]:
    """Return a file's name for its bar, and the bar's format, None for the usual one: the figures always have room.

    Args:
        path: within the bag; letters that the terminal lacks are escaped.
    """
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    path = path.encode(encoding, "backslashreplace").decode(encoding)
    columns = _columns()
    if columns is None:
        return f"{path}: ", None
    bar_format, figures = (None, FIGURES_AND_BAR) if columns >= BARS_FROM else (NARROW, FIGURES)
    name = _shortened(path, columns - figures)
    return (f"{name}: " if name else ""), bar_format


def _columns() -> int | None:
    """Return how wide the terminal is; None if there is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def _shortened(text: str, columns: int) -> str:
    """Cut a text in its middle, so that it is no wider than so many columns: its end tells the kind of file."""
    kept = len(text)
    shortened = text
    while disp_len(shortened) > columns and kept > 0:
        kept -= 1
        head, tail = text[: kept // 2], text[len(text) - (kept - kept // 2) :]
        shortened = f"{head}..{tail}"
    return shortened if disp_len(shortened) <= columns else ""


@contextmanager
def _logs_above_bars() -> Iterator[None]:
    """Have the log handlers that write to a terminal clear the bars before a line, and draw the bars again after it."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    handlers = {h for logger in loggers for h in logger.handlers if getattr(h, "stream", None) in (sys.stderr, None)}
    terminal = [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]
    originals = [(handler, handler.emit) for handler in terminal]
    for handler, emit in originals:
        handler.emit = _between_bars(emit)  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        for handler, emit in originals:
            handler.emit = emit  # type: ignore[method-assign]


def _between_bars(emit: Callable[[logging.LogRecord], None]) -> Callable[[logging.LogRecord], None]:
    def emit_between(record: logging.LogRecord) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            emit(record)

    return emit_between


@contextmanager
def show_progress(tally: Tally, views: Sequence[View]) -> Iterator[None]:
    """Show a tally in several views while the block runs; no view can delay the block, or make it fail."""
    over = Event()
    threads = [_watch(tally, view, over) for view in views]
    try:
        yield
    finally:
        over.set()
        deadline = time.monotonic() + LAST_WORD_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _watch(tally: Tally, view: View, over: Event) -> Thread:
    def watch() -> None:
        try:
            while not over.wait(view.interval_s):
                view.show(tally.files())
            view.show(tally.files())
        except Exception as error:  # noqa: BLE001 - whatever it is, the recording comes first
            LOG.warning("%s shows no more progress: %s", type(view).__name__, type(error).__name__)
        finally:
            with suppress(Exception):  # a terminal that went away
                view.close()

    # Prefect knows by context variables to which run an artifact belongs.
    thread = Thread(target=contextvars.copy_context().run, args=(watch,), name=type(view).__name__, daemon=True)
    thread.start()
    return thread


def progress_views(log: Log) -> list[View]:
    """Return the views of progress: bars on a terminal, else lines in the log."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    return [Bars() if on_terminal else LogLines(log)]
