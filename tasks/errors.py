"""Every failure that a caller may meet, each with an answer to one question: is it final, or worth retrying?

ArchiverError
 ├─ FinalError               trying again as things stand cannot help: a person has to look
 │   ├─ SettingsInvalid          settings missing or malformed
 │   ├─ RecordingIdInvalid       not a UUID
 │   ├─ ApiRefused               401, 403, other 4xx, `success: false`
 │   │   └─ RecordingNotFound    404
 │   ├─ ConnectionInsecure       a certificate that nobody vouches for, or no TLS where it must be
 │   ├─ ApiNonsense              an answer that is not the API's
 │   │   └─ AnswerTooLarge           the API's, maybe, and more than is read of one
 │   ├─ RecordingErrored         RealtimeKit failed: no file will ever come
 │   ├─ NotUploadedInTime        the deadline for waiting has passed
 │   ├─ NothingToDownload        UPLOADED, but a URL is missing: bucket turned off, or the file has left it
 │   ├─ SourceGone               404 from a presigned URL, and the seven days are over
 │   ├─ VideoEmpty               UPLOADED, and 0 bytes
 │   ├─ SourceLied               answers that cannot be the file, again and again
 │   ├─ SizeDisagrees            API and source name different sizes
 │   ├─ StoreRefused             no such bucket, bad credentials, not allowed
 │   ├─ ObjectTooLarge           a small file of the archive that is none
 │   ├─ ArchiveDamaged           committed, but not whole
 │   ├─ ReplacementSmaller       an overwrite that would delete the only copy of something
 │   ├─ WebhookMalformed         signed, but not as documented
 │   ├─ CannotHandOut            no deployment's run could archive that recording
 │   ├─ SweepIncomplete          recordings failed, are at risk, or are lost: all others were seen to
 │   ├─ DamageFound              an audit found what is no longer what was archived
 │   ├─ PrefectRefused           Prefect's server, or Cloud, does not take our credentials
 │   ├─ NotReady                 a checkup found what will keep recordings from arriving
 │   ├─ NotInArchive             an address that is not one of the archive's
 │   ├─ NotArchived              no committed archive is there
 │   └─ ExtraNotInstalled        an optional part of this project is not installed
 └─ RetryableError           the same call may succeed later, and carries on from what is stored
     ├─ ApiUnavailable           5xx, time-outs, dropped connections
     │   └─ ApiThrottled         429
     ├─ SourceUnavailable        the same, from the presigned URL; and stalls
     ├─ SourceMissing            404 from a presigned URL, while the API lists the file
     ├─ LinkRefused              a presigned URL that is refused, fresh ones too
     ├─ SourceChanged            another object than the one that was begun
     │   └─ RangesUnproved           nothing proves that its ranges are of one object
     ├─ StoreUnavailable         the store is away, or throttles
     │   └─ UploadVanished       a multipart upload that somebody else ended
     ├─ StoredWrong              what the store received or holds is not what was sent
     ├─ KeyUnavailable           the public key of RealtimeKit's webhooks
     ├─ AuditUnfinished          an audit could not read what it was to read: nothing is known of that
     ├─ PrefectUnavailable       Prefect's server does not answer at the start of a run
     ├─ Unforeseen               an error that is none of ours
     └─ TransferStopped          told to stop: the run was cancelled or failed elsewhere

Arguments are positional and plain, so that errors survive pickling between processes. No message ever holds
a URL's query, a token or a password: sources are named by file, stores by bucket and key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.text import showable

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import BaseModel


class ArchiverError(Exception):
    """Base of all errors of this project; `str()` of one is a paragraph that says what to do next."""

    retryable: ClassVar[bool] = False
    retry_after: float | None = None
    """Seconds that the other side asked us to wait, if it did."""
    result: BaseModel | None = None
    """What a flow returns, where it has a result although it fails."""

    def __str__(self) -> str:
        # Facts come from elsewhere: a library's message may well quote a URL.
        return showable(self._told())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _told(self) -> str:
        return super().__str__()


class FinalError(ArchiverError):
    """Trying again as things stand cannot help."""


class RetryableError(ArchiverError):
    """The same call may succeed later."""

    retryable = True


class SettingsInvalid(FinalError):
    """Settings are missing or malformed; lists every problem at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def _told(self) -> str:
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"The settings are not usable (environment or .env file):\n{listed}"


class RecordingIdInvalid(FinalError):
    """The recording's id is not a UUID."""

    def __init__(self, recording_id: str) -> None:
        super().__init__(recording_id)
        self.recording_id = recording_id

    def _told(self) -> str:
        return (
            f"{self.recording_id[:80]!r} is not a recording's id. It is a UUID, such as "
            "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e; the dashboard and the API's list of recordings show it."
        )


class ApiRefused(FinalError):
    """The API understood the request and will not serve it."""

    def __init__(self, status: int, code: int | None, message: str, hint: str = "") -> None:
        super().__init__(status, code, message, hint)
        self.status, self.code, self.message, self.hint = status, code, message, hint

    def _told(self) -> str:
        code = "" if self.code is None else f", code {self.code}"
        hint = f" {self.hint}" if self.hint else ""
        return f"Cloudflare's API refused the request (HTTP {self.status}{code}): {self.message}.{hint}"


class RecordingNotFound(ApiRefused):
    """The API knows no such recording in this account and app."""


class ConnectionInsecure(FinalError):
    """A server, or a proxy before it, has no certificate that can be verified, or does not speak TLS at all."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(server, reason)
        self.server, self.reason = server, reason

    def _told(self) -> str:
        return (
            f"{self.server}: the https connection cannot be trusted: {self.reason}. If a proxy or the server has a "
            "certificate of your own authority, let SSL_CERT_FILE name a file with that and all others that are "
            "trusted (PEM); else check the URL, its port, and this machine's clock."
        )


class ApiNonsense(FinalError):
    """Something answered that is not Cloudflare's API, or not as documented."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found

    def _told(self) -> str:
        return (
            f"The answer is not what Cloudflare's API documents: {self.found}. "
            "Check CLOUDFLARE_BASE_URL, and whether a proxy stands in between."
        )


class AnswerTooLarge(ApiNonsense):
    """An answer is larger than what is read of one; of a list, fewer entries a page may help."""


class RecordingErrored(FinalError):
    """RealtimeKit itself failed to record."""

    def __init__(self, recording_id: str) -> None:
        super().__init__(recording_id)
        self.recording_id = recording_id

    def _told(self) -> str:
        return (
            f"Recording {self.recording_id} is ERRORED: RealtimeKit failed, and no file will ever come. "
            "Recordings under five seconds often end so."
        )


class NotUploadedInTime(FinalError):
    """The caller's deadline for waiting has passed; a later run may well find the recording UPLOADED."""

    def __init__(self, recording_id: str, status: str, waited_s: float, begun: datetime | None = None) -> None:
        super().__init__(recording_id, status, waited_s, begun)
        self.recording_id, self.status, self.waited_s = recording_id, status, waited_s
        self.begun = begun  # when the recording was begun, if the API says so

    def _told(self) -> str:
        return (
            f"Recording {self.recording_id} is still {self.status} after {self.waited_s:.0f} s of waiting for "
            "UPLOADED. Start the run again later, or with a longer wait."
        )


class NothingToDownload(FinalError):
    """The recording is UPLOADED but the API hands out no URL for it, or not for all of its files."""

    def __init__(self, recording_id: str, reason: str) -> None:
        super().__init__(recording_id, reason)
        self.recording_id, self.reason = recording_id, reason

    def _told(self) -> str:
        return f"Recording {self.recording_id} is UPLOADED, but cannot be downloaded: {self.reason}"


class SourceGone(FinalError):
    """The file is no longer in RealtimeKit's bucket, whose seven days are over; no new URL will help."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def _told(self) -> str:
        return (
            f"{self.name}: the source answers 404, the file is gone from RealtimeKit's bucket, which keeps files for 7 "
            "days. No run can fetch it any more; look for the recording in RealtimeKit's dashboard."
        )


class VideoEmpty(FinalError):
    """The recording is UPLOADED, and its video has 0 bytes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def _told(self) -> str:
        return (
            f"{self.name}: the file is empty at the source, 0 bytes: there is nothing to watch, and nothing "
            "is archived. Look at the recording in RealtimeKit's dashboard before its 7 days are over."
        )


class SourceLied(FinalError):
    """The source keeps sending what cannot be the file."""

    def __init__(self, name: str, expected: str, actual: str) -> None:
        super().__init__(name, expected, actual)
        self.name, self.expected, self.actual = name, expected, actual

    def _told(self) -> str:
        return (
            f"{self.name}: the source does not send the file: expected {self.expected}, got {self.actual}. "
            "Look whether a proxy answers in its place, then run again."
        )


class SizeDisagrees(FinalError):
    """The API and the source name different sizes for the same file."""

    def __init__(self, name: str, announced: int, actual: int) -> None:
        super().__init__(name, announced, actual)
        self.name, self.announced, self.actual = name, announced, actual

    def _told(self) -> str:
        return (
            f"{self.name}: the API announces {self.announced:,} bytes, the source holds {self.actual:,}. "
            "Nothing was archived, as one of them is wrong; compare with RealtimeKit's dashboard. If what the source "
            "holds is the file, run again with accept_size (--accept-size)."
        )


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

    def _told(self) -> str:
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

    def _told(self) -> str:
        return (
            f"{self.target} has more than {self.most:,} bytes, so that this program has not written it. "
            "Look who did; what belongs there is written again by a run with overwrite."
        )


class ArchiveDamaged(FinalError):
    """A committed archive that is not whole."""

    def __init__(self, archive_url: str, findings: tuple[str, ...]) -> None:
        super().__init__(archive_url, findings)
        self.archive_url, self.findings = archive_url, findings

    def _told(self) -> str:
        more = f"; and {len(self.findings) - 10} more" if len(self.findings) > 10 else ""
        return (
            f"{self.archive_url} is committed, but not whole: {'; '.join(self.findings[:10])}{more}. "
            "Run again with overwrite while the recording still exists at its source."
        )


class ReplacementSmaller(FinalError):
    """The archive holds files that the API hands out no more."""

    def __init__(self, archive_url: str, missing: str) -> None:
        super().__init__(archive_url, missing)
        self.archive_url, self.missing = archive_url, missing

    def _told(self) -> str:
        return (
            f"{self.archive_url} holds more than the API hands out now: {self.missing}. To overwrite it would delete "
            "what may be the only copy, so nothing was replaced. If that is what you want, delete the folder first."
        )


class WebhookMalformed(FinalError):
    """A webhook that RealtimeKit signed, and that does not say what the documentation promises."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found

    def _told(self) -> str:
        return (
            f"RealtimeKit's webhook is not as documented: {self.found}. It started nothing; a sweep does not need it."
        )


class CannotHandOut(FinalError):
    """Recordings cannot be handed out as runs of a deployment."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _told(self) -> str:
        return (
            f"Recordings cannot be handed out to other runs: {self.reason}. Without hand_out, the sweep archives them."
        )


class SweepIncomplete(FinalError):
    """A sweep found, or left, recordings that somebody has to look after."""

    def __init__(self, findings: str) -> None:
        super().__init__(findings)
        self.findings = findings

    def _told(self) -> str:
        return f"The sweep did what it could, but somebody has to look: {self.findings}"


class DamageFound(FinalError):
    """An audit found archives that are no longer what was archived."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told

    def _told(self) -> str:
        return f"The archive is damaged; the audit has changed nothing. {self.told}"


class PrefectRefused(FinalError):
    """Prefect's server, or Cloud, does not take our credentials: nothing has begun yet."""

    def __init__(self, server: str, status: int) -> None:
        super().__init__(server, status)
        self.server, self.status = server, status

    def _told(self) -> str:
        return (
            f"Prefect's server at {self.server} refuses these credentials (HTTP {self.status}). Correct "
            "PREFECT_API_AUTH_STRING for a server of your own, or PREFECT_API_KEY and PREFECT_API_URL for Prefect "
            "Cloud: `prefect cloud login` sets both."
        )


class NotReady(FinalError):
    """A checkup found what will keep recordings from arriving."""

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def _told(self) -> str:
        return f"Recordings will not arrive from here: {' '.join(self.findings)}"


class NotInArchive(FinalError):
    """An address is not that of a recording in the archive: nothing is read or written there."""

    def __init__(self, archive_url: str, root: str, recording_id: str) -> None:
        super().__init__(archive_url, root, recording_id)
        self.archive_url, self.root, self.recording_id = archive_url, root, recording_id

    def _told(self) -> str:
        return (
            f"{self.archive_url[:300]!r} is not where recording {self.recording_id[:80]} could be archived. It must be "
            f"like {self.root}/APP_ID/YYYY/MM/DD/RECORDING_ID/, with ARCHIVE_URL as this run's settings have it."
        )


class NotArchived(FinalError):
    """There is no committed archive at an address."""

    def __init__(self, archive_url: str) -> None:
        super().__init__(archive_url)
        self.archive_url = archive_url

    def _told(self) -> str:
        return f"{self.archive_url} holds no archive: there is no bagit.txt. Archive the recording first."


class ExtraNotInstalled(FinalError):
    """An optional part of this project is needed, and not installed."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(extra, package)
        self.extra, self.package = extra, package

    def _told(self) -> str:
        return f"This needs {self.package}, which cannot be loaded. Install it: uv sync --extra {self.extra}"


class ApiUnavailable(RetryableError):
    """The API is away or overloaded."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason, retry_after)
        self.reason, self.retry_after = reason, retry_after

    def _told(self) -> str:
        return f"Cloudflare's API cannot be reached: {self.reason}. Check the network and CLOUDFLARE_BASE_URL."


class ApiThrottled(ApiUnavailable):
    """The API limits our rate, that of all who use the same token."""

    def _told(self) -> str:
        when = "later" if self.retry_after is None else f"in {self.retry_after:.0f} s"
        return (
            f"Cloudflare's API limits the rate of requests: {self.reason}. Run again {when}, or let less run at once."
        )


class SourceUnavailable(RetryableError):
    """The presigned URL's server is away, overloaded, drops connections or stalls."""

    def __init__(self, name: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(name, reason, retry_after)
        self.name, self.reason, self.retry_after = name, reason, retry_after

    def _told(self) -> str:
        return f"{self.name}: the source failed: {self.reason}. The next run carries on from the parts already stored."


class SourceMissing(RetryableError):
    """A presigned URL leads to nothing, and fresh ones too, although the API lists the file."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def _told(self) -> str:
        return (
            f"{self.name}: the source answers 404 through fresh URLs too, although the API lists the file. It may not "
            "be there yet: run again; if it stays so, look for the recording in RealtimeKit's dashboard."
        )


class LinkRefused(RetryableError):
    """A presigned URL is refused as expired or wrongly signed."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def _told(self) -> str:
        return (
            f"{self.name}: the source refuses its URL ({self.reason}), freshly issued ones too. "
            "Run again; if it stays so, compare with RealtimeKit's dashboard."
        )


class SourceChanged(RetryableError):
    """The URL leads to another object than the one that was begun; the next attempt starts from that one."""

    def __init__(self, name: str, expected: str, actual: str) -> None:
        super().__init__(name, expected, actual)
        self.name, self.expected, self.actual = name, expected, actual

    def _told(self) -> str:
        return (
            f"{self.name}: the source is another object now: expected {self.expected}, got {self.actual}. "
            "The next run starts from that one."
        )


class RangesUnproved(SourceChanged):
    """The source answers with ranges, or with the whole file, in a way that does not prove them to be of one object."""

    def _told(self) -> str:
        return (
            f"{self.name}: the source's answers do not prove that they are ranges of one object: expected "
            f"{self.expected}, got {self.actual}. A run reads such a file as a whole instead."
        )


class StoreUnavailable(RetryableError):
    """The object store is away, or throttles us."""

    def __init__(self, operation: str, target: str, reason: str) -> None:
        super().__init__(operation, target, reason)
        self.operation, self.target, self.reason = operation, target, reason

    def _told(self) -> str:
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

    def _told(self) -> str:
        return (
            f"{self.target}: the store holds something else than was sent: expected {self.expected}, "
            f"got {self.actual}. Run again: what does not match is moved anew."
        )


class KeyUnavailable(RetryableError):
    """The public key that webhooks are verified with cannot be fetched, or is none."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def _told(self) -> str:
        return (
            f"The public key of RealtimeKit's webhooks cannot be had from {self.url}: {self.reason}. "
            "Check the network and REALTIMEKIT_WEBHOOK_KEY_URL."
        )


class AuditUnfinished(RetryableError):
    """An audit could not read what it was to read: the store, or some of its objects, did not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _told(self) -> str:
        return (
            f"The audit is unfinished: {self.reason} That is no damage, as far as anybody knows; what was audited is "
            "recorded, and the next run carries on."
        )


class PrefectUnavailable(RetryableError):
    """Prefect's server does not answer, or a temporary one could not be started: nothing has begun yet."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(server, reason)
        self.server, self.reason = server, reason

    def _told(self) -> str:
        if not self.server:
            return f"No temporary Prefect server could be started: {self.reason}. Start one: prefect server start"
        return (
            f"Prefect's server at {self.server} does not answer ({self.reason}). Start it, or correct PREFECT_API_URL; "
            "without that setting, the run has a temporary server of its own."
        )


class Unforeseen(RetryableError):
    """An error that is none of ours, on its way out of a stage: its own text may quote a header or a URL."""

    def __init__(self, kind: str, text: str, place: str) -> None:
        super().__init__(kind, text, place)
        self.kind, self.text, self.place = kind, text, place

    def _told(self) -> str:
        said = f": {self.text}" if self.text else ""
        return f"{self.kind}, which nobody foresaw, at {self.place}{said}. The log tells more; run again, or report it."


class TransferStopped(RetryableError):
    """The run is being cancelled, or has failed in another thread."""

    def _told(self) -> str:
        return "The transfer was told to stop. The next run carries on from the parts already stored."
