"""However large a file and its parts, whatever comes first: each byte once, memory bounded, nobody waits for ever."""

from __future__ import annotations

import hashlib
import queue
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event

from hypothesis import given
from hypothesis import strategies as st

from tasks.s3.part_ranges import MAX_PARTS, fill_buffers, grow_part_size, part_ranges
from tasks.text.formatting import MIB
from tasks.transfer.buffers import BufferLease, BufferPool, OrderedSha256
from tasks.workers import Pool
from tests.support.strategies import examples

TIB = 1024 * 1024 * MIB
LARGEST_PART = 5 * 1024 * MIB
PATIENCE_S = 30.0
SIZES = st.integers(0, 5 * TIB) | st.builds(
    lambda parts, part, off: max(0, min(parts * part + off, 5 * TIB)),
    st.sampled_from([1, 2, MAX_PARTS - 1, MAX_PARTS, MAX_PARTS + 1]),
    st.sampled_from([5 * MIB, 8 * MIB, 512 * MIB]),
    st.integers(-1, 1),
)


@examples(40)
@given(SIZES, st.integers(1, LARGEST_PART))
def test_a_file_of_any_size_is_cut_into_no_more_parts_than_a_store_takes_whatever_size_is_asked_for(
    size: int, asked: int
) -> None:
    grown = grow_part_size(size, asked)
    parts = part_ranges(size, grown)
    assert asked <= grown <= max(asked, LARGEST_PART)
    assert len(parts) <= MAX_PARTS
    assert (parts[0].start, parts[-1].stop) == (0, size)
    assert all(one.stop == other.start and one.number + 1 == other.number for one, other in pairwise(parts))
    assert all(part.size == grown for part in parts[:-1])
    assert 0 < parts[-1].size <= grown or size == 0


@examples(80)
@given(st.binary(max_size=300), st.integers(1, 80), st.data())
def test_a_file_that_is_cut_into_its_parts_is_whole_however_its_bytes_came(
    content: bytes, asked: int, data: st.DataObject
) -> None:
    parts = part_ranges(len(content), grow_part_size(len(content), asked))
    ends = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    chunks = [content[start:stop] for start, stop in pairwise([0, *ends, len(content)])]
    bodies = list(fill_buffers(chunks, (bytearray(part.size) for part in parts)))
    assert bodies == [content[part.start : part.stop] for part in parts]
    released: list[bytearray] = []
    with OrderedSha256(released.append) as digest:
        for at in data.draw(st.permutations(range(len(parts)))):
            digest.add(parts[at].number, bodies[at])
    assert digest.hexdigest(len(parts)) == hashlib.sha256(content).hexdigest()
    assert b"".join(released) == content


@examples(60)
@given(
    limit=st.integers(1, 40),
    files=st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=7), min_size=1, max_size=3),
    workers=st.integers(1, 3),
    choices=st.lists(st.integers(0, 100), max_size=30),
)
def test_whichever_part_ends_first_the_window_keeps_its_bound_and_all_get_through(
    limit: int, files: list[list[int]], workers: int, choices: list[int]
) -> None:
    """The parts that are under way wait until the script lets one of them go."""
    buffers, stop, arrived = BufferPool(limit), Event(), queue.Queue[Event]()
    held: list[tuple[int, int]] = []

    def move_file(sizes: list[int]) -> None:
        with (
            BufferLease(buffers) as lease,
            OrderedSha256(lease.release) as digest,
            Pool(workers, stop, lease.close) as pool,
        ):

            def move(number: int, body: bytearray) -> None:
                turn = Event()
                arrived.put(turn)
                assert turn.wait(PATIENCE_S)
                digest.add(number, body)

            for number, size in enumerate(sizes, 1):
                body = lease.acquire(size)
                assert body is not None
                held.append((buffers.used, size))
                pool.submit(move, number, body)
            pool.wait()

    script = iter(choices)
    with ThreadPoolExecutor(len(files)) as threads:
        futures = [threads.submit(move_file, sizes) for sizes in files]
        for _ in range(sum(map(len, files))):
            waiting = [arrived.get(timeout=PATIENCE_S)]
            while not arrived.empty():
                waiting.append(arrived.get())
            chosen = waiting.pop(next(script, 0) % len(waiting))
            for turn in waiting:
                arrived.put(turn)
            chosen.set()
        for future in futures:
            future.result(PATIENCE_S)
    largest = max(size for sizes in files for size in sizes)
    assert all(used <= max(limit, largest) for used, _ in held)
    assert buffers.used == 0
