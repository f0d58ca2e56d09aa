"""Progress is counted right from many threads, shown at a human pace, and never gets into a transfer's way."""

from __future__ import annotations

import io
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest
from tqdm.utils import disp_len

from tasks.transfer.progress import LAST_WORD_S, Bars, FileProgress, LogLines, Tally, show_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = logging.getLogger("tests.progress")


class Recorder:
    """A view that remembers what it was shown."""

    def __init__(self, interval_s: float = 0.001) -> None:
        self.interval_s = interval_s
        self.shown: list[list[FileProgress]] = []
        self.closed = False
        self.looked = Event()

    def show(self, files: Sequence[FileProgress]) -> None:
        """Remember."""
        self.shown.append(list(files))
        self.looked.set()

    def close(self) -> None:
        """Remember that it is over."""
        self.closed = True


class Broken(Recorder):
    """A view that raises."""

    def show(self, files: Sequence[FileProgress]) -> None:
        """Raise."""
        super().show(files)
        message = "no such artifact"
        raise RuntimeError(message)


class Stuck(Recorder):
    """A view that waits for a server that is away."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = Event()

    def show(self, files: Sequence[FileProgress]) -> None:
        """Wait."""
        super().show(files)
        self.let_go.wait(60)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.transfer.progress.LAST_WORD_S", 0.2)


def test_many_threads_lose_no_byte() -> None:
    tally = Tally()
    tally.begin("data/video/a.mp4", 10**6, 10)
    tally.begin("data/audio/a.mp3", 10**6, 0)
    with ThreadPoolExecutor(32) as pool:
        for _ in range(2000):
            pool.submit(tally.advance, "data/video/a.mp4", 3)
            pool.submit(tally.advance, "data/audio/a.mp3", 1)
    assert {file.path: file.done for file in tally.files()} == {"data/video/a.mp4": 6010, "data/audio/a.mp3": 2000}
    assert {file.path: file.already for file in tally.files()} == {"data/video/a.mp4": 10, "data/audio/a.mp3": 0}


def test_a_line_tells_how_far_how_fast_and_how_long_still() -> None:
    line = str(FileProgress("data/video/a.mp4", 1024**2, 0, 512 * 1024, time.monotonic() - 5))
    assert line == "data/video/a.mp4: 512 KiB of 1 MiB (50 %), 102.4 KiB/s, 5 s left"


def test_an_empty_file_and_one_that_has_not_begun_can_be_shown() -> None:
    assert "(100 %)" in str(FileProgress("data/video/a.mp4", 0, 0, 0, time.monotonic()))
    assert "an unknown time left" in str(FileProgress("data/video/a.mp4", 10, 0, 0, time.monotonic()))


def test_what_was_stored_before_counts_as_done_but_not_as_fast() -> None:
    moving = FileProgress("data/video/a.mp4", 100, 90, 90, time.monotonic() - 1)
    assert moving.rate == 0
    assert "(90 %)" in str(moving)


def test_the_end_is_shown_and_the_view_closed() -> None:
    tally, view = Tally(), Recorder(interval_s=60)
    tally.begin("data/video/a.mp4", 4, 0)
    with show_progress(tally, [view]):
        tally.advance("data/video/a.mp4", 4)
    assert [file.done for file in view.shown[-1]] == [4]
    assert len(view.shown) == 1
    assert view.closed


@pytest.mark.usefixtures("quick")
def test_a_view_that_raises_harms_neither_the_transfer_nor_the_other_views(caplog: pytest.LogCaptureFixture) -> None:
    broken, sound = Broken(), Recorder()
    with show_progress(Tally(), [broken, sound]):
        assert broken.looked.wait(10)
        assert sound.looked.wait(10)
    assert broken.closed
    assert sound.closed
    assert len(broken.shown) == 1
    assert [record.getMessage() for record in caplog.records] == ["Broken shows no more progress: RuntimeError"]


@pytest.mark.usefixtures("quick")
def test_a_view_that_hangs_is_left_behind() -> None:
    stuck = Stuck()
    started = time.monotonic()
    with show_progress(Tally(), [stuck]):
        assert stuck.looked.wait(10)
    assert time.monotonic() - started < LAST_WORD_S
    stuck.let_go.set()


def test_a_failed_transfer_is_not_hidden_by_its_views() -> None:
    with pytest.raises(ZeroDivisionError), show_progress(Tally(), [Broken()]):
        raise ZeroDivisionError


def test_log_lines_tell_of_what_is_under_way_alone_and_at_a_human_pace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    view = LogLines(LOG)
    done, going = FileProgress("done.mp4", 4, 0, 4, 0.0), FileProgress("going.mp4", 4, 0, 1, 0.0)
    view.show([done, going])
    view.close()
    (record,) = caplog.records
    assert record.getMessage().startswith("going.mp4: ")
    assert 10 <= view.interval_s <= 60


def test_a_log_line_appears_above_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    handler = logging.StreamHandler(screen)
    LOG.addHandler(handler)
    try:
        bars = Bars()
        bars.show([FileProgress("data/video/a.mp4", 100, 40, 50, 0.0)])
        LOG.warning("something to tell")
        bars.show([FileProgress("data/video/a.mp4", 100, 40, 100, 0.0)])
        bars.close()
        LOG.warning("afterwards")
    finally:
        LOG.removeHandler(handler)
    drawn = screen.getvalue()
    assert "data/video/a.mp4:  50%|" in drawn
    assert "data/video/a.mp4: 100%|" in drawn
    # The line has a row of its own: the bar was wiped before it.
    assert drawn.replace("\r", "\n").splitlines().count("something to tell") == 1
    assert drawn.endswith("afterwards\n")


@pytest.mark.parametrize("columns", [28, 40, 60, 79, 80, 100, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("name", ["a.mp4", 8 * "A meeting with a long name " + ".mp4", 60 * "\u4f1a\u8b70" + ".mp4"])
def test_the_figures_are_seen_however_narrow_the_terminal_and_long_the_name(
    columns: int, encoding: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.transfer.progress._columns", lambda: columns)
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stderr", screen)
    bars = Bars()
    path = f"data/video/{name}"
    bars.show([FileProgress(path, 1000 * 1024, 0, 0, 0.0)])
    bars.show([FileProgress(path, 1000 * 1024, 0, 640 * 1024, 0.0)])
    bars.close()
    screen.flush()
    last = screen.buffer.getvalue().decode(encoding).rstrip("\n").rpartition("\r")[2]
    assert " 64%" in last
    assert "640k/0.98M" in last
    assert disp_len(last.rstrip()) <= columns
    assert columns < 40 or ".mp4: " in last
    assert (path in last) == (
        disp_len(path) <= columns - (28 if columns < 80 else 60) and encoding == "utf-8"
    ) or name == "a.mp4"
