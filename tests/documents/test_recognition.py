"""A document is taken for what its bytes are, whatever it is called."""

from __future__ import annotations

import pytest

from tasks.documents import describe_error_page, recognize_document, recognize_upload

CSV = b'"1000","peer-123","user-456","cust-789","Alice","Hello everyone"\n'
CHAT = (
    b"id,participantId,sessionId,meetingId,displayName,pinned,isEdited,payloadType,payload,createdAt\n"
    b"1,p,s,m,Mary,false,false,TEXT_MESSAGE,=1+1,2026-11-20T09:00:00Z\n"
)
HTML = b"<!DOCTYPE html><html><body>Just a moment</body></html>"
XML = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
SRT = b"1\n00:00:01,000 --> 00:00:02,500\nAlice: Hello\n"
VTT = b"WEBVTT\n\n00:01.000 --> 00:02.500\nAlice: Hello\n"
JSON = b'[{"startTime": 1000, "endTime": 2500, "sentence": "Hello", "peerData": {"displayName": "Alice"}}]'


@pytest.mark.parametrize(
    ("kind", "content", "extension", "doubt"),
    [
        ("transcript", CSV, "csv", ""),
        ("transcript", b"\xef\xbb\xbf" + CSV, "csv", ""),
        ("transcript", JSON, "json", ""),
        ("transcript", SRT, "srt", ""),
        ("transcript", VTT, "vtt", ""),
        ("transcript", b"", "txt", "is empty"),
        ("transcript", b" \r\n", "txt", "is empty"),
        ("transcript", b"Service unavailable", "txt", "is in none of the documented forms"),
        ("transcript", CSV[:-4], "txt", "is in none of the documented forms"),
        ("transcript", b"[]", "txt", "is in none of the documented forms"),
        ("transcript", CSV + b'"1","2"\n', "txt", "is in none of the documented forms"),
        ("transcript", b"\x00\x01", "bin", "is no text"),
        ("transcript", b"\xff\xfe\x00", "bin", "is no text"),
        ("chat", CHAT, "csv", ""),
        ("chat", CHAT.splitlines()[1], "csv", ""),
        ("chat", CHAT.splitlines()[0], "csv", ""),
        ("chat", b"[]", "json", ""),
        ("chat", b'{"messages": [{"payload": "hello"}]}', "json", ""),
        ("chat", b"Service unavailable", "txt", "is in none of the documented forms"),
        ("chat", b"", "txt", "is empty"),
        ("summary", b"# Summary\n\n- all is well", "md", ""),
        ("summary", b"All is well.", "txt", ""),
        ("summary", b"", "txt", "is empty"),
    ],
)
def test_a_document_is_what_its_bytes_are(kind: str, content: bytes, extension: str, doubt: str) -> None:
    recognized = recognize_document(kind, content)
    assert (recognized.extension, recognized.doubt) == (extension, doubt)


@pytest.mark.parametrize(
    "page", [HTML, XML, b"  \n<HTML>", b'{"success": false}', b'{"errors": [1]}', b"\xef\xbb\xbf" + XML]
)
def test_an_error_page_is_one_whatever_it_is_called(page: bytes) -> None:
    assert describe_error_page(page)


@pytest.mark.parametrize(
    "content", [b"", CSV, CHAT, JSON, SRT, VTT, b"# Summary <html>", b'{"messages": [], "errors": []}', b"{"]
)
def test_a_document_is_no_error_page(content: bytes) -> None:
    assert describe_error_page(content) == ""


@pytest.mark.parametrize(
    ("url", "said", "extension", "content_type"),
    [
        ("https://a.example/x/photo.PNG?sig=1", "image/png", "png", "image/png"),
        ("https://a.example/x/page.html", "text/html", "html", "application/octet-stream"),
        ("https://a.example/x/../../evil", "image/svg+xml", "bin", "application/octet-stream"),
        ("https://a.example/report.pdf#x", "application/pdf", "pdf", "application/pdf"),
        ("https://a.example/a.b/c", "", "bin", "application/octet-stream"),
    ],
)
def test_of_an_uploads_name_only_a_plain_extension_is_used(
    url: str, said: str, extension: str, content_type: str
) -> None:
    recognized = recognize_upload(url, said)
    assert (recognized.extension, recognized.content_type) == (extension, content_type)
