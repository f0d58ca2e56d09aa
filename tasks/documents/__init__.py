"""Documents of a meeting as text: what a transcript, a chat and a summary are, and captions made from a transcript.

All of it is written by strangers: names and messages may hold markup, formulas and control characters.
"""

from __future__ import annotations

from tasks.documents.captions import plain_text, web_vtt
from tasks.documents.chat import linked_uploads, parse_chat
from tasks.documents.recognition import (
    describe_error_page,
    recognize_document,
    recognize_upload,
)
from tasks.documents.signed_links import count_removed, without_signatures
from tasks.documents.transcript import Transcript, Utterance, parse_transcript

__all__ = [
    "Transcript",
    "Utterance",
    "count_removed",
    "describe_error_page",
    "linked_uploads",
    "parse_chat",
    "parse_transcript",
    "plain_text",
    "recognize_document",
    "recognize_upload",
    "web_vtt",
    "without_signatures",
]
