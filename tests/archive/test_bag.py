"""A bag's text files are what RFC 8493 wants, and damage to any of them is found."""

import hashlib
import json
import shutil
import subprocess
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import bagit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.archive import bag, layout
from tasks.archive.bag_verifier import find_damage
from tasks.realtimekit.models import MediaFile, Recording
from tasks.realtimekit.parsing import parse_recording
from tasks.text.formatting import human_size
from tests.support.anything import steady

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
PAYLOAD = {
    "data/video/Ümläut meeting.mp4": b"video",
    "data/tracks/default/a b.webm": b"",
    "data/audio/a.mp3": b"\0" * 9,
}


def a_recording(*media: MediaFile, session_id: str = "session-1") -> Recording:
    when = datetime(2026, 11, 20, 9, tzinfo=UTC)
    return Recording(ID, "UPLOADED", when, None, None, session_id, 60.0, "", media, {})


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def sealed(tags: dict[str, bytes]) -> dict[str, bytes]:
    """Return tag files with a tag manifest that fits them."""
    others = {name: content for name, content in tags.items() if name != layout.TAG_MANIFEST}
    return {**others, layout.TAG_MANIFEST: bag.manifest(digests(others))}


def tags_of(payload: dict[str, bytes]) -> dict[str, bytes]:
    info = bag.bag_info(a_recording(), [len(content) for content in payload.values()], date(2026, 11, 23))
    return sealed(
        {
            layout.DETAILS: json.dumps({"id": ID}).encode(),
            layout.INFO: info,
            layout.MANIFEST: bag.manifest(digests(payload)),
            layout.MARKER: bag.MARKER_TEXT,
        }
    )


LISTED = {path: len(content) for path, content in PAYLOAD.items()}
TAGS = tags_of(PAYLOAD)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_a_bag_is_valid_to_the_library_of_congress_and_to_sha256sum(tmp_path: Path) -> None:
    folder = written(tmp_path, {**PAYLOAD, **TAGS})
    found = bagit.Bag(str(folder))
    found.validate(processes=1)
    assert found.info["External-Identifier"] == ID
    assert found.info["Payload-Oxum"] == "14.3"
    checker = shutil.which("sha256sum")
    assert checker is not None
    for manifest in (layout.MANIFEST, layout.TAG_MANIFEST):
        subprocess.run([checker, "--strict", "-c", manifest], cwd=folder, check=True, capture_output=True)


def test_bag_info_says_what_the_bag_is() -> None:
    info = bag.bag_info(a_recording(), [5, 0, 9], date(2026, 11, 23)).decode()
    assert info.splitlines() == [
        f"External-Identifier: {ID}",
        "External-Description: Cloudflare RealtimeKit recording",
        "Bag-Group-Identifier: session-1",
        "Session-Identifier: session-1",
        "Recording-Invoked-Time: 2026-11-20T09:00:00+00:00",
        "Bagging-Date: 2026-11-23",
        "Bag-Size: 14 bytes",
        "Payload-Oxum: 14.3",
        f"Bag-Software-Agent: {bag.SOFTWARE_AGENT}",
    ]


def test_bag_info_states_findings_a_line_each_and_gives_them_back() -> None:
    findings = ("data/video/a.mp4 is empty: 0 bytes.", "data/audio/\u2028b\r\nPayload-Oxum: 0.0 is odd: \ud800.")
    info = bag.bag_info(a_recording(), [5], date(2026, 11, 23), findings)
    stated = ("data/video/a.mp4 is empty: 0 bytes.", "data/audio/ b Payload-Oxum: 0.0 is odd: ?.")
    assert bag.stated_findings(info) == stated
    assert bag.stated_oxum(info) == "5.1"
    assert bag.stated_findings(b"Archive-Findings: x\n\xff\nArchive-Finding:a") == ("a",)
    assert bag.stated_findings(b"") == ()


def test_bag_info_leaves_out_what_is_not_known_and_keeps_to_its_lines() -> None:
    recording = parse_recording({"id": ID, "session_id": None})
    assert b"Group-Identifier" not in bag.bag_info(recording, [1], date(2026, 11, 23))
    assert b"Session-Identifier" not in bag.bag_info(recording, [1], date(2026, 11, 23))
    assert b"Recording-Invoked-Time" not in bag.bag_info(recording, [1], date(2026, 11, 23))
    split = a_recording(session_id="a\r\nPayload-Oxum: 1.1\u2028\x85b\ud800")
    info = bag.bag_info(split, [5], date(2026, 11, 23))
    assert bag.stated_oxum(info) == "5.1"
    assert len(info.decode().splitlines()) == 9


def test_the_software_agent_is_of_this_version() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"{project['name']}/{project['version']}" == bag.SOFTWARE_AGENT


def test_a_whole_bag_shows_no_damage() -> None:
    assert find_damage({**LISTED, "bagit.txt": 55, "unfinished/x": 1}, TAGS) == []


@pytest.mark.parametrize("name", layout.TAG_FILES)
def test_a_missing_tag_file_is_found(name: str) -> None:
    tags = {other: content for other, content in TAGS.items() if other != name}
    assert f"{name} is missing" in find_damage(LISTED, tags)


@pytest.mark.parametrize("name", [name for name in layout.TAG_FILES if name != layout.TAG_MANIFEST])
@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe"])
def test_a_tag_file_that_was_changed_is_found(name: str, content: bytes) -> None:
    assert f"{name} is not what tagmanifest-sha256.txt states" in find_damage(LISTED, TAGS | {name: content})


@pytest.mark.parametrize("content", [b"", b"\n", b"garbage\n", b"\xff\xfe", TAGS[layout.TAG_MANIFEST].split(b"\n")[0]])
def test_a_tag_manifest_that_vouches_for_nothing_is_found(content: bytes) -> None:
    assert find_damage(LISTED, TAGS | {layout.TAG_MANIFEST: content})


def test_a_missing_payload_file_is_found() -> None:
    listed = {path: size for path, size in LISTED.items() if path != "data/audio/a.mp3"}
    assert find_damage(listed, TAGS) == [
        "data/audio/a.mp3 is missing",
        "the payload is 5.2, Payload-Oxum states 14.3",
    ]


def test_a_payload_file_too_many_is_found() -> None:
    findings = find_damage(LISTED | {"data/extra.mp4": 1}, TAGS)
    assert findings == ["data/extra.mp4 is in no manifest", "the payload is 15.4, Payload-Oxum states 14.3"]


def test_a_payload_file_of_another_size_is_found() -> None:
    findings = find_damage(LISTED | {"data/audio/a.mp3": 8}, TAGS)
    assert findings == ["the payload is 13.3, Payload-Oxum states 14.3"]


def test_a_payload_size_that_is_not_stated_is_found() -> None:
    tags = sealed(TAGS | {layout.INFO: b"Bagging-Date: 2026-11-23\n"})
    assert find_damage(LISTED, tags) == ["the payload is 14.3, Payload-Oxum states nothing"]


@pytest.mark.parametrize("line", [b"\n", b"abc  data/a\n", b"g" * 64 + b"  data/a\n", b"0" * 64 + b"  \n", b"\xff\n"])
def test_a_manifest_with_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 2 is not|can't decode"):
        bag.parse_manifest(b"0" * 64 + b"  data/b\n" + line)
    tags = sealed(TAGS | {layout.MANIFEST: TAGS[layout.MANIFEST] + line})
    assert find_damage(LISTED, tags)[0].startswith("manifest-sha256.txt: ")


def test_a_manifest_that_names_a_file_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 is there twice"):
        bag.parse_manifest(b"0" * 64 + b"  data/b\n" + b"1" * 64 + b"  data/b\n")


def test_manifests_of_other_tools_are_read() -> None:
    content = b"A" * 64 + b" *data/a\r\n" + b"b" * 64 + b"\tdata/b c\xe2\x80\xa8d\r\n"
    assert bag.parse_manifest(content) == {"data/a": "a" * 64, "data/b c\u2028d": "b" * 64}


@steady
@given(st.lists(st.integers(0, 2**62)))
def test_the_payload_oxum_that_is_written_is_the_one_that_is_read(sizes: list[int]) -> None:
    assert bag.stated_oxum(bag.bag_info(a_recording(), sizes, date(2026, 11, 23))) == bag.payload_oxum(sizes)


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (7.5 * 2**30, "7.5 GiB"), (3000 * 2**40, "3000 TiB")],
)
def test_sizes_are_said_in_binary_units(size: float, said: str) -> None:
    assert human_size(size) == said
