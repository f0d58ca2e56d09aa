"""Whatever lies in an archive's folder, or is named by the API: findings, a ValueError, a safe path; nothing else."""

from __future__ import annotations

import hashlib
import unicodedata
from contextlib import suppress
from pathlib import PurePosixPath

from hypothesis import example, given
from hypothesis import strategies as st

from tasks.archive import bag, file_names, layout
from tasks.archive.bag_verifier import find_damage
from tasks.archive.file_names import payload_paths
from tasks.realtimekit.models import Kind, MediaFile, Recording
from tests.archive.test_bag import LISTED, TAGS, sealed
from tests.support.anything import ANY_TEXT, ID
from tests.support.strategies import damaged, examples

ODD_CHECKSUMS = st.sampled_from(["0" * 64, "F" * 64, "0" * 63, "\uff10" * 64, "", "g" * 64])
ODD_PATHS = ANY_TEXT | st.sampled_from([*LISTED, "data/../bagit.txt", "/etc/passwd", "data/\u2028a", "*data/a", ""])
LINES = st.builds("{}{}{}{}".format, ODD_CHECKSUMS, st.sampled_from(["  ", " *", "\t", ""]), ODD_PATHS,
                  st.sampled_from(["\n", "\r\n", "\r", ""]))  # fmt: skip
CONTENTS = st.one_of(
    damaged(st.sampled_from(list(TAGS.values()))),
    st.lists(LINES, max_size=4).map(lambda lines: "".join(lines).encode(errors="surrogatepass")),
    st.binary(max_size=200),
)
FOLDERS = st.fixed_dictionaries({}, optional=dict.fromkeys(layout.TAG_FILES, CONTENTS))
LISTINGS = st.dictionaries(st.sampled_from(list(LISTED)) | ANY_TEXT, st.integers(0, 2**70), max_size=6)


@examples(60)
@given(CONTENTS)
def test_any_bytes_are_a_manifest_or_said_to_be_none(content: bytes) -> None:
    with suppress(ValueError):
        for path, checksum in bag.parse_manifest(content).items():
            assert path.strip()
            assert len(checksum) == 64
            assert set(checksum) <= set("0123456789abcdef")


@examples(60)
@given(st.just(LISTED) | LISTINGS, FOLDERS)
def test_whatever_lies_in_a_folder_it_is_found_out_unless_it_is_the_bag_itself(
    listed: dict[str, int], found: dict[str, bytes]
) -> None:
    tags = {**TAGS, **found}
    findings = find_damage(listed, tags)
    assert all("\n" not in finding for finding in findings)
    if not findings:
        stated = bag.parse_manifest(tags[layout.MANIFEST])
        assert stated.keys() == {path for path in listed if path.startswith("data/")}
        assert bag.stated_oxum(tags[layout.INFO]) == bag.payload_oxum(listed[path] for path in stated)
        vouched = bag.parse_manifest(tags[layout.TAG_MANIFEST])
        assert all(
            vouched[name] == hashlib.sha256(tags[name]).hexdigest() for name in tags if name != layout.TAG_MANIFEST
        )


@examples(50)
@given(st.dictionaries(st.sampled_from([*TAGS]), CONTENTS, min_size=1))
def test_a_tag_file_that_differs_is_found_as_long_as_its_manifest_is_what_it_was(changed: dict[str, bytes]) -> None:
    changed.pop(layout.TAG_MANIFEST, None)
    differs = any(TAGS[name] != content for name, content in changed.items())
    assert bool(find_damage(LISTED, TAGS | changed)) == differs


@examples(50)
@given(CONTENTS)
def test_a_bag_that_vouches_for_an_odd_manifest_is_whole_only_if_that_states_the_payload(content: bytes) -> None:
    if not find_damage(LISTED, sealed(TAGS | {layout.MANIFEST: content})):
        assert bag.parse_manifest(content).keys() == {path for path in LISTED if path.startswith("data/")}


# Names

PIECES = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=12),
    st.sampled_from(
        ["..", "/", "\\", ".", " ", "%2e%2e%2f", "%00", "\0", "CON", "nul", "COM\u00b9", "aux.", "LPT0",
        "\u202e", "\u200b",
         "\ufeff", "e\u0301", "\u00e9", "\u1e9e", "ss", "\u0130", "i\u0307", "\ufb01", "fi", "\u2126",
         "\u03a9", "K", "\u212a", "k",
         "\uff0e", "\u2024", "~1", ":", "$", "`id`", "{{a}}", "\U0001f3a5", "\u1112\u1161\u11ab", "\ud55c",
         "a" * 5000, "\u00e9" * 100,
         "x" * 178, "\U000e0041", "\ud800", "https://h/p?sig=leak-canary", "desktop.ini"]
    ),
)  # fmt: skip
EXTENSIONS = st.sampled_from(["", ".mp4", ".MP4", ".webm", ".tar.gz", ".", ". ", ".mp4.", ".mp4\u200b", "." + "x" * 20])
NAMES = st.builds(lambda pieces, end: "".join(pieces) + end, st.lists(PIECES, max_size=4), EXTENSIONS)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["video", "audio", "tracks", "tracks", "tracks"])
MEDIA = st.builds(MediaFile, KINDS, NAMES, NAMES, st.just("https://h/"), st.none(), st.none())


def folded(path: str) -> str:
    """Return what a filesystem that minds neither case nor composition makes of a path."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


@examples(100)
@given(st.lists(MEDIA, max_size=6, unique_by=lambda media: media.label))
@example([MediaFile("tracks", "x", name, "", None, None) for name in ("\u0390.webm", "\u1fd3.webm")])
def test_whatever_files_are_called_their_paths_are_safe_short_and_apart(media: list[MediaFile]) -> None:
    paths = payload_paths(Recording(ID, "UPLOADED", None, None, None, "", None, "", tuple(media), {}))
    assert len({folded(path) for path in paths.values()}) == len(media)
    for path in paths.values():
        assert path.isprintable()
        assert path.encode()
        assert "leak-canary" not in path
        assert PurePosixPath(path).parts[0] == "data"
        assert not {"", ".", ".."} & set(path.split("/"))
        assert len(path.encode()) <= len("data/tracks/") + 2 * file_names.LONGEST_NAME + 1
        assert all(len(part.encode()) <= file_names.LONGEST_NAME for part in path.split("/"))


@examples(100)
@given(st.lists(PIECES.filter(lambda piece: "." not in piece), max_size=3), st.sampled_from([".mp4", ".MP4", ".webm"]))
def test_an_extension_is_kept(pieces: list[str], extension: str) -> None:
    name = file_names.safe_name("".join(pieces).replace("/", "").replace("?", "") + "a" + extension, "fallback")
    assert name.endswith(extension)
