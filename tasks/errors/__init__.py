"""Every failure that a caller may meet, each with an answer to one question: is it final, or worth retrying?

ArchiverError
 ├─ FinalError               trying again as things stand cannot help: a person has to look
 │   ├─ SettingsInvalid          settings missing or malformed
 │   ├─ RecordingIdInvalid       not a UUID
 │   ├─ SessionIdInvalid         not a UUID
 │   ├─ SessionLive              the session has not ended
 │   ├─ ApiRefused               401, 403, other 4xx, `success: false`
 │   │   ├─ RecordingNotFound    404
 │   │   ├─ SessionNotFound      404
 │   │   └─ WebhookNotFound      404
 │   ├─ ConnectionInsecure       a certificate that nobody vouches for, or no TLS where it must be
 │   ├─ ApiNonsense              an answer that is not the API's
 │   │   ├─ AnswerWithoutData        success, and null
 │   │   └─ AnswerTooLarge           the API's, maybe, and more than is read of one
 │   ├─ RecordingErrored         RealtimeKit failed: no file will ever come
 │   ├─ NotUploadedInTime        the deadline for waiting has passed
 │   ├─ NothingToDownload        UPLOADED, but a URL is missing: bucket turned off, or the file has left it
 │   ├─ SourceGone               404 from a presigned URL, and the seven days are over
 │   ├─ VideoEmpty               UPLOADED, and 0 bytes
 │   ├─ SourceLied               answers that cannot be the file, again and again
 │   ├─ SourceTooLarge           more than a file of its kind can have
 │   ├─ SizeDisagrees            API and source name different sizes
 │   ├─ StoreRefused             no such bucket, bad credentials, not allowed
 │   ├─ ObjectTooLarge           a small file of the archive that is none
 │   ├─ ArchiveDamaged           committed, but not whole
 │   ├─ ReplacementSmaller       an overwrite that would delete the only copy of something
 │   ├─ ArchiveLocked            the store keeps an archive from being replaced, until when
 │   ├─ LocksUnsupported         archives are to be locked, and the bucket has no Object Lock
 │   ├─ WebhookMalformed         signed, but not as documented
 │   ├─ WebhookNotTaken          registered, but not as it was sent
 │   ├─ CatalogMissing           there is no catalog
 │   ├─ CatalogNewer             a newer version of this program has written the catalog
 │   ├─ CannotHandOut            no deployment's run could archive that recording
 │   ├─ SweepIncomplete          recordings failed, are at risk, or are lost: all others were seen to
 │   ├─ DamageFound              an audit found what is no longer what was archived
 │   ├─ PrefectRefused           Prefect's server, or Cloud, does not take our credentials
 │   ├─ AlarmsMissing            nobody has set up the alarms, or nobody can
 │   ├─ NotReady                 a checkup found what will keep recordings from arriving
 │   ├─ DeletedOnPurpose         a tombstone says so: it is not archived again by itself
 │   ├─ TombstoneUnreadable      nobody knows what was deleted
 │   ├─ PolicyInvalid            the policy of retention cannot be relied on: nothing is deleted
 │   ├─ PolicyChanged            it is another one than a run began with: nothing more is deleted by that run
 │   ├─ RequestUnclear           a request for a deletion: nothing is deleted
 │   ├─ DeletionIncomplete       something could not be deleted: all else was
 │   ├─ NotInArchive             an address that is not one of the archive's
 │   ├─ NotArchived              no committed archive is there
 │   ├─ NothingSelected          a restore is not told what to bring
 │   ├─ TargetUnusable           where a restore is to bring it: no room, no permission, no such bucket
 │   ├─ RestoreIncomplete        something could not be restored: all else was
 │   ├─ CopyUnusable             where the second copy is to lie: no permission, no such bucket, the archive itself
 │   ├─ CopyIncomplete           the second copy lacks something, or holds something else
 │   ├─ NotInBag                 an archived recording has no such file
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
     ├─ TargetUnavailable        the other store, where a restore is to bring it
     ├─ CopyUnavailable          the store of the second copy
     ├─ StoredWrong              what the store received or holds is not what was sent
     ├─ KeyUnavailable           the public key of RealtimeKit's webhooks
     ├─ AuditUnfinished          an audit could not read what it was to read: nothing is known of that
     ├─ PrefectUnavailable       Prefect's server does not answer at the start of a run
     ├─ AlarmUndelivered         the message of an alarm does not arrive
     ├─ Unforeseen               an error that is none of ours
     ├─ TookTooLong              what a run can do without did not end within its time limit
     └─ TransferStopped          told to stop: the run was cancelled or failed elsewhere

Arguments are positional and plain, so that errors survive pickling between processes. No message ever holds
a URL's query, a token or a password: sources are named by file, stores by bucket and key.
"""

from __future__ import annotations

from tasks.errors.alarms import AlarmsMissing, AlarmUndelivered
from tasks.errors.archive import (
    ArchiveDamaged,
    ArchiveLocked,
    AuditUnfinished,
    CannotHandOut,
    CatalogMissing,
    CatalogNewer,
    DamageFound,
    DeletedOnPurpose,
    DeletionIncomplete,
    LocksUnsupported,
    NotArchived,
    NotInArchive,
    PolicyChanged,
    PolicyInvalid,
    ReplacementSmaller,
    RequestUnclear,
    SweepIncomplete,
    TombstoneUnreadable,
)
from tasks.errors.base import (
    ArchiverError,
    FinalError,
    RetryableError,
    TookTooLong,
    TransferStopped,
    Unforeseen,
    describe_unforeseen,
)
from tasks.errors.copying import CopyIncomplete, CopyUnavailable, CopyUnusable
from tasks.errors.realtimekit import (
    AnswerTooLarge,
    AnswerWithoutData,
    ApiNonsense,
    ApiRefused,
    ApiThrottled,
    ApiUnavailable,
    KeyUnavailable,
    NothingToDownload,
    NotUploadedInTime,
    RecordingErrored,
    RecordingIdInvalid,
    RecordingNotFound,
    SessionIdInvalid,
    SessionLive,
    SessionNotFound,
    WebhookMalformed,
    WebhookNotFound,
    WebhookNotTaken,
)
from tasks.errors.restore import NothingSelected, NotInBag, RestoreIncomplete, TargetUnavailable, TargetUnusable
from tasks.errors.setup import (
    ConnectionInsecure,
    ExtraNotInstalled,
    NotReady,
    PrefectRefused,
    PrefectUnavailable,
    SettingsInvalid,
)
from tasks.errors.source import (
    LinkRefused,
    RangesUnproved,
    SizeDisagrees,
    SourceChanged,
    SourceGone,
    SourceLied,
    SourceMissing,
    SourceTooLarge,
    SourceUnavailable,
    VideoEmpty,
)
from tasks.errors.store import (
    EXPIRED_CREDENTIALS,
    ObjectTooLarge,
    StoredWrong,
    StoreRefused,
    StoreUnavailable,
    UploadVanished,
)

__all__ = [
    "EXPIRED_CREDENTIALS",
    "AlarmUndelivered",
    "AlarmsMissing",
    "AnswerTooLarge",
    "AnswerWithoutData",
    "ApiNonsense",
    "ApiRefused",
    "ApiThrottled",
    "ApiUnavailable",
    "ArchiveDamaged",
    "ArchiveLocked",
    "ArchiverError",
    "AuditUnfinished",
    "CannotHandOut",
    "CatalogMissing",
    "CatalogNewer",
    "ConnectionInsecure",
    "CopyIncomplete",
    "CopyUnavailable",
    "CopyUnusable",
    "DamageFound",
    "DeletedOnPurpose",
    "DeletionIncomplete",
    "ExtraNotInstalled",
    "FinalError",
    "KeyUnavailable",
    "LinkRefused",
    "LocksUnsupported",
    "NotArchived",
    "NotInArchive",
    "NotInBag",
    "NotReady",
    "NotUploadedInTime",
    "NothingSelected",
    "NothingToDownload",
    "ObjectTooLarge",
    "PolicyChanged",
    "PolicyInvalid",
    "PrefectRefused",
    "PrefectUnavailable",
    "RangesUnproved",
    "RecordingErrored",
    "RecordingIdInvalid",
    "RecordingNotFound",
    "ReplacementSmaller",
    "RequestUnclear",
    "RestoreIncomplete",
    "RetryableError",
    "SessionIdInvalid",
    "SessionLive",
    "SessionNotFound",
    "SettingsInvalid",
    "SizeDisagrees",
    "SourceChanged",
    "SourceGone",
    "SourceLied",
    "SourceMissing",
    "SourceTooLarge",
    "SourceUnavailable",
    "StoreRefused",
    "StoreUnavailable",
    "StoredWrong",
    "SweepIncomplete",
    "TargetUnavailable",
    "TargetUnusable",
    "TombstoneUnreadable",
    "TookTooLong",
    "TransferStopped",
    "Unforeseen",
    "UploadVanished",
    "VideoEmpty",
    "WebhookMalformed",
    "WebhookNotFound",
    "WebhookNotTaken",
    "describe_unforeseen",
]
