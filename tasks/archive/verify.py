"""Verification by reading back: whether a stored object is what was sent, in pieces that need next to no memory."""

from __future__ import annotations

import hashlib
import re
from itertools import islice
from typing import TYPE_CHECKING

from tasks.errors import StoredWrong
from tasks.s3 import Part, bare_etag, combine_crc64, crc64, encode_digest, fill_buffers, part_ranges
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.evidence import Evidence
    from tasks.s3 import Store, StoredObject

READINGS = 4
"""Of an object whose bytes no checksum confirms, until two agree."""


def is_marked(stored: StoredObject, metadata: Mapping[str, str]) -> bool:
    """Tell whether an object carries metadata that prove of what source it is: the source's ETag or the bytes' SHA-256.

    Args:
        metadata: as sent with the object; all of it must be there.
    """
    proves = metadata.keys() & {"source-etag", "sha256"}
    return bool(proves) and all(stored.metadata.get(name) == value for name, value in metadata.items())


def is_made_of(stored: StoredObject, parts: Sequence[Part]) -> bool:
    """Tell whether the store's own checksum, or its ETag, proves that an object is made of these very parts."""
    if not parts or sum(part.size for part in parts) != stored.size:
        return False
    crc = combine_crc64((part.crc64, part.size) for part in parts)
    if None not in (stored.crc64, crc):
        return stored.crc64 == crc
    try:
        digests = b"".join(bytes.fromhex(bare_etag(part.etag)) for part in parts)
    except ValueError:
        return False
    return bare_etag(stored.etag) == f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def read_back(
    store: Store,
    stored: StoredObject,
    parts: Sequence[Part] = (),
    *,
    part_size: int = 0,
    evidence: Evidence | None = None,
) -> str:
    """Return the SHA-256 of a stored object, and compare it on the way with the checksums that are known.

    What no checksum of the store's confirms counts once two readings agree: bytes may change on their way to us, too.
    Most stores confirm an object that was made of parts by its ETag, which is the MD5 of the parts' MD5s.

    Args:
        parts: what it was made of, or nothing; parts without a checksum are not compared.
        part_size: in bytes, of what it probably was made of, where the parts are not known.
        evidence: is fed with the bytes, anew at each reading.

    Raises:
        StoredWrong: it is not what was sent, or not whole; or its storage class lets nobody read it.
    """
    if stored.storage_class.is_cold:
        raise StoredWrong(stored.key, "an object that can be read back", f"one in {stored.storage_class}")
    known = list(parts) or _supposed(stored, part_size)
    if sum(part.size for part in known) != stored.size:
        raise StoredWrong(stored.key, f"{sum(part.size for part in known)} bytes", f"{stored.size} bytes")
    read: list[str] = []
    for _ in range(READINGS):
        sha256, confirmed = _read(store, stored, known, evidence)
        if confirmed or sha256 in read:
            return sha256
        read.append(sha256)
    raise StoredWrong(stored.key, "the same bytes at each reading", f"{READINGS} different ones")


def _supposed(stored: StoredObject, part_size: int) -> list[Part]:
    """Return the parts that an object was probably made of, as many as its ETag tells."""
    count = _parts_told(stored.etag)
    smallest = -(-stored.size // (max(count, 1) * MIB)) * MIB
    for size in (part_size, smallest):
        if size and count and len(ranges := part_ranges(stored.size, size)) == count:
            return [Part(part.number, part.size, "") for part in ranges]
    return [Part(1, stored.size, stored.etag)]


def _parts_told(etag: str) -> int:
    """Return how many parts an ETag such as `9b2cf535f27731c974343645a3985328-3` tells of; 0 if it tells of none."""
    matched = re.fullmatch(r"[0-9a-f]{32}-([0-9]{1,5})", bare_etag(etag))
    return int(matched[1]) if matched else 0


def _read(store: Store, stored: StoredObject, known: Sequence[Part], evidence: Evidence | None) -> tuple[str, bool]:
    """Return the SHA-256 of an object's bytes, and whether they are certainly those that the store holds."""
    lengths = [[piece.size for piece in part_ranges(part.size, MIB)] for part in known]
    pieces = fill_buffers(store.read(stored), (bytearray(length) for part in lengths for length in part))
    if evidence is not None:
        evidence.restart()
    sha256, checksums, confirmed = hashlib.sha256(), list[tuple[int | None, int]](), True
    of_parts = hashlib.md5(usedforsecurity=False)
    for part, sizes in zip(known, lengths, strict=True):
        crc, md5 = 0, hashlib.md5(usedforsecurity=False)
        for piece in islice(pieces, len(sizes)):
            sha256.update(piece)
            if evidence is not None:
                evidence.feed(piece)
            crc = crc64(piece, crc)
            if part.crc64 is None:
                md5.update(piece)
        _require_sent(stored.key, part, crc, md5.digest())
        of_parts.update(md5.digest())
        # An ETag that is another's says nothing: where a store encrypts, it is no MD5.
        confirmed &= part.crc64 is not None or bare_etag(part.etag) == md5.hexdigest()
        checksums.append((crc, part.size))
    whole = combine_crc64(checksums)
    if stored.crc64 not in (None, whole):
        raise StoredWrong(stored.key, f"CRC64NVME {stored.crc64:016x}", f"{whole:016x}")
    confirmed |= stored.crc64 is not None or bare_etag(stored.etag) == f"{of_parts.hexdigest()}-{len(known)}"
    return sha256.hexdigest(), confirmed


def _require_sent(key: str, part: Part, crc: int, md5: bytes) -> None:
    """Check that what is read back of a part has the checksum with which it was sent.

    Raises:
        StoredWrong: it has another one.
    """
    if part.crc64 not in (None, crc):
        raise StoredWrong(key, f"part {part.number} with CRC64NVME {part.crc64:016x}", f"{crc:016x}")
    if part.md5 not in (None, encode_digest(md5)):
        raise StoredWrong(key, f"part {part.number} with MD5 {part.md5}", encode_digest(md5))
