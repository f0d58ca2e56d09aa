"""A store that is away for longer than patience, or refuses for good: the run says so, and the next one finishes."""

from __future__ import annotations

from dataclasses import dataclass

from tests.torture.scenario import Expect
from tests.torture.store.faults import PAGE, Broken, Hangs, Lost, Outage, Says, page, refusal
from tests.torture.store.passing import SHORT_TIMEOUT_S, STAGES
from tests.torture.store.scripts import always, at, everything, from_then_on, once
from tests.torture.store.trouble import StoreTrouble, archived, interrupted

REFUSED, RESUMED = Expect.REFUSED, Expect.RESUMED
STAGED = {stage.name: stage for stage in STAGES}


@dataclass(frozen=True)
class Refusal:
    """What the store says from some moment on."""

    status: int
    code: str
    what: str
    at: tuple[str, ...]
    """The stages from which on it says so; the first of them in the normal suite, too."""
    expect: Expect = REFUSED
    short: bool = True

    def troubles(self) -> list[StoreTrouble]:
        """Return the trouble for each of its stages."""
        return [
            StoreTrouble(
                f"{self.code.lower()}-from-{name}-on",
                f"{self.what}, from the stage '{name}' on",
                self.expect,
                from_then_on(STAGED[name].where, refusal(self.status, self.code)),
                parts=STAGED[name].parts,
                before=STAGED[name].before,
                short=self.short and name == self.at[0],
            )
            for name in self.at
        ]


REFUSALS = (
    Refusal(403, "AccessDenied", "the credentials may not do it any more", ("complete", "small", "part", "marker")),
    Refusal(403, "InvalidAccessKeyId", "the credentials were taken back", ("part", "listing", "marker", "parts")),
    Refusal(403, "SignatureDoesNotMatch", "the secret key is another now", ("tag", "complete", "head"), short=False),
    Refusal(400, "ExpiredToken", "the session has expired", ("record", "part", "delete", "read-back"), short=False),
    Refusal(403, "RequestTimeTooSkewed", "this machine's clock is wrong", ("small", "part")),
    Refusal(404, "NoSuchBucket", "the bucket was deleted", ("part", "small", "complete", "listing")),
    Refusal(301, "PermanentRedirect", "the bucket has moved", ("create", "small", "listing")),
    Refusal(403, "QuotaExceeded", "the quota is used up", ("part", "small", "marker"), short=False),
    Refusal(507, "InsufficientStorage", "the disk is full", ("small", "part", "complete", "marker"), RESUMED),
    Refusal(503, "SlowDown", "the store throttles without an end", ("part", "marker"), RESUMED, short=False),
)
FOR_EVER = (
    StoreTrouble(
        "access-denied-to-list-uploads", "the credentials may not list uploads", REFUSED,
        always(at("ListMultipartUploads"), refusal(403, "AccessDenied")), parts=2, short=False,
    ),
    StoreTrouble(
        "access-denied-to-delete", "the credentials may not delete", Expect.INTACT,
        always(at("DeleteObject"), refusal(403, "AccessDenied")), parts=2, leaves=True,
    ),
    StoreTrouble(
        "access-denied-to-the-marker", "the credentials may not write the marker", REFUSED,
        always(at("PutObject", "/bagit.txt"), refusal(403, "AccessDenied")), short=False,
    ),
    StoreTrouble(
        "entity-too-small", "the store finds the parts too small, at the completion", REFUSED,
        always(at("CompleteMultipartUpload"), refusal(400, "EntityTooSmall")), parts=2,
    ),
    StoreTrouble(
        "body-limit-of-a-proxy", "a proxy before the store takes no body as large as a part", REFUSED,
        always(at("UploadPart"), page(413)), parts=2,
    ),
    StoreTrouble(
        "body-limit-of-a-proxy-early", "the same, told before the body is read", REFUSED,
        always(at("UploadPart"), Says(413, PAGE, {"Content-Type": "text/html"}, early=True)), parts=2, short=False,
    ),
    StoreTrouble(
        "outage", "the store refuses connections from a part on, for longer than patience", RESUMED,
        once(at("UploadPart", part=2), Outage()), parts=3,
    ),
    StoreTrouble(
        "outage-at-the-start", "the store refuses connections from the first on", RESUMED,
        once(everything, Outage()), short=False,
    ),
    StoreTrouble(
        "outage-at-the-marker", "the store refuses connections from the marker on", RESUMED,
        once(at("PutObject", "/bagit.txt"), Outage()), short=False,
    ),
    StoreTrouble(
        "outage-at-the-completion", "the store refuses connections from the completion on", RESUMED,
        once(at("CompleteMultipartUpload"), Outage()), parts=2, short=False,
    ),
    StoreTrouble(
        "slow-down-for-an-hour", "the store throttles, and says for longer than patience lasts", RESUMED,
        once(at("PutObject"), refusal(503, "SlowDown", Retry_After="3600")), different={"patience_s": 20.0},
    ),
    StoreTrouble(
        "hangs-for-ever", "the store never answers again", RESUMED, from_then_on(at("UploadPart", part=2), Hangs()),
        parts=3, answer_timeout_s=SHORT_TIMEOUT_S, short=False,
    ),
    StoreTrouble(
        "marker-hangs-for-ever", "the store never answers to the marker", RESUMED,
        always(at("PutObject", "/bagit.txt"), Hangs()), answer_timeout_s=SHORT_TIMEOUT_S, short=False,
    ),
    StoreTrouble(
        "marker-lost-for-ever", "every answer to the marker is lost, and all after that", RESUMED,
        from_then_on(at("PutObject", "/bagit.txt"), Lost("rst")),
    ),
    StoreTrouble(
        "completion-lost-for-ever", "every answer to the completion is lost, and all after that", RESUMED,
        from_then_on(at("CompleteMultipartUpload"), Lost("fin")), parts=2,
    ),
    StoreTrouble(
        "resets-for-ever", "every part's connection is reset", RESUMED, always(at("UploadPart"), Broken("rst")),
        parts=3, short=False,
    ),
    StoreTrouble(
        "bad-gateway-for-ever", "a load balancer's page is all there is", RESUMED,
        from_then_on(at("CompleteMultipartUpload"), page(502)), parts=2, short=False,
    ),
    StoreTrouble(
        "page-200-for-ever", "a web page with status 200 is all there is", RESUMED,
        from_then_on(at("ListObjectsV2"), page(200)), short=False,
    ),
    StoreTrouble(
        "page-200-from-the-marker-on", "a web page with status 200 is all there is from the marker on", RESUMED,
        from_then_on(at("PutObject", "/bagit.txt"), page(200)), short=False,
    ),
    StoreTrouble(
        "moved-to-nowhere", "a redirect of a load balancer is the answer to everything", REFUSED,
        from_then_on(at("PutObject", within="/data/"), page(301)), short=False,
    ),
    StoreTrouble(
        "access-denied-after-a-resume", "the credentials may not read what an earlier run has stored", REFUSED,
        always(at("GetObject", within="/data/"), refusal(403, "AccessDenied")), parts=3, before=interrupted,
        short=False,
    ),
    StoreTrouble(
        "overwrite-outage-at-the-marker", "the store is gone when an archive's successor is to be seen", RESUMED,
        once(at("PutObject", "/bagit.txt"), Outage()), before=archived, overwrite=True,
    ),
    StoreTrouble(
        "overwrite-refused-at-a-part", "the store is full while an archive's successor is moved", RESUMED,
        from_then_on(at("UploadPart"), refusal(507, "InsufficientStorage")), before=archived, overwrite=True, parts=2,
        short=False,
    ),
)  # fmt: skip
TROUBLES = (*(trouble for its in REFUSALS for trouble in its.troubles()), *FOR_EVER)
