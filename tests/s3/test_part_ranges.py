"""The parts of a file cover all of it exactly once, and `fill_buffers` keeps all bytes in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.s3.part_ranges import MAX_PARTS, fill_buffers, grow_part_size, part_ranges
from tasks.text.formatting import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

TIB = 1024 * 1024 * MIB


@given(st.integers(0, 5 * TIB), st.integers(5 * MIB, 512 * MIB))
def test_parts_cover_any_file_exactly_once_and_all_but_the_last_are_equal(size: int, part_size: int) -> None:
    grown = grow_part_size(size, part_size)
    parts = part_ranges(size, grown)
    assert len(parts) <= MAX_PARTS
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == size
    assert {part.size for part in parts[:-1]} <= {grown}
    assert parts[-1].size <= grown


@given(st.integers(0, 5 * TIB), st.integers(5 * MIB, 512 * MIB))
def test_the_part_size_grows_only_when_it_must_and_then_in_whole_mebibytes(size: int, part_size: int) -> None:
    grown = grow_part_size(size, part_size)
    if size <= part_size * MAX_PARTS:
        assert grown == part_size
    else:
        assert grown % MIB == 0
        assert grown * MAX_PARTS >= size
        assert (grown - MIB) * MAX_PARTS < size


def test_an_empty_file_is_one_empty_part() -> None:
    assert [part.size for part in part_ranges(0, MIB)] == [0]


@given(st.lists(st.binary(max_size=40)), st.data())
def test_cut_gives_the_same_bytes_back_however_they_came(chunks: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(chunks)
    ends = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    starts = [0, *ends]
    bodies = list(fill_buffers(chunks, (bytearray(stop - start) for start, stop in zip(starts, ends, strict=False))))
    assert bodies == [whole[start:stop] for start, stop in zip(starts, ends, strict=False)]


def test_cut_reads_no_further_than_it_has_to() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"abc"
        message = "read too far"
        raise AssertionError(message)

    assert next(fill_buffers(chunks(), [bytearray(3), bytearray(1)])) == b"abc"


def test_cut_says_how_much_is_missing_of_a_stream_that_ends_early() -> None:
    with pytest.raises(ValueError, match="2 bytes are missing"):
        list(fill_buffers([b"abc"], [bytearray(5)]))
