"""What people read, and what must not be shown: redaction, markdown, sizes and times, logs, standard streams."""

from __future__ import annotations

from tasks.text.formatting import MIB, archivable_line, clock, human_size, safe_line
from tasks.text.logs import Log, ThrottledLog, conceal_logs, quiet_http_logs
from tasks.text.markdown import cell, code, code_in_table, literal
from tasks.text.redaction import Concealed, keep_secret, one_word, redacted, showable, without_secrets
from tasks.text.streams import put, secure_streams

__all__ = [
    "MIB",
    "Concealed",
    "Log",
    "ThrottledLog",
    "archivable_line",
    "cell",
    "clock",
    "code",
    "code_in_table",
    "conceal_logs",
    "human_size",
    "keep_secret",
    "literal",
    "one_word",
    "put",
    "quiet_http_logs",
    "redacted",
    "safe_line",
    "secure_streams",
    "showable",
    "without_secrets",
]
