"""Knows whether what is stored is what was sent: by reading it back, in pieces that need next to no memory."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING

from tasks.checksums import combined_crc64, crc64
from tasks.errors import StoredWrong
from tasks.parts import MIB, cut, part_ranges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.bucket import StoredObject
    from tasks.store import Part, Store


def is_marked(stored: StoredObject, metadata: Mapping[str, str]) -> bool:
    """Tell whether an object carries metadata that prove of what source it is: the source's ETag or the bytes' SHA-256.

    Args:
        metadata: as sent with the object; all of it must be there.
    """
    proves = metadata.keys() & {"source-etag", "sha256"}
    return bool(proves) and all(stored.metadata.get(name) == value for name, value in metadata.items())


def read_back(store: Store, stored: StoredObject, parts: Sequence[Part]) -> str:
    """Return the SHA-256 of a stored object, and compare it on the way with the checksums that are known.

    Args:
        parts: what it was made of, or nothing; parts without a checksum are not compared.

    Raises:
        StoredWrong: it is not what was sent, or not whole.
    """
    known = [(part.size, part.crc64) for part in parts] or [(stored.size, None)]
    if sum(size for size, _ in known) != stored.size:
        raise StoredWrong(stored.key, f"{sum(size for size, _ in known)} bytes", f"{stored.size} bytes")
    lengths = [[piece.size for piece in part_ranges(size, MIB)] for size, _ in known]
    pieces = cut(store.read(stored), (length for part in lengths for length in part))
    sha256, found = hashlib.sha256(), list[tuple[int | None, int]]()
    for number, (size, expected) in enumerate(known, 1):
        crc = 0
        for piece in islice(pieces, len(lengths[number - 1])):
            sha256.update(piece)
            crc = crc64(piece, crc)
        if expected not in (None, crc):
            raise StoredWrong(stored.key, f"part {number} with CRC64NVME {expected:016x}", f"{crc:016x}")
        found.append((crc, size))
    whole = combined_crc64(found)
    if stored.crc64 not in (None, whole):
        raise StoredWrong(stored.key, f"CRC64NVME {stored.crc64:016x}", f"{whole:016x}")
    return sha256.hexdigest()
