"""Captions are in time with the recording, and nothing that a stranger said is markup."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.documents import Transcript, Utterance, parse_transcript, plain_text, web_vtt

TALK = Transcript(
    "json",
    (
        Utterance(1_000, 4_000, "Mary", "before"),
        Utterance(9_000, 12_000, "Mary", "across"),
        Utterance(15_000, None, "Bob", "within"),
        Utterance(15_500, None, "", "nobody's"),
        Utterance(90_000, 95_000, "Bob", "after"),
    ),
)


def test_captions_count_from_the_recordings_start_and_end_with_it() -> None:
    assert web_vtt(TALK, 10_000, 60_000) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.000\n<v Mary>across\n\n"
        "00:00:05.000 --> 00:00:05.500\n<v Bob>within\n\n"
        "00:00:05.500 --> 00:00:06.500\nnobody's\n"
    )
    assert plain_text(TALK, 10_000, 60_000) == "[0:00:00] Mary: across\n[0:00:05] Bob: within\n[0:00:05] nobody's\n"
    assert "after" in web_vtt(TALK, 10_000)
    assert "00:00:11.000" in web_vtt(TALK, -10_000)  # the recording began before the session's time


def test_what_strangers_wrote_is_neither_markup_nor_another_cue() -> None:
    evil = Transcript(
        "csv", (Utterance(0, 1000, "<b>\n00:00 --> 00:09 ", "</v><script>&\n\nWEBVTT\n\n--> \u202ex\x00"),)
    )
    lines = web_vtt(evil, 0).splitlines()
    assert lines[:3] == ["WEBVTT", "", "00:00:00.000 --> 00:00:01.000"]
    assert lines[3] == "<v &lt;b&gt; 00:00 --&gt; 00:09>&lt;/v&gt;&lt;script&gt;&amp; WEBVTT --&gt; x"
    assert len(lines) == 4


@given(st.lists(st.tuples(st.integers(0, 10**8), st.none() | st.integers(0, 10**8), st.text(), st.text())))
def test_captions_of_anything_are_read_back_as_a_transcript(said: list[tuple[int, int | None, str, str]]) -> None:
    talk = Transcript("json", tuple(Utterance(*one) for one in sorted(said, key=lambda one: one[0])))
    captions = web_vtt(talk, 0)
    count = captions.count(" --> ")
    again = parse_transcript(captions.encode())
    assert len(again.utterances if again else ()) == count
    assert plain_text(talk, 0).count("\n") == count
