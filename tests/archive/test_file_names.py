"""Whatever names the network sends, the paths in a bag are safe, unique and always the same."""

import random
import sys
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.archive.bag import manifest, parse_manifest
from tasks.archive.file_names import LONGEST_NAME, payload_paths, safe_name
from tasks.realtimekit.models import Kind, MediaFile, Recording
from tests.support.anything import ANY_TEXT, steady

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


def track(layer: str, name: str, kind: Kind = "tracks") -> MediaFile:
    return MediaFile(kind, layer, name, "https://host/", None, None)


def paths(*media: MediaFile) -> dict[str, str]:
    return payload_paths(Recording(ID, "UPLOADED", None, None, None, "", None, "", media, {}))


@pytest.mark.parametrize(
    ("sent", "safe"),
    [
        ("meeting.mp4", "meeting.mp4"),
        ("../../../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("a/b", "b"),
        ("a/b//", "b"),
        ("C:\\a.mp4", "a.mp4"),
        ("C:a.mp4", "Ca.mp4"),
        ("", "fallback"),
        ("..", "fallback"),
        (" . . ", "fallback"),
        ("/", "fallback"),
        ("\0\n\x7f", "fallback"),
        ("\ud800", "fallback"),
        (".hidden", "hidden"),
        ("..hidden.mp4..", "hidden.mp4"),
        ("trailing. . .", "trailing"),
        ("a\r\nb\tc.mp4", "a b c.mp4"),
        ("a\u2028b\x85c.mp4", "a b c.mp4"),
        ("x%0Ay%2F.mp4", "x_0Ay_2F.mp4"),
        ("a\"b'c`d$(e).mp4", "ab'c`d$(e).mp4"),
        ("a<b>c|d?e*f:g.mp4", "abcdefg.mp4"),
        ("\u202egpj.exe\u2066\u200f", "gpj.exe"),
        ("e\u0301.mp4", "\u00e9.mp4"),
        ("e\u200d\u0301.mp4", "\u00e9.mp4"),
        ("e:\u0301.mp4", "\u00e9.mp4"),
        ("🎥 Büro 会议.mp4", "🎥 Büro 会议.mp4"),
        ("CON", "CON_"),
        ("con.mp4", "con_.mp4"),
        ("aux .mp4", "aux_.mp4"),
        ("nul:.tar.gz", "nul_.tar.gz"),
        ("LPT9", "LPT9_"),
        ("{{prefix}}.webm", "{{prefix}}.webm"),
    ],
)
def test_a_name_is_made_safe_and_stays_recognisable(sent: str, safe: str) -> None:
    assert safe_name(sent, "fallback") == safe


@pytest.mark.parametrize("letter", ["a", "é", "会", "🎥", ". ", "a "])
def test_a_long_name_is_shortened_keeps_its_extension_and_stays_apart_from_others(letter: str) -> None:
    one, other = (safe_name(f"x{letter * 400}{end}.mp4", "fallback") for end in ("1", "2"))
    assert one != other
    assert one.endswith(".mp4")
    assert LONGEST_NAME - 4 <= len(one.encode()) <= LONGEST_NAME or letter in {". ", "a "}
    assert len(other.encode()) <= LONGEST_NAME


def test_what_is_no_extension_does_not_keep_a_name_long() -> None:
    assert len(safe_name("a." + "b" * 400, "fallback")) == LONGEST_NAME


def test_files_lie_by_their_kind_and_layer() -> None:
    named = paths(track("", "v.mp4", "video"), track("", "a.mp3", "audio"), track("x", "t.webm"), track("../y", "/"))
    assert sorted(named.values()) == [
        "data/audio/a.mp3",
        "data/tracks/x/t.webm",
        f"data/tracks/y/{ID}.webm",
        "data/video/v.mp4",
    ]


def test_a_file_without_a_name_is_named_after_the_recording() -> None:
    named = paths(track("", "", "video"), track("", "...", "audio"), track("", "\n"))
    assert sorted(named.values()) == [
        f"data/audio/{ID}.mp3",
        f"data/tracks/default/{ID}.webm",
        f"data/video/{ID}.mp4",
    ]


def test_names_are_unique_even_where_letter_case_or_composition_does_not_count() -> None:
    names = [
        "a.webm",
        "A.webm",
        "a.WEBM",
        "x/a.webm",
        "a:.webm",
        "é.webm",
        "e\u0301.webm",
        "É.webm",
        "a.webm ",
        "ß",
        "ss",
    ]
    media = [track(layer, name) for layer in ("default", "Default") for name in names]
    found = list(paths(*media).values())
    assert len({path.casefold() for path in found}) == len(media)
    assert sum(path.endswith((".webm", ".WEBM")) for path in found) == len(media) - 4


def test_long_names_that_coincide_are_unique_and_still_short() -> None:
    found = paths(*[track("x", "a" * 176 + ".mp4" + "\u200b" * number) for number in range(20)]).values()
    assert len(set(found)) == 20
    assert max(len(path.rpartition("/")[2]) for path in found) <= LONGEST_NAME


def test_the_path_of_a_file_does_not_depend_on_the_order_or_on_what_else_is_there() -> None:
    media = [track("x", name) for name in ("a.webm", "A.webm", "b/a.webm", "c.webm", "C.webm")]
    first = paths(*media)
    for seed in range(20):
        shuffled = random.Random(seed).sample(media, len(media))
        assert paths(*shuffled) == first
    fewer = paths(*media[1:])
    assert {label: first[label] for label in fewer if "c.webm" in label} == {
        label: path for label, path in fewer.items() if "c.webm" in label
    }


NAMES = ANY_TEXT | st.sampled_from(
    ["..", "CON", "a" * 300, "é" * 200 + ".mp4", "a/../b", "\u202e", "e\u0301", "nul.", "COM1 .x"]
)
MEDIA = st.lists(st.builds(track, NAMES, NAMES, st.sampled_from(["video", "audio", "tracks"])), max_size=6)


@steady
@given(MEDIA)
def test_any_names_at_all_give_unique_safe_paths_that_a_manifest_keeps(media: list[MediaFile]) -> None:
    found = paths(*media)
    assert set(found) == {each.label for each in media}
    assert len({path.casefold() for path in found.values()}) == len(found)
    for path in found.values():
        assert_safe(path)
    listed = dict.fromkeys(found.values(), "0" * 64)
    assert parse_manifest(manifest(listed)) == listed


def assert_safe(path: str) -> None:
    parts = path.split("/")
    assert parts[0] == "data"
    assert len(parts) == (4 if parts[1] == "tracks" else 3)
    assert PurePosixPath(path).as_posix() == PureWindowsPath(path).as_posix() == path
    assert not PureWindowsPath(path).is_reserved()
    assert unicodedata.is_normalized("NFC", path)
    assert not any(unicodedata.category(c)[0] == "C" or c in '<>:"|?*%\\' for c in path)
    for part in parts:
        assert 0 < len(part.encode()) <= LONGEST_NAME
        assert part == part.strip(" .")


def test_a_name_is_the_same_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert safe_name("Ann\u2019s \u4f1a\u8b70.mp4", "") == "Ann\u2019s \u4f1a\u8b70.mp4"
    assert safe_name("Ann\u2019s " + 100 * "\u4f1a" + ".mp4", "").startswith("Ann\u2019s \u4f1a\u4f1a")
