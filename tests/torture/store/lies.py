"""A store that says what is not so: bytes that changed on their way, listings that lack something, answers at odds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.torture.scenario import Expect
from tests.torture.store.faults import (
    PROLOG,
    After,
    BitFlipped,
    Changed,
    KeptAlive,
    Says,
    Truncated,
    content_changed,
    error_document,
    flipped,
    refusal,
)
from tests.torture.store.scripts import always, at, headed, in_turn, once
from tests.torture.store.trouble import StoreTrouble, archived, interrupted, orphaned

if TYPE_CHECKING:
    from tests.torture.store.wire import Message

INTACT, REFUSED, RESUMED = Expect.INTACT, Expect.REFUSED, Expect.RESUMED
MEDIA = "/data/"
OTHER_ETAG = '"0123456789abcdef0123456789abcdef"'


def lacking(element: str, ending: str = "") -> Changed:
    """Return the fault of a listing without those elements in which something ends so."""
    which = rb"<%b>(?:(?!</%b>).)*?%b</.*?</%b>" if ending else rb"<%b>.*?</%b>"
    tag = element.encode()
    pattern = which % ((tag, tag, re.escape(ending.encode()), tag) if ending else (tag, tag))
    return content_changed(lambda listing: re.sub(pattern, b"", listing, flags=re.DOTALL))


def said(element: str, value: str) -> Changed:
    """Return the fault of another value in an element of the answer."""
    tag, new = element.encode(), value.encode()
    return content_changed(
        lambda answer: re.sub(rb"<%b>.*?</%b>" % (tag, tag), b"<%b>%b</%b>" % (tag, new, tag), answer)
    )


def _first_part_alone(listing: bytes) -> bytes:
    """Make a page of the first part of a listing, as if it had been asked for one part at a time."""
    parts = re.findall(rb"<Part>.*?</Part>", listing, re.DOTALL)
    for part in parts[1:]:
        listing = listing.replace(part, b"")
    listing = re.sub(rb"<(IsTruncated|NextPartNumberMarker)>.*?</\1>|<NextPartNumberMarker\s*/>", b"", listing)
    more = b"<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"
    return listing.replace(b"</ListPartsResult>", more + b"</ListPartsResult>")


def _ghost_part(listing: bytes) -> bytes:
    """Let a listing hold the next part, too, which was never stored."""
    parts = re.findall(rb"<Part>.*?</Part>", listing, re.DOTALL)
    number = b"<PartNumber>%d</PartNumber>" % (len(parts) + 1)
    ghost = re.sub(rb"<PartNumber>\d+</PartNumber>", number, parts[-1])
    return listing.replace(parts[-1], parts[-1] + re.sub(rb"<Size>\d+</Size>", b"<Size>1234</Size>", ghost))


def _other_etag(answer: Message) -> Message:
    return answer.with_header("ETag", OTHER_ETAG)


def endless(listing: bytes) -> bytes:
    """Let a listing say that there is more, behind a place that never moves."""
    for name in (
        b"IsTruncated",
        b"NextContinuationToken",
        b"NextKeyMarker",
        b"NextUploadIdMarker",
        b"NextPartNumberMarker",
    ):
        listing = re.sub(rb"<%b>.*?</%b>|<%b\s*/>" % (name, name, name), b"", listing)
    more = b"""<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>
<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>a</NextUploadIdMarker>"""
    return re.sub(rb"(</List[A-Za-z]*Result>)", more + rb"\1", listing)


def without_place(listing: bytes) -> bytes:
    """Let a listing say that there is more, and not from where on."""
    listing = re.sub(rb"<Next[A-Za-z]+>.*?</Next[A-Za-z]+>|<Next[A-Za-z]+\s*/>", b"", listing)
    return re.sub(rb"<IsTruncated>false", b"<IsTruncated>true", listing)


NO_SUCH_UPLOAD = refusal(404, "NoSuchUpload")
NO_MARKER = lacking("Contents", "bagit.txt")
OTHER_LENGTH = Changed(lambda its: its.with_header("Content-Length", "7"))
ENDLESS = Says(
    200,
    PROLOG
    + b"""<ListBucketResult><IsTruncated>true</IsTruncated>
<NextContinuationToken>a</NextContinuationToken></ListBucketResult>""",
)
ERROR_200 = Says(200, error_document("InternalError"))
TROUBLES = (
    # bytes
    StoreTrouble("small-corrupted", "a bit of a file flips on its way", INTACT,
                 once(at("PutObject", within=MEDIA), BitFlipped(), 2)),
    StoreTrouble("part-corrupted", "a bit of each part flips on its way", INTACT,
                 always(lambda its: its.operation == "UploadPart" and its.attempt == 1, BitFlipped()), parts=3),
    StoreTrouble("part-corrupted-for-ever", "a bit of a part flips at every attempt", RESUMED,
                 always(at("UploadPart", part=2), BitFlipped()), parts=3),
    StoreTrouble("tag-corrupted", "a bit of the manifest flips on its way", INTACT,
                 once(at("PutObject", "/manifest-sha256.txt"), BitFlipped()), short=False),
    StoreTrouble("marker-corrupted", "a bit of the marker flips on its way", INTACT,
                 once(at("PutObject", "/bagit.txt"), BitFlipped())),
    StoreTrouble("record-corrupted", "a bit of an upload's record flips on its way", INTACT,
                 once(at("PutObject", within="/unfinished/"), BitFlipped()), parts=2, short=False),
    StoreTrouble("completion-corrupted", "a bit of the list of parts flips on its way", INTACT,
                 once(at("CompleteMultipartUpload"), BitFlipped()), parts=2),
    StoreTrouble("read-back-corrupted", "a bit flips while a resumed file is read back", INTACT,
                 once(at("GetObject", within=MEDIA), content_changed(flipped)), parts=3, before=interrupted),
    StoreTrouble("read-back-truncated", "what is read back breaks off", INTACT,
                 once(at("GetObject", within=MEDIA), Truncated(), 2), parts=3, before=interrupted, short=False),
    StoreTrouble("read-back-empty", "what is read back has no byte", INTACT,
                 once(at("GetObject", within=MEDIA), content_changed(lambda _: b"")), parts=3, before=interrupted,
                 short=False),
    StoreTrouble("record-read-corrupted", "a bit of an upload's record flips while it is read", INTACT,
                 once(at("GetObject", within="/unfinished/"), content_changed(flipped)), parts=3, before=interrupted,
                 short=False),
    StoreTrouble("tag-read-corrupted", "a bit of the manifest flips while the archive is proved", INTACT,
                 once(at("GetObject", "/manifest-sha256.txt"), content_changed(flipped)), short=False),
    StoreTrouble("found-corrupted", "a bit of the manifest flips while an archive is looked at", INTACT,
                 once(at("GetObject", "/manifest-sha256.txt"), content_changed(flipped)), before=archived, short=False),
    StoreTrouble("found-truncated", "the manifest breaks off while an archive is looked at", INTACT,
                 once(at("GetObject", "/manifest-sha256.txt"), Truncated("rst")), before=archived, short=False),
    StoreTrouble("listing-corrupted", "a listing comes broken", INTACT,
                 once(at("ListObjectsV2"), content_changed(lambda its: its[: len(its) // 2]))),
    StoreTrouble("listing-truncated", "a listing breaks off", INTACT,
                 once(at("ListObjectsV2"), Truncated()), short=False),
    StoreTrouble("part-etag-corrupted", "a part's ETag comes as another", INTACT,
                 once(at("UploadPart", part=1), Changed(_other_etag)), parts=2, short=False),
    # completions
    StoreTrouble("error-in-200", "the completion answers 200, with an error in the body", INTACT,
                 once(at("CompleteMultipartUpload"), ERROR_200, 2), parts=2, short=False),
    StoreTrouble("error-in-200-though-done", "the same, but the object is there", INTACT,
                 once(at("CompleteMultipartUpload"), After(ERROR_200)), parts=2),
    StoreTrouble("error-in-200-for-ever", "the completion answers 200, with an error in the body, always", RESUMED,
                 always(at("CompleteMultipartUpload"), ERROR_200), parts=2, short=False),
    StoreTrouble("kept-alive", "white space comes before the completion's answer", INTACT,
                 once(at("CompleteMultipartUpload"), KeptAlive()), parts=2),
    StoreTrouble("kept-alive-oddly", "white space comes before the answer's XML declaration", INTACT,
                 once(at("CompleteMultipartUpload"), KeptAlive(prolog_first=False)), parts=2, short=False),
    StoreTrouble("kept-alive-for-an-error", "white space comes, and then an error, though it is done", INTACT,
                 once(at("CompleteMultipartUpload"), KeptAlive(error_document("InternalError"))), parts=2, short=False),
    StoreTrouble("completion-empty", "the completion answers 200 without a body", INTACT,
                 once(at("CompleteMultipartUpload"), After(Says(200))), parts=2, short=False),
    StoreTrouble("completion-not-done", "the completion answers 200 without a body, and nothing was done", INTACT,
                 once(at("CompleteMultipartUpload"), Says(200)), parts=2),
    StoreTrouble("put-not-done", "the store says that it has the file, and has it not", INTACT,
                 once(at("PutObject", within=MEDIA), Says(200, b"", {"ETag": '"0"'}))),
    StoreTrouble("marker-not-done", "the store says that it has the marker, and has it not", INTACT,
                 once(at("PutObject", "/bagit.txt"), Says(200, b"", {"ETag": '"0"'})), short=False),
    StoreTrouble("tag-not-done", "the store says that it has the manifest, and has it not", INTACT,
                 once(at("PutObject", "/manifest-sha256.txt"), Says(200, b"", {"ETag": '"0"'})), short=False),
    StoreTrouble("part-not-done", "the store says that it has a part, and has it not", INTACT,
                 once(at("UploadPart", part=2), Says(200, b"", {"ETag": OTHER_ETAG})), parts=3),
    # uploads that are no more, or never were
    StoreTrouble("no-such-upload", "an upload is gone at a part", INTACT,
                 once(at("UploadPart", part=2), NO_SUCH_UPLOAD), parts=3, short=False),
    StoreTrouble("no-such-upload-at-completion", "an upload is gone at its completion", INTACT,
                 once(at("CompleteMultipartUpload"), NO_SUCH_UPLOAD), parts=2),
    StoreTrouble("no-such-upload-at-resume", "an upload is gone when it is to be carried on", INTACT,
                 once(at("ListParts"), NO_SUCH_UPLOAD), parts=3, before=interrupted),
    StoreTrouble("no-such-upload-for-ever", "every upload is gone at its first part", RESUMED,
                 always(at("UploadPart"), NO_SUCH_UPLOAD), parts=2),
    StoreTrouble("uploads-unlisted", "uploads are not listed when they are looked for", INTACT,
                 once(at("ListMultipartUploads"), lacking("Upload")), parts=3, before=interrupted, short=False),
    StoreTrouble("uploads-never-listed", "uploads are never listed", INTACT,
                 always(at("ListMultipartUploads"), lacking("Upload")), parts=3, before=interrupted),
    StoreTrouble("uploads-not-implemented", "the store cannot list uploads", INTACT,
                 always(at("ListMultipartUploads"), refusal(501, "NotImplemented")), parts=3, before=interrupted),
    StoreTrouble("upload-listed-though-over", "an upload is listed that is no more", INTACT,
                 once(at("AbortMultipartUpload"), After(NO_SUCH_UPLOAD)), parts=2, before=orphaned, short=False),
    # parts
    StoreTrouble("parts-page-by-page", "parts are listed page by page", INTACT,
                 once(at("ListParts"), content_changed(_first_part_alone)), parts=3, before=interrupted),
    StoreTrouble("part-unlisted", "a part that is there is not listed once", INTACT,
                 once(at("ListParts"), lacking("Part")), parts=3, before=interrupted),
    StoreTrouble("part-listed-though-missing", "a part is listed that is not there", INTACT,
                 once(at("ListParts"), content_changed(_ghost_part)), parts=3, before=interrupted),
    StoreTrouble("parts-without-an-end", "the listing of parts never ends", RESUMED,
                 always(at("ListParts"), content_changed(endless)), parts=3, before=interrupted),
    StoreTrouble("parts-without-a-marker", "the listing of parts goes on, from nowhere", RESUMED,
                 once(at("ListParts"), content_changed(without_place)), parts=3, before=interrupted, short=False),
    # listings of objects and uploads
    StoreTrouble("listing-stale-before", "a listing lacks all there is before the commit", INTACT,
                 once(at("ListObjectsV2"), lacking("Contents"))),
    StoreTrouble("listing-lacks-marker", "a listing lacks the marker that was just written", INTACT,
                 once(lambda its: its.operation == "ListObjectsV2" and its.attempt > 2, NO_MARKER, 3)),
    StoreTrouble("listing-lacks-media", "listings lack what was just stored", RESUMED,
                 always(at("ListObjectsV2"), lacking("Contents", ".mp3"))),
    StoreTrouble("found-unlisted", "a listing lacks an archive that is there", INTACT,
                 once(at("ListObjectsV2"), lacking("Contents")), before=archived),
    StoreTrouble("listing-without-an-end", "listings never end", RESUMED,
                 always(at("ListObjectsV2"), ENDLESS)),
    StoreTrouble("listing-without-a-marker", "a listing goes on, from nowhere", RESUMED,
                 once(at("ListObjectsV2"), content_changed(without_place)), short=False),
    StoreTrouble("uploads-without-an-end", "the listing of uploads never ends", RESUMED,
                 always(at("ListMultipartUploads"), content_changed(endless)), parts=2, short=False),
    StoreTrouble("head-stale", "a file that was just stored is not there yet", INTACT,
                 in_turn(at("HeadObject", within=MEDIA), None, Says(404)), short=False),
    StoreTrouble("head-of-another", "a file that was just stored has another size for a moment", INTACT,
                 in_turn(at("HeadObject", within=MEDIA), None, OTHER_LENGTH), short=False),
    # what a store may not do
    StoreTrouble("precondition-failed", "the marker is refused as if it were there, once", INTACT,
                 once(at("PutObject", "/bagit.txt"), refusal(412, "PreconditionFailed")), short=False),
    StoreTrouble("precondition-failed-for-ever", "the marker is refused as if it were there", RESUMED,
                 always(at("PutObject", "/bagit.txt"), refusal(412, "PreconditionFailed"))),
    StoreTrouble("conditional-conflict", "somebody else writes the marker just now", INTACT,
                 once(at("PutObject", "/bagit.txt"), refusal(409, "ConditionalRequestConflict")), short=False),
    StoreTrouble("condition-not-implemented", "the store knows no If-None-Match", INTACT,
                 always(headed("if-none-match"), refusal(501, "NotImplemented"))),
    StoreTrouble("checksums-of-objects-unknown", "HEAD is refused with 400 where it asks for a checksum", INTACT,
                 always(headed("x-amz-checksum-mode"), Says(400)), parts=3, before=interrupted),
    StoreTrouble("checksums-of-objects-unknown-found", "the same, and it is archived already", INTACT,
                 always(headed("x-amz-checksum-mode"), Says(400)), before=archived),
    StoreTrouble("checksum-not-implemented", "the store knows no checksums at the beginning of an upload", INTACT,
                 always(headed("x-amz-checksum-algorithm"), refusal(501, "NotImplemented")), parts=2),
    StoreTrouble("checksum-invalid", "the store calls them an invalid argument", INTACT,
                 always(headed("x-amz-checksum-algorithm"), refusal(400, "InvalidArgument")), parts=2, short=False),
    StoreTrouble("bad-digest-once", "the store finds another checksum than was sent", INTACT,
                 once(at("UploadPart"), refusal(400, "BadDigest"), 2), parts=2, short=False),
    StoreTrouble("operation-aborted", "the store is at odds with itself", INTACT,
                 once(at("CompleteMultipartUpload"), refusal(409, "OperationAborted")), parts=2, short=False),
    StoreTrouble("xml-that-says-nothing", "an upload begins with an empty answer", INTACT,
                 once(at("CreateMultipartUpload"), Says(200, PROLOG + b"<InitiateMultipartUploadResult/>")), parts=2,
                 short=False),
)  # fmt: skip
