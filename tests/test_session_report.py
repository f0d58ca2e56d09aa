"""The report of a session holds what strangers wrote as text alone, and stays short."""

from __future__ import annotations

from tasks.archive import ArchivedFile, ArchivedMeetingSession, MissingPiece
from tasks.session_report import MOST_LINES, report_session

HOSTILE = "<img src=x> [a](https://evil.example) `b`\n# c"


def test_what_strangers_wrote_is_no_markup() -> None:
    archived = ArchivedMeetingSession(
        session_id="182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e",
        archive_url="s3://bucket/session/v0001/",
        version=1,
        files=(ArchivedFile(path="data/chat.csv", size=1234, sha256="0" * 64, content_type=HOSTILE),),
        missing=(MissingPiece(name="transcript", reason=HOSTILE, may_come=True),),
        findings=(HOSTILE,),
        redactions=("Signatures of links were removed from data/chat.csv, in 2 places.",),
        recording_ids=("4c6abd75-391f-5ce8-abc3-028ee6b2eeab",),
    )
    text = report_session(archived)
    assert "<img" not in text.replace("\\<img", "")
    assert "[a](" not in text
    assert "\n# c" not in text
    assert "| `data/chat.csv` | 1,234 |" in text
    assert "in 2 places" in text
    assert "- recording: `4c6abd75-391f-5ce8-abc3-028ee6b2eeab`" in text


def test_a_chat_with_very_many_links_makes_no_long_report() -> None:
    missing = tuple(MissingPiece(name=f"data/uploads/{n}.png", reason="gone", may_come=True) for n in range(5000))
    archived = ArchivedMeetingSession(session_id="s", archive_url="s3://b/", version=1, files=(), missing=missing)
    text = report_session(archived)
    assert text.count("gone") == MOST_LINES
    assert f"and {5000 - MOST_LINES} others" in text
