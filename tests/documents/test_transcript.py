"""Transcripts of all documented forms say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.documents import Utterance, parse_transcript
from tests.documents.test_recognition import CSV, JSON, SRT, VTT


@pytest.mark.parametrize(("content", "end"), [(CSV, None), (JSON, 2500), (SRT, 2500), (VTT, 2500)])
def test_each_form_tells_when_who_and_what(content: bytes, end: int | None) -> None:
    transcript = parse_transcript(content)
    assert transcript is not None
    (utterance,) = transcript.utterances
    assert (utterance.start_ms, utterance.end_ms, utterance.speaker) == (1000, end, "Alice")
    assert utterance.text.startswith("Hello")


def test_names_and_texts_may_hold_anything_that_a_quoted_field_can() -> None:
    transcript = parse_transcript(b'"5","p","u","c","=cmd(), ""Mary""","one,\r\ntwo"\r\n\r\n"2","p","u","c","","x"\r\n')
    assert transcript is not None
    assert transcript.utterances == (Utterance(2, None, "", "x"), Utterance(5, None, '=cmd(), "Mary"', "one,\r\ntwo"))


def test_times_of_the_predecessor_and_a_header_line_are_understood() -> None:
    content = b'start,peer,user,custom,name,text\n"1970-01-01T00:00:01.500Z","p","u","c","Mary","x"\n'
    transcript = parse_transcript(content)
    assert transcript is not None
    assert (transcript.is_absolute, transcript.utterances[0].start_ms) == (True, 1500)


def test_a_voice_of_webvtt_is_a_speaker() -> None:
    transcript = parse_transcript(
        b"WEBVTT\n\nNOTE hello\n\n01:00:00.000 --> 01:00:01.000 align:start\n<v Bob B>Yes: no\n"
    )
    assert transcript is not None
    assert transcript.utterances == (Utterance(3_600_000, 3_601_000, "Bob B", "Yes: no"),)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("opening", [b"<v", b"<v."])
def test_blanks_without_an_end_cost_no_more_time_than_their_number(opening: bytes) -> None:
    said = opening + b"\t" * 1_000_000 + b"x"
    transcript = parse_transcript(b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + said)
    assert transcript is not None
    assert transcript.utterances == (Utterance(0, 1000, "", said.decode()),)


@pytest.mark.parametrize(
    "content",
    [
        b"WEBVTT\n",
        b"WEBVTT\n\n00:01.000 -> 00:02.000\nx\n",
        b'{"a": 1}',
        b"[[]]",
        b'[{"startTime": -1, "sentence": "x"}]',
        b'[{"startTime": 1%s, "sentence": "x"}]' % (b"0" * 400),
    ],
)
def test_what_is_in_none_of_the_forms_is_no_transcript(content: bytes) -> None:
    assert parse_transcript(content) is None


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: f"WEBVTT\n\n{text}".encode())))
def test_whatever_comes_is_read_or_refused_without_an_error(content: bytes) -> None:
    parse_transcript(content)
