"""Knows whether what is stored is what was sent: by reading it back, in pieces that need next to no memory."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING

from tasks.checksums import bare, combined_crc64, crc64
from tasks.errors import StoredWrong
from tasks.parts import cut, part_ranges
from tasks.store import Part
from tasks.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.bucket import StoredObject
    from tasks.evidence import Evidence
    from tasks.store import Store

READINGS = 4
"""Of an object whose bytes no checksum confirms, until two agree."""


def is_marked(stored: StoredObject, metadata: Mapping[str, str]) -> bool:
    """Tell whether an object carries metadata that prove of what source it is: the source's ETag or the bytes' SHA-256.

    Args:
        metadata: as sent with the object; all of it must be there.
    """
    proves = metadata.keys() & {"source-etag", "sha256"}
    return bool(proves) and all(stored.metadata.get(name) == value for name, value in metadata.items())


def read_back(store: Store, stored: StoredObject, parts: Sequence[Part], evidence: Evidence | None = None) -> str:
    """Return the SHA-256 of a stored object, and compare it on the way with the checksums that are known.

    What no checksum of the store's confirms counts once two readings agree: bytes may change on their way to us, too.

    Args:
        parts: what it was made of, or nothing; parts without a checksum are not compared.
        evidence: is fed with the bytes, anew at each reading.

    Raises:
        StoredWrong: it is not what was sent, or not whole.
    """
    known = list(parts) or [Part(1, stored.size, stored.etag)]
    if sum(part.size for part in known) != stored.size:
        raise StoredWrong(stored.key, f"{sum(part.size for part in known)} bytes", f"{stored.size} bytes")
    read: list[str] = []
    for _ in range(READINGS):
        sha256, confirmed = _read(store, stored, known, evidence)
        if confirmed or sha256 in read:
            return sha256
        read.append(sha256)
    raise StoredWrong(stored.key, "the same bytes at each reading", f"{READINGS} different ones")


def _read(store: Store, stored: StoredObject, known: Sequence[Part], evidence: Evidence | None) -> tuple[str, bool]:
    """Return the SHA-256 of an object's bytes, and whether they are certainly those that the store holds."""
    lengths = [[piece.size for piece in part_ranges(part.size, MIB)] for part in known]
    pieces = cut(store.read(stored), (bytearray(length) for part in lengths for length in part))
    if evidence is not None:
        evidence.restart()
    sha256, found, confirmed = hashlib.sha256(), list[tuple[int | None, int]](), True
    for number, part in enumerate(known):
        crc, md5 = 0, hashlib.md5(usedforsecurity=False)
        for piece in islice(pieces, len(lengths[number])):
            sha256.update(piece)
            if evidence is not None:
                evidence.feed(piece)
            crc = crc64(piece, crc)
            if part.crc64 is None:
                md5.update(piece)
        if part.crc64 not in (None, crc):
            raise StoredWrong(stored.key, f"part {number + 1} with CRC64NVME {part.crc64:016x}", f"{crc:016x}")
        # An ETag that is another's says nothing: where a store encrypts, it is no MD5.
        confirmed &= part.crc64 is not None or bare(part.etag) == md5.hexdigest()
        found.append((crc, part.size))
    whole = combined_crc64(found)
    if stored.crc64 not in (None, whole):
        raise StoredWrong(stored.key, f"CRC64NVME {stored.crc64:016x}", f"{whole:016x}")
    return sha256.hexdigest(), confirmed or stored.crc64 is not None
