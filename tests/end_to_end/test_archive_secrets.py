"""Nothing that was secret at the source is anywhere in the store, or in what was logged on the way."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from tests.standins.realtimekit import LEAKY_STORAGE_CONFIG, Drop, MediaSource, Redirect

if TYPE_CHECKING:
    import pytest

    from tests.support.archiving import Archiving

CANARIES = [value for value in map(str, LEAKY_STORAGE_CONFIG.values()) if "leak-canary" in value]


def test_no_secret_of_the_source_is_in_any_body_key_metadata_or_log_record(
    rclone: Archiving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sound = MediaSource(b"s\0und", "audio/mpeg")
    recording = rclone.add(2 * rclone.part, audio=sound, storage_config=LEAKY_STORAGE_CONFIG)
    rclone.kit.links_expire_after_requests = 2
    rclone.kit.file_faults = [Drop(1000, how="rst"), Redirect(), None, Drop(1000)]
    rclone.archived(recording, overwrite=True)
    rclone.archived(recording)
    heads = [rclone.s3.head_object(Bucket=rclone.bucket, Key=key) for key in rclone.stored_keys()]
    stored = b"\n".join([*rclone.objects().values(), *(str(head).encode() for head in heads)])
    logged = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    text = stored.decode("latin-1") + "\n".join(rclone.stored_keys()) + logged
    # Botocore signs its own requests to the store in a header; only URLs of the source have a signature in them.
    assert not re.findall(r"X-Amz-Signature|X-Amz-Credential", text)
    assert [secret for secret in [*CANARIES, "leak-canary", rclone.kit.token] if secret in text] == []
    assert [request for request in rclone.kit.file_requests if request.expired], "links were refreshed on the way"
    assert any(record.levelno == logging.DEBUG for record in caplog.records)
