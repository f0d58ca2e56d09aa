"""Checksums that are sent with bytes to a store: computed, combined, and encoded for headers.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from anycrc import Model

if TYPE_CHECKING:
    from collections.abc import Iterable

Body = bytes | bytearray
_CRC64NVME = Model("CRC64-NVME")


def crc64(body: Body, so_far: int = 0) -> int:
    """Return the CRC64NVME of `body`, continued from the CRC64NVME of the bytes before it."""
    return int(_CRC64NVME.calc(body, so_far))


def combine_crc64(parts: Iterable[tuple[int | None, int]]) -> int | None:
    """Return the CRC64NVME of adjacent parts together; None if one is unknown, or if there are no parts.

    Args:
        parts: the CRC64NVME and the size of each, in order.
    """
    whole: int | None = None
    for crc, size in parts:
        if crc is None:
            return None
        whole = crc if whole is None else int(_CRC64NVME.combine(whole, crc, size))
    return whole


def encode_crc64(crc: int) -> str:
    """Return a CRC64NVME in the form of S3's headers."""
    return base64.b64encode(crc.to_bytes(8, "big")).decode()


def decode_crc64(text: str | None) -> int | None:
    """Return the CRC64NVME of a header; None if the header holds none."""
    try:
        decoded = base64.b64decode(text or "", validate=True)
    except ValueError:
        return None
    return int.from_bytes(decoded, "big") if len(decoded) == 8 else None


def encode_md5(body: Body) -> str:
    """Return the Content-MD5 of `body`."""
    return encode_digest(hashlib.md5(body, usedforsecurity=False).digest())


def encode_digest(md5: bytes) -> str:
    """Return the digest of an MD5 in the form of the header Content-MD5."""
    return base64.b64encode(md5).decode()


def is_md5_of(etag: str, body: Body) -> bool:
    """Tell whether an ETag is the MD5 of `body`; it is not if the store encrypts objects."""
    return bare_etag(etag) == hashlib.md5(body, usedforsecurity=False).hexdigest()


def bare_etag(etag: str) -> str:
    """Return an ETag without quotes, in lower case: stores differ in both."""
    return etag.strip('"').lower()
