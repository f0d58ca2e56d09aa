"""What a document is by its bytes: extension, media type, and what speaks against it.

Neither the URL's name nor the Content-Type is believed: an error page may come as `transcript.csv` with `text/csv`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.documents.chat import parse_chat
from tasks.documents.texts import read_json
from tasks.documents.transcript import parse_transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = 4096
"""Bytes at a document's beginning that show whether it is markup."""
LARGEST_ENVELOPE = 64 * 1024
"""Bytes; a JSON document that says what went wrong has less."""

_MARKUP = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)*<(?:!doctype|html|head|body|\?xml|error)", re.IGNORECASE | re.DOTALL
)
_MARKDOWN = re.compile(r"^\s{0,3}(?:#{1,6} |[-*+] |\d{1,3}[.)] |> |```)|\*\*\S|\]\(", re.MULTILINE)
_TYPES: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "srt": "application/x-subrip",
    "vtt": "text/vtt; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "bin": "application/octet-stream",
}
_SHOWN_TYPES = re.compile(r"(?:image/(?:png|jpeg|gif|webp|avif|bmp)|(?:video|audio)/[a-z0-9.+-]{1,60}|application/pdf)")
"""Types of uploads that are kept: what a browser might run, such as HTML and SVG, is stored as plain bytes."""


@dataclass(frozen=True)
class RecognizedDocument:
    """What a document is."""

    extension: str  # without a dot
    content_type: str
    doubt: str = ""  # what speaks against it, as the end of a sentence; empty if it is what it should be


def recognize_document(kind: str, content: bytes) -> RecognizedDocument:
    """Return what a document is.

    Args:
        kind: `transcript`, `chat` or `summary`: what it should be.
        content: of the document.
    """
    if not content.strip():
        return RecognizedDocument("txt", _TYPES["txt"], "is empty")
    if kind == "transcript" and (transcript := parse_transcript(content)):
        return RecognizedDocument(transcript.form, _TYPES[transcript.form])
    if kind == "chat" and (chat := parse_chat(content)):
        return RecognizedDocument(chat[0], _TYPES[chat[0]])
    if _is_text(content):
        extension = "md" if kind == "summary" and _MARKDOWN.search(content.decode()) else "txt"
        doubt = "" if kind == "summary" else "is in none of the documented forms"
        return RecognizedDocument(extension, _TYPES[extension], doubt)
    return RecognizedDocument("bin", _TYPES["bin"], "is no text")


def recognize_upload(url: str, content_type: str) -> RecognizedDocument:
    """Return what a file is that a chat links to, as far as its name and its server say; its bytes may be anything.

    Args:
        url: of the file; of its path, only a plain extension is used.
        content_type: as its server says.
    """
    match = re.search(r"\.([A-Za-z0-9]{1,8})$", re.split(r"[?#]", url, maxsplit=1)[0])
    return RecognizedDocument(
        match[1].lower() if match else "bin",
        content_type if _SHOWN_TYPES.fullmatch(content_type) else _TYPES["bin"],
    )


def describe_error_page(content: bytes) -> str:
    """Return what a body is that came in the place of a document; empty if it may be one."""
    if _MARKUP.match(content[:HEAD].removeprefix(b"\xef\xbb\xbf")):
        return "a page of HTML or XML"
    if content.lstrip()[:1] == b"{" and len(content) <= LARGEST_ENVELOPE:
        parsed = read_json(content)
        if isinstance(parsed, dict) and (parsed.get("success") is False or parsed.get("error") or parsed.get("errors")):
            return "a JSON document that tells of an error"
    return ""


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return re.search(r"[\x00-\x08\x0e-\x1f]", text) is None
