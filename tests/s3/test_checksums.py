"""The checksums that go with bytes to a store: right by the standard, continued, and combined."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from tasks.s3.checksums import combine_crc64, crc64, decode_crc64, encode_crc64

CHECK = 0xAE8B14860A799888
"""The CRC64NVME of b"123456789". Source: https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-64-nvme"""


def bit_by_bit(body: bytes) -> int:
    """Return the CRC64NVME of a body in the way of the standard's text."""
    crc = (1 << 64) - 1
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return crc ^ ((1 << 64) - 1)


def test_the_crc64nvme_is_that_of_the_standard() -> None:
    assert crc64(b"123456789") == CHECK
    assert encode_crc64(CHECK) == "rosUhgp5mIg="
    assert decode_crc64("rosUhgp5mIg=") == CHECK


@given(some.lists(some.binary(max_size=300), min_size=1, max_size=5))
def test_parts_in_order_have_the_crc64nvme_of_the_whole(bodies: list[bytes]) -> None:
    whole = bit_by_bit(b"".join(bodies))
    so_far = 0
    for body in bodies:
        so_far = crc64(bytearray(body), so_far)
    assert so_far == whole
    assert combine_crc64((crc64(body), len(body)) for body in bodies) == whole


def test_the_whole_of_a_part_that_is_not_known_is_not_known() -> None:
    assert combine_crc64([(1, 5), (None, 5)]) is None
    assert combine_crc64([]) is None
