"""What people read, and what must not be shown: redaction, markdown, sizes and times, logs, standard streams."""

from __future__ import annotations

from tasks.text.formatting import MIB, archivable_line, clock, human_size, safe_line
from tasks.text.logs import Log, RecordingLog, ThrottledLog, quiet_http_logs, redact_logs
from tasks.text.markdown import cell, code, code_in_table, literal, table_of_files
from tasks.text.redaction import Redactor, one_word, redact, redact_details, redact_text, register_secrets
from tasks.text.streams import put, secure_streams

__all__ = [
    "MIB",
    "Log",
    "RecordingLog",
    "Redactor",
    "ThrottledLog",
    "archivable_line",
    "cell",
    "clock",
    "code",
    "code_in_table",
    "human_size",
    "literal",
    "one_word",
    "put",
    "quiet_http_logs",
    "redact",
    "redact_details",
    "redact_logs",
    "redact_text",
    "register_secrets",
    "safe_line",
    "secure_streams",
    "table_of_files",
]
