"""An S3-compatible store: objects, multipart uploads, checksums, and what each store takes or refuses."""

from __future__ import annotations

from tasks.s3.bucket import Bucket, StoredObject
from tasks.s3.caller import MAX_BODIES
from tasks.s3.capabilities import MIN_PARTS_TO_DETECT, WITH_CRC64NVME, StoreCapabilities, verifies_crc64
from tasks.s3.checksums import bare_etag, combine_crc64, crc64, encode_crc64, encode_digest, encode_md5, is_md5_of
from tasks.s3.client import are_in_one_store, new_s3_client
from tasks.s3.error_codes import ALREADY_EXISTS, ARCHIVED_CLASS, CALL_FAILURES, NOT_SUPPORTED, translate_error
from tasks.s3.multipart import Part, Store, Upload
from tasks.s3.part_ranges import PartRange, fill_buffers, grow_part_size, part_ranges
from tasks.s3.presigned import PresignedDownloads, content_disposition
from tasks.s3.read_ahead import Reader, open_reader
from tasks.s3.retention import UNLOCKED, Retention, parse_stated_retention
from tasks.s3.storage_class import StorageClass, ThawTier
from tasks.s3.throttle import Throttle
from tasks.s3.versions import ObjectVersion
from tasks.storage_options import StorageOptions

__all__ = [
    "ALREADY_EXISTS",
    "ARCHIVED_CLASS",
    "CALL_FAILURES",
    "MAX_BODIES",
    "MIN_PARTS_TO_DETECT",
    "NOT_SUPPORTED",
    "UNLOCKED",
    "WITH_CRC64NVME",
    "Bucket",
    "ObjectVersion",
    "Part",
    "PartRange",
    "PresignedDownloads",
    "Reader",
    "Retention",
    "StorageClass",
    "StorageOptions",
    "Store",
    "StoreCapabilities",
    "StoredObject",
    "ThawTier",
    "Throttle",
    "Upload",
    "are_in_one_store",
    "bare_etag",
    "combine_crc64",
    "content_disposition",
    "crc64",
    "encode_crc64",
    "encode_digest",
    "encode_md5",
    "fill_buffers",
    "grow_part_size",
    "is_md5_of",
    "new_s3_client",
    "open_reader",
    "parse_stated_retention",
    "part_ranges",
    "translate_error",
    "verifies_crc64",
]
