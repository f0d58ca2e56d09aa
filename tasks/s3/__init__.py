"""An S3-compatible store: objects, multipart uploads, checksums, and what each store takes or refuses."""

from __future__ import annotations

from tasks.s3.bucket import Bucket, StoredObject
from tasks.s3.caller import MOST_BODIES
from tasks.s3.capabilities import WITH_CRC64NVME, WORTH_ASKING, StoreCapabilities, verifies_crc64
from tasks.s3.checksums import bare, combined_crc64, crc64, crc64_text, md5_text
from tasks.s3.error_codes import CALL_FAILURES, NOT_SUPPORTED, THERE_ALREADY, translated
from tasks.s3.multipart import Part, Store, Upload, new_s3_client
from tasks.s3.part_ranges import PartRange, cut, grown_part_size, part_ranges
from tasks.s3.read_ahead import Reader, reading
from tasks.s3.throttle import Throttle

__all__ = [
    "CALL_FAILURES",
    "MOST_BODIES",
    "NOT_SUPPORTED",
    "THERE_ALREADY",
    "WITH_CRC64NVME",
    "WORTH_ASKING",
    "Bucket",
    "Part",
    "PartRange",
    "Reader",
    "Store",
    "StoreCapabilities",
    "StoredObject",
    "Throttle",
    "Upload",
    "bare",
    "combined_crc64",
    "crc64",
    "crc64_text",
    "cut",
    "grown_part_size",
    "md5_text",
    "new_s3_client",
    "part_ranges",
    "reading",
    "translated",
    "verifies_crc64",
]
