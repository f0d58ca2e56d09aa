"""The archive: BagIt bags (RFC 8493) of recordings and of sessions, each visible only when it is whole."""

from __future__ import annotations

from tasks.archive.bag import MISSING, missing_labels, stated_findings
from tasks.archive.bag_findings import Finding, Findings
from tasks.archive.bag_verifier import (
    BagVerifier,
    compare_text,
    describe_checksums,
    find_manifests,
    is_of_another_program,
)
from tasks.archive.commit import Archive
from tasks.archive.day_listing import stored_files
from tasks.archive.file_names import payload_paths
from tasks.archive.inventory import Held, Holdings, Sums, held_at, is_a_folder, months_held, shown, survey
from tasks.archive.layout import (
    AUDIT,
    CATALOG,
    DETAILS,
    INFO,
    PARTICIPANTS,
    PAYLOAD,
    SESSION_DETAILS,
    Month,
    captions_key,
    description_key,
    document_path,
    is_unfinished,
    month_of,
    parse_catalog_path,
    parse_folder,
    transcript_text_key,
    upload_path,
)
from tasks.archive.lookup import ArchivedBag, InspectedBag, inspect_bag, open_bag
from tasks.archive.models import ArchivedFile, ArchivedRecording, StoredFile
from tasks.archive.partial import can_be_completed, can_be_whole, describe_missing, read_missing
from tasks.archive.session_bag import SessionArchive
from tasks.archive.session_lookup import SessionBag, find_session
from tasks.archive.session_models import (
    ArchivedMeetingSession,
    MissingPiece,
    SessionContents,
    SessionDocument,
    SessionRecording,
)
from tasks.archive.upload_journal import UploadJournal
from tasks.archive.verify import is_marked, read_back

__all__ = [
    "AUDIT",
    "CATALOG",
    "DETAILS",
    "INFO",
    "MISSING",
    "PARTICIPANTS",
    "PAYLOAD",
    "SESSION_DETAILS",
    "Archive",
    "ArchivedBag",
    "ArchivedFile",
    "ArchivedMeetingSession",
    "ArchivedRecording",
    "BagVerifier",
    "Finding",
    "Findings",
    "Held",
    "Holdings",
    "InspectedBag",
    "MissingPiece",
    "Month",
    "SessionArchive",
    "SessionBag",
    "SessionContents",
    "SessionDocument",
    "SessionRecording",
    "StoredFile",
    "Sums",
    "UploadJournal",
    "can_be_completed",
    "can_be_whole",
    "captions_key",
    "compare_text",
    "describe_checksums",
    "describe_missing",
    "description_key",
    "document_path",
    "find_manifests",
    "find_session",
    "held_at",
    "inspect_bag",
    "is_a_folder",
    "is_marked",
    "is_of_another_program",
    "is_unfinished",
    "missing_labels",
    "month_of",
    "months_held",
    "open_bag",
    "parse_catalog_path",
    "parse_folder",
    "payload_paths",
    "read_back",
    "read_missing",
    "shown",
    "stated_findings",
    "stored_files",
    "survey",
    "transcript_text_key",
    "upload_path",
]
