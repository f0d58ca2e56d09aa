"""The archive: BagIt bags (RFC 8493) of recordings and of sessions, each visible only when it is whole."""

from __future__ import annotations

from tasks.archive.bag import MISSING, missing_labels, parse_manifest, stated_findings, tag_type
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
from tasks.archive.file_names import is_safe_path, payload_paths
from tasks.archive.inventory import (
    Held,
    Holdings,
    Sums,
    held_at,
    is_a_folder,
    months_held,
    newest_versions,
    shown,
    survey,
)
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
    session_days,
    session_looks_key,
    transcript_text_key,
    upload_path,
)
from tasks.archive.lookup import ArchivedBag, InspectedBag, inspect_bag, open_bag
from tasks.archive.models import NOT_IN_THE_EVENT, ArchivedFile, ArchivedRecording, MissingPiece, StoredFile
from tasks.archive.partial import can_be_completed, can_be_whole, describe_missing, read_missing
from tasks.archive.session_bag import SessionArchive
from tasks.archive.session_lookup import (
    SessionBag,
    committed_versions,
    find_session,
    find_version_for,
    list_versions,
    session_folders,
)
from tasks.archive.session_models import (
    ArchivedMeetingSession,
    SessionContents,
    SessionDocument,
    SessionRecording,
)
from tasks.archive.session_pieces import upload_path_of
from tasks.archive.session_versions import UPLOADS_MISSING, Version
from tasks.archive.upload_journal import UploadJournal
from tasks.archive.verify import is_marked, read_back

__all__ = [
    "AUDIT",
    "CATALOG",
    "DETAILS",
    "INFO",
    "MISSING",
    "NOT_IN_THE_EVENT",
    "PARTICIPANTS",
    "PAYLOAD",
    "SESSION_DETAILS",
    "UPLOADS_MISSING",
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
    "Version",
    "can_be_completed",
    "can_be_whole",
    "captions_key",
    "committed_versions",
    "compare_text",
    "describe_checksums",
    "describe_missing",
    "description_key",
    "document_path",
    "find_manifests",
    "find_session",
    "find_version_for",
    "held_at",
    "inspect_bag",
    "is_a_folder",
    "is_marked",
    "is_of_another_program",
    "is_safe_path",
    "is_unfinished",
    "list_versions",
    "missing_labels",
    "month_of",
    "months_held",
    "newest_versions",
    "open_bag",
    "parse_catalog_path",
    "parse_folder",
    "parse_manifest",
    "payload_paths",
    "read_back",
    "read_missing",
    "session_days",
    "session_folders",
    "session_looks_key",
    "shown",
    "stated_findings",
    "stored_files",
    "survey",
    "tag_type",
    "transcript_text_key",
    "upload_path",
    "upload_path_of",
]
