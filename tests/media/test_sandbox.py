"""Whatever a media file does to its decoder, it is told as a finding, within bounds of time and memory."""

from __future__ import annotations

import base64
import random
import time
from typing import TYPE_CHECKING

import pytest

from tasks.errors import ExtraNotInstalled, StoreUnavailable
from tasks.media.probe import POSTER_BYTES
from tasks.media.sandbox import Examination, examine_file
from tests.media.test_probe import is_picture, ranges_of
from tests.standins import media
from tests.support.media_files import vp8

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.media.ranged_file import BlockReader

PIPE = "next(fd for fd in range(3, 20) if os.path.exists(f'/dev/fd/{fd}') and not os.isatty(fd))"
WITHOUT_LIBRARY = "raise ImportError('no such library')"


def decoder(folder: Path, monkeypatch: pytest.MonkeyPatch, on_open: str = "", on_import: str = "") -> None:
    """Put another PyAV in the decoder's way, as no file can be relied on to make the real one misbehave."""
    body = (
        f"{on_import}\nclass FFmpegError(Exception): pass\ndef open(*_, **__):\n    import os, signal, sys, time\n    "
    )
    (folder / "av.py").write_text(body + (on_open or "raise FFmpegError") + "\n")
    monkeypatch.syspath_prepend(folder)


def troubles(found: Examination) -> str:
    return "; ".join(found.troubles)


def test_what_the_process_tells_is_what_the_file_is() -> None:
    ranges = ranges_of(media.video_mp4())
    found = examine_file(ranges, poster=True)
    assert found.troubles == ()
    assert [stream.codec for stream in found.facts.streams] == ["h264", "aac"]
    assert is_picture(found.poster)


def test_no_picture_is_made_that_nobody_wants() -> None:
    assert examine_file(ranges_of(vp8()), poster=False).poster == b""


@pytest.mark.parametrize("died", ["os.kill(os.getpid(), signal.SIGSEGV)", "os._exit(0)", "x = bytes(1 << 40)",
                                  "raise RecursionError"])  # fmt: skip
def test_a_decoder_that_dies_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, died: str) -> None:
    decoder(tmp_path, monkeypatch, died)
    found = examine_file(ranges_of(vp8()), poster=True)
    assert found.facts.streams == ()
    assert "the decoder died over it" in troubles(found) or "nothing understands it" in troubles(found)


@pytest.mark.parametrize("lost", ["time.sleep(100)", "while True: pass"])
def test_a_decoder_that_comes_to_no_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    decoder(tmp_path, monkeypatch, lost)
    began = time.monotonic()
    found = examine_file(ranges_of(vp8()), poster=True, wall_s=2)
    # Which limit ends it, that of the wall's clock or that of the processor's, is a race on a busy machine.
    assert any(f"the decoder {ended} over it" in troubles(found) for ended in ("took too long", "died"))
    assert time.monotonic() - began < 60


SAYINGS = ["nonsense", "[]", '["?"]', '["facts", {"duration_s": NaN}]', '["facts", 5]', '["read", "x", 1]',
           '["poster", "aGVsbG8="]', "[" * 100_000]  # fmt: skip


def test_a_decoder_that_was_taken_over_can_say_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for saying in (SAYINGS[0], SAYINGS[3], SAYINGS[6], SAYINGS[7]):
        decoder(tmp_path, monkeypatch, f"os.write({PIPE}, {saying!r}.encode() + b'\\n'); os._exit(0)")
        found = examine_file(ranges_of(vp8()), poster=True)
        assert (found.facts.streams, found.poster) == ((), b"")
        assert "the decoder died over it" in troubles(found)


@pytest.mark.parametrize(("more", "kept"), [(0, True), (1, False)])
def test_a_picture_that_is_too_large_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int, *, kept: bool
) -> None:
    decoder(tmp_path, monkeypatch, f"os.write({PIPE}, b'[\"poster\", \"' + {jpeg(more)!r} + b'\"]\\n'); os._exit(0)")
    assert bool(examine_file(ranges_of(vp8()), poster=True).poster) == kept


def jpeg(more: int) -> bytes:
    return base64.b64encode(b"\xff\xd8\xff" + bytes(POSTER_BYTES - 3 + more))


def test_it_has_neither_credentials_nor_leave_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leak-canary")
    target = tmp_path / "written"
    write = f"os.write(os.open({str(target)!r}, os.O_CREAT | os.O_WRONLY), b'x')"
    decoder(tmp_path, monkeypatch, f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {write}")
    found = examine_file(ranges_of(vp8()), poster=False)
    assert "File too large" in troubles(found)
    assert target.read_bytes() == b""
    decoder(tmp_path, monkeypatch, "raise FFmpegError('sees ' + ','.join(sorted(os.environ)))")
    seen = troubles(examine_file(ranges_of(vp8()), poster=False))
    assert "sees " in seen
    assert "AWS_" not in seen


def test_without_the_library_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder(tmp_path, monkeypatch, on_import=WITHOUT_LIBRARY)
    with pytest.raises(ExtraNotInstalled, match="uv sync --extra describe"):
        examine_file(ranges_of(vp8()), poster=False)


def test_what_would_take_too_much_reading_is_given_up() -> None:
    found = examine_file(ranges_of(media.video_mp4(), budget=200_000), poster=True)
    assert "would have to be read" in troubles(found)


def test_a_store_that_fails_is_no_fault_of_the_file() -> None:
    ranges = ranges_of(vp8())

    def away(_start: int, _stop: int) -> bytes:
        raise StoreUnavailable("get_object", "s3://bucket/key", "gone")

    ranges._fetch = away
    with pytest.raises(StoreUnavailable):
        examine_file(ranges, poster=True)


def mutated(seed: int) -> BlockReader:
    """Return a video with a few of its bytes changed, most of them in the header."""
    chance = random.Random(seed)
    data = bytearray((media.video_mp4(), vp8(), media.track_webm(1))[seed % 3])
    for _ in range(chance.randint(1, 12)):
        data[int(len(data) * chance.random() ** chance.choice((1, 3)))] = chance.randrange(256)
    del data[chance.randint(len(data) // 2, len(data)) :]
    return ranges_of(bytes(data))


@pytest.mark.parametrize("seed", range(4))
def test_a_mangled_file_is_described_as_far_as_it_can_be(seed: int) -> None:
    found = examine_file(mutated(seed), poster=True, wall_s=20)
    assert found.facts.streams or found.troubles, "nobody is told what it is, or why that cannot be told"


def test_a_decoder_that_asks_and_does_not_read_the_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = """
import os, time
os.write(1, b'["ready"]\\n["read", 0, 1048576]\\n')
time.sleep(1000)
"""
    monkeypatch.setattr("tasks.media.sandbox._CHILD", deaf)
    found = examine_file(ranges_of(bytes(2 * 1024 * 1024)), poster=False, wall_s=1)
    assert found.troubles == ("the decoder took too long over it",)
