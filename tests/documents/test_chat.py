"""The files that a chat's messages link to are found in every form, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.documents import linked_uploads

HEADER = "id,participantId,sessionId,meetingId,displayName,pinned,isEdited,payloadType,payload,createdAt\n"
URL = "https://files.example/a.png?sig=1"


@pytest.mark.parametrize(
    "payload",
    [URL, {"link": URL}, json.dumps({"link": URL, "name": "a.png"}), {"file": {"url": URL}}, [URL], f" {URL} "],
    ids=str,
)
def test_links_are_found_in_json_however_they_are_held(payload: object) -> None:
    messages = [
        {"payloadType": "TEXT_MESSAGE", "payload": "https://elsewhere.example/x"},
        {"payloadType": "IMAGE_MESSAGE", "payload": payload},
        {"payloadType": "FILE_MESSAGE", "payload": payload},
    ]
    assert linked_uploads(json.dumps(messages).encode()) == [URL]
    assert linked_uploads(json.dumps({"messages": messages}).encode()) == [URL]


@pytest.mark.parametrize("header", [HEADER, ""])
def test_links_are_found_in_csv_with_a_header_line_and_without(header: str) -> None:
    rows = f"1,p,s,m,Mary,false,false,FILE_MESSAGE,{URL},t\n2,p,s,m,Mary,false,false,TEXT_MESSAGE,{URL}2,t\n"
    assert linked_uploads((header + rows).encode()) == [URL]


@pytest.mark.parametrize(
    "payload", ["ftp://a.example/x", "javascript:alert(1)", "no link", "", None, 5, "{", "a https://x"]
)
def test_what_is_no_link_is_none(payload: object) -> None:
    assert linked_uploads(json.dumps([{"payloadType": "FILE_MESSAGE", "payload": payload}]).encode()) == []


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_without_an_error(content: bytes) -> None:
    linked_uploads(content)
