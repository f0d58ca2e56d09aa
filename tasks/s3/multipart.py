"""Knows multipart uploads: their parts, checksum dialects and completion, on top of a bucket's objects.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html and the stores that were tried:
they differ in which checksums they verify, and in what becomes of an upload that is over.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import parse_timestamp

from tasks.errors import StoreRefused, UploadVanished
from tasks.s3.bucket import Bucket, StoredObject
from tasks.s3.capabilities import WITH_CRC64NVME
from tasks.s3.checksums import Body, combine_crc64, crc64, decode_crc64, encode_crc64, encode_md5, is_md5_of
from tasks.s3.connections import send_in_pieces
from tasks.s3.credentials import Provider, RenewedCredentials
from tasks.s3.error_codes import NOT_SUPPORTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.awsrequest import AWSRequest
    from botocore.client import BaseClient

CONNECT_TIMEOUT_S = 10.0


def new_s3_client(connections: int, answer_timeout_s: float = 60.0) -> BaseClient:
    """Return a boto3 client that reads its credentials, region and endpoint as boto3 always does.

    AWS_REGION counts too, as for every other program of Amazon's: boto3 alone knows AWS_DEFAULT_REGION only.

    Args:
        connections: how many requests may be under way at once.
        answer_timeout_s: seconds without a byte of an answer after which a connection counts as dead: to put a large
            object together takes a store its time.
    """
    config = Config(
        # Without these two boto3 adds checksum trailers that some stores refuse and one kept inside the object.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},  # Bucket retries, with progress in mind
        max_pool_connections=connections,
        connect_timeout=min(CONNECT_TIMEOUT_S, answer_timeout_s),
        read_timeout=answer_timeout_s,
        tcp_keepalive=True,
    )
    send_in_pieces()
    try:
        core = botocore.session.get_session()
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
        # Each object and part goes with its MD5 or CRC64NVME, in a header that is signed. The SHA-256 besides, which
        # boto3 adds over plain http and where there is no MD5, is a third of all work: only for those who ask for it.
        signed = _asks_for_signed_bodies(core)
        core.register_component("credential_provider", Provider(core.get_component("credential_provider")))
        session = boto3.Session(botocore_session=core)
        config = config.merge(Config(s3={"payload_signing_enabled": signed}, user_agent=_user_agent(core)))
        region = session.region_name or os.environ.get("AWS_REGION")
        client: BaseClient = session.client("s3", region_name=region, config=config)
        client.meta.events.register("before-call.s3.HeadBucket", _take_no_redirect)
        client.meta.events.register_last("before-call.s3", _expect_nothing)
        if isinstance(credentials := core.get_credentials(), RenewedCredentials):
            client.meta.events.register("after-call.s3", credentials.note)
        if not signed:
            client.meta.events.register("request-created.s3.UploadPart", _put_body_aside)
            client.meta.events.register_last("request-created.s3", _put_body_back)
    except (BotoCoreError, ValueError) as error:
        refusal = StoreRefused("the configuration", "the AWS_* settings", type(error).__name__, str(error).rstrip("."))
    else:
        return client
    raise refusal


def _asks_for_signed_bodies(core: botocore.session.Session) -> bool:
    """Tell whether the AWS profile says so: there are buckets whose policy wants it."""
    its = core.get_scoped_config().get("s3")
    return isinstance(its, dict) and str(its.get("payload_signing_enabled", "")).lower() == "true"


def _user_agent(core: botocore.session.Session) -> str | None:
    """Return what boto3 says of itself, which it would put together twice for each request: a tenth of all its work.

    None for those who set an app id of their own: it is in the longer text only.
    """
    return None if core.get_config_variable("user_agent_appid") else core.user_agent()


def _timestamp(value: str) -> datetime:
    """Parse a time that a store writes; botocore's way takes most of the time that a listing does, a time per key."""
    try:
        if value.endswith(" GMT"):
            return parsedate_to_datetime(value).replace(tzinfo=UTC)
        return datetime.fromisoformat(value) if "T" in value else parse_timestamp(value)
    except (ValueError, OverflowError):
        return parse_timestamp(value)


def _take_no_redirect(params: dict[str, Any], **_: object) -> None:
    """Let boto3 look for a redirected bucket's region once: where that is redirected, too, it would do so for ever."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def _expect_nothing(params: dict[str, Any], **_: object) -> None:
    """Send bodies without "Expect: 100-continue": some proxies answer that with 417, and others let it wait."""
    params["headers"].pop("Expect", None)


def _put_body_aside(request: AWSRequest, **_: object) -> None:
    """Sign a part without its body, which is not signed: to sign it, awscrt would be given a copy."""
    request.context["aside"], request.data = request.data, b""


def _put_body_back(request: AWSRequest, **_: object) -> None:
    request.data = request.context.pop("aside", request.data)


@dataclass(frozen=True)
class Part:
    """One stored part of a multipart upload."""

    number: int
    size: int
    etag: str
    crc64: int | None = None  # None where the store did not keep it and we did not send the part


@dataclass(frozen=True)
class Upload:
    """A multipart upload that is under way."""

    key: str
    id: str = field(repr=False)
    checksummed: bool = False  # the store announced that it verifies CRC64NVME, of the parts and of the whole
    begun: datetime | None = field(default=None, compare=False)  # as listings say


class Store(Bucket):
    """A bucket with its multipart uploads."""

    def without_retries(self) -> Store:
        """Return the same bucket for tidying up after a failure: each call is tried once, and no stop is heeded."""
        return Store(self._s3, self.bucket, 0.0, None, self._throttle, self._capabilities)

    def detect_capabilities(self, key: str) -> None:
        """Find out by a small upload to a key whether parts may go with CRC64NVME though that is not announced."""
        self._capabilities.detect(self._s3, self.bucket, key)

    def begin_upload(self, key: str, content_type: str, metadata: Mapping[str, str]) -> Upload:
        """Begin a multipart upload, with CRC64NVME over the full object if the store announces that it verifies it."""
        described = {"ContentType": content_type, "Metadata": metadata}
        checksum = WITH_CRC64NVME if self._capabilities.takes_crc64 else {}
        try:
            said = self._ask("create_multipart_upload", key, **described, **checksum)
        except StoreRefused as refused:
            if not checksum or refused.code not in NOT_SUPPORTED:
                raise
            said = self._ask("create_multipart_upload", key, **described)
            self._capabilities.takes_crc64 = False
        return Upload(key, said["UploadId"], said.get("ChecksumAlgorithm") == "CRC64NVME")

    def uploads(self, prefix: str) -> Sequence[Upload]:
        """Return the multipart uploads under way below a prefix."""
        found: list[Upload] = []
        places = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        # rclone answers NoSuchUpload where there never was an upload.
        with suppress(UploadVanished):
            for page in self._pages("list_multipart_uploads", None, places, Prefix=prefix):
                found += [
                    Upload(
                        item["Key"],
                        item["UploadId"],
                        item.get("ChecksumAlgorithm") == "CRC64NVME",
                        item.get("Initiated"),
                    )
                    for item in page.get("Uploads", ())
                ]
        return found

    def list_uploads_if_supported(self, prefix: str) -> Sequence[Upload] | None:
        """Return the multipart uploads under way below a prefix; None on a store that lists none at all."""
        try:
            return self.uploads(prefix)
        except StoreRefused as refused:
            if refused.code not in NOT_SUPPORTED:
                raise
            return None

    def parts(self, upload: Upload) -> dict[int, Part]:
        """Return the parts that an upload already has, by number.

        Swift goes on answering for an upload that is completed: only `uploads` tells whether it is still open.

        Raises:
            UploadVanished: the upload is no more.
        """
        parts: dict[int, Part] = {}
        places = {"PartNumberMarker": "NextPartNumberMarker"}
        for page in self._pages("list_parts", upload.key, places, UploadId=upload.id):
            for item in page.get("Parts", ()):
                crc = decode_crc64(item.get("ChecksumCRC64NVME"))
                parts[item["PartNumber"]] = Part(item["PartNumber"], item["Size"], item["ETag"], crc)
        return parts

    def put_part(self, upload: Upload, number: int, body: Body) -> Part:
        """Store one part; the store verifies its checksum.

        Raises:
            UploadVanished: the upload is no more.
            StoredWrong: what arrived differs from what was sent, again and again.
        """
        crc, capabilities = crc64(body), self._capabilities
        verified = capabilities.takes_crc64 and (upload.checksummed or capabilities.verifies_crc64)
        sent = {"UploadId": upload.id, "PartNumber": number, "Body": body}
        sums = {"ChecksumCRC64NVME": encode_crc64(crc)} if verified else {"ContentMD5": encode_md5(body)}
        try:
            said = self._ask("upload_part", upload.key, **sent, **sums)
        except StoreRefused as refused:
            # rclone takes no part twice; it has it if an answer was lost, or another run was faster.
            there = self.parts(upload).get(number) if refused.code in NOT_SUPPORTED else None
            if there is not None and is_md5_of(there.etag, body):
                said = {"ETag": there.etag}
            elif not verified or refused.code not in NOT_SUPPORTED:
                raise
            else:
                said = self._ask("upload_part", upload.key, **sent, ContentMD5=encode_md5(body))
                capabilities.takes_crc64 = False
        return Part(number, len(body), said["ETag"], crc)

    def complete(self, upload: Upload, parts: Sequence[Part]) -> StoredObject:
        """Make an object of an upload's parts, and see that it is there with the right size and checksum.

        Args:
            parts: all of them, in order.

        Raises:
            UploadVanished: the upload is no more, and no checksum of the store proves that it became the object.
            StoredWrong: the object is not what was sent.
        """
        if not parts or [part.number for part in parts] != list(range(1, len(parts) + 1)):
            # Some stores take a list with gaps for the whole.
            message = f"parts are missing: there are {[part.number for part in parts]}"
            raise ValueError(message)
        size, crc = sum(part.size for part in parts), combine_crc64((part.crc64, part.size) for part in parts)
        checksum: dict[str, Any] = {}
        # What announced nothing might refuse it (Swift takes any), though it verifies the parts.
        if upload.checksummed and self._capabilities.takes_crc64 and crc is not None:
            checksum = {"ChecksumCRC64NVME": encode_crc64(crc), "ChecksumType": "FULL_OBJECT", "MpuObjectSize": size}
        listed = {"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]}
        try:
            self._complete(upload, listed, checksum)
        except UploadVanished:
            # Its answer was lost, or another run completed it, or aborted it: an older object may be there instead.
            found = self.head(upload.key)
            if found is None or crc is None or (found.size, found.crc64) != (size, crc):
                raise
            return found
        return self.verify(upload.key, size, crc)

    def _complete(self, upload: Upload, listed: dict[str, Any], checksum: dict[str, Any]) -> None:
        wanted = {"UploadId": upload.id, "MultipartUpload": listed}
        try:
            self._ask("complete_multipart_upload", upload.key, **wanted, **checksum)
        except StoreRefused as refused:
            if not checksum or refused.code not in NOT_SUPPORTED:
                raise
            self._ask("complete_multipart_upload", upload.key, **wanted)
            self._capabilities.takes_crc64 = False

    def abort(self, upload: Upload) -> None:
        """Abort an upload; one that is no more is no error."""
        try:
            self._ask("abort_multipart_upload", upload.key, UploadId=upload.id)
        except UploadVanished:
            pass
        except StoreRefused as refused:
            if refused.code != "NoSuchKey":  # how Swift says that it is completed
                raise
