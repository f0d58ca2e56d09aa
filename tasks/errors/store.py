"""Errors of the object store."""

from __future__ import annotations

from tasks.errors.base import FinalError, RetryableError

EXPIRED_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
        "InvalidTokenId",
        "RequestExpired",
        "TokenRefreshRequired",
    }
)
"""How stores say that credentials that were good are so no more."""


class StoreRefused(FinalError):
    """The object store will not do it: no bucket, bad credentials, no permission, bad configuration."""

    may_pass: bool = False
    """Whether it may pass by itself in a store that has served this run: new credentials, another certificate."""

    def __init__(self, operation: str, target: str, code: str, message: str) -> None:
        super().__init__(operation, target, code, message)
        self.operation, self.target, self.code, self.message = operation, target, code, message

    def _message(self) -> str:
        if self.operation == "the configuration":  # no store was asked yet
            return f"boto3 cannot use {self.target}: {self.message}. {self.hint}"
        return f"The object store refused {self.operation} on {self.target}: {self.code}: {self.message}. {self.hint}"

    @property
    def hint(self) -> str:
        """What a person should do."""
        return _STORE_HINTS.get(self.code, "Check ARCHIVE_URL and the AWS_* settings.")


_KEYS = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that AWS_ENDPOINT_URL_S3 is the store they belong to."
_ALLOWED = "The credentials need to list, read, write and delete in the bucket, and to abort multipart uploads."
_EXPIRED = (
    "The credentials have expired or were taken back: put new ones where they come from (environment, .env, the file "
    "or program of AWS_PROFILE), then run again: what is stored is kept."
)
_RENEW = "Check AWS_PROFILE and where its credentials come from, then run again: what is stored is kept."
_CERTIFICATES = (
    "If the store's certificate is of an authority of your own, AWS_CA_BUNDLE names the file with that authority's "
    "certificates (REQUESTS_CA_BUNDLE counts where it is not set)."
)
_STORE_HINTS = {
    "NoSuchBucket": "Create the bucket, or correct ARCHIVE_URL.",
    "InvalidBucketName": "Correct the bucket's name in ARCHIVE_URL.",
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "Unauthorized": _KEYS,
    "NoCredentialsError": _KEYS,
    "PartialCredentialsError": _KEYS,
    "AccessDenied": _ALLOWED,
    "ValueError": "AWS_ENDPOINT_URL_S3 begins with http:// or https://.",
    "403": _ALLOWED,
    "RequestTimeTooSkewed": "This machine's clock is wrong: set it.",
    **dict.fromkeys(EXPIRED_CREDENTIALS, _EXPIRED),
    "CredentialRetrievalError": _RENEW,
    "MetadataRetrievalError": _RENEW,
    "TokenRetrievalError": _RENEW,
    "SSOTokenLoadError": _RENEW,
    "UnauthorizedSSOTokenError": _RENEW,
    "UnusableCredentials": "Set them again, without quotes, blanks or line breaks: often one was copied with them.",
    "UnusableHeader": (
        "A line break or another control character is in AWS_ACCESS_KEY_ID or AWS_SESSION_TOKEN: set them again, in "
        "the environment, in .env or where AWS_PROFILE has them."
    ),
    "UnusableAddress": "Correct HTTP_PROXY and HTTPS_PROXY: in a password, # / ? and @ are written %23 %2F %3F %40.",
    "CertificateRefused": _CERTIFICATES,
    "CaBundleUnusable": "Correct AWS_CA_BUNDLE, or REQUESTS_CA_BUNDLE, which counts where it is not set.",
    "WrongProtocol": "Correct AWS_ENDPOINT_URL_S3: it begins with https:// where the port speaks TLS, else with http://.",
    "InvalidObjectState": (
        "The object is in an archived storage class, such as GLACIER: it has to be asked for, and is readable hours "
        "later. uv run python -m flows.restore_recording has --thaw DAYS for that."
    ),
    "InvalidStorageClass": "Correct ARCHIVE_STORAGE_CLASS: the store has no such class.",
    "AccessControlListNotSupported": "The bucket takes no ACL: leave ARCHIVE_ACL empty.",
    "InvalidTag": "Correct ARCHIVE_TAGS.",
    "KMS.NotFoundException": "Correct ARCHIVE_SSE: there is no such key.",
    "KMS.DisabledException": "Enable the key that ARCHIVE_SSE names, or name another one.",
    "NotImplemented": (
        "The store does not know what it was asked for. If ARCHIVE_SSE, ARCHIVE_TAGS, ARCHIVE_ACL or another option of "
        "how recordings are stored is set, uv run python -m flows.doctor says which one."
    ),
    "BucketInEndpoint": "ARCHIVE_URL alone names the bucket.",
    "400": "Check AWS_ENDPOINT_URL_S3, https:// or http:// too, the other AWS_* settings, and any proxy in between.",
    "413": (
        "That is the limit of a proxy before the store: lower TRANSFER_PART_SIZE, or raise the proxy's limit for the "
        "size of a request (nginx: client_max_body_size)."
    ),
}


class ObjectTooLarge(FinalError):
    """An object that is to be read at once is larger than anything that this project writes there."""

    def __init__(self, target: str, most: int) -> None:
        super().__init__(target, most)
        self.target, self.most = target, most

    def _message(self) -> str:
        return (
            f"{self.target} has more than {self.most:,} bytes, so that this program has not written it. "
            "Look who did; what belongs there is written again by a run with overwrite."
        )


class StoreUnavailable(RetryableError):
    """The object store is away, or throttles us."""

    def __init__(self, operation: str, target: str, reason: str) -> None:
        super().__init__(operation, target, reason)
        self.operation, self.target, self.reason = operation, target, reason

    def _message(self) -> str:
        return (
            f"The object store failed at {self.operation} on {self.target}: {self.reason}. "
            "Check that it runs and that AWS_ENDPOINT_URL_S3 is right; what is stored is kept, a later run carries on."
        )


class UploadVanished(StoreUnavailable):
    """The multipart upload is gone: completed or aborted, by another run of the same recording or by a rule."""


class StoredWrong(RetryableError):
    """What the store received or holds is not what was sent."""

    def __init__(self, target: str, expected: str, actual: str) -> None:
        super().__init__(target, expected, actual)
        self.target, self.expected, self.actual = target, expected, actual

    def _message(self) -> str:
        return (
            f"{self.target}: the store holds something else than was sent: expected {self.expected}, "
            f"got {self.actual}. Run again: what does not match is moved anew."
        )
