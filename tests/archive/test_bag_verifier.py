"""A lookup and an audit decide in one place whether a bag is whole: bags of ours strictly, others by the standard."""

from __future__ import annotations

import pytest

from tasks.archive import layout
from tasks.archive.bag_findings import Findings
from tasks.archive.bag_verifier import BagVerifier, compare_text, find_damage, find_manifests, is_of_another_program
from tests.archive.test_bag import LISTED, TAGS, sealed

SIZES = LISTED | {name: len(content) for name, content in TAGS.items()}


def verify(tags: dict[str, bytes], *, ours: bool, **sizes: int) -> list[tuple[str, str]]:
    """Return the kinds and paths of the findings of an audit that reads no payload."""
    findings = Findings()
    listed = LISTED | {name: len(content) for name, content in tags.items()} | sizes
    verifier = BagVerifier(listed, tags, findings, layout.TAG_FILES if ours else ())
    verifier.verify_tag_files(lambda name, stated: compare_text(tags.get(name, b"other"), stated))
    verifier.verify_payload_paths()
    verifier.verify_oxum()
    return [(finding.kind, finding.path) for finding in findings.kept]


def test_a_whole_bag_has_no_findings_whoever_made_it() -> None:
    assert verify(TAGS, ours=True) == verify(TAGS, ours=False) == []
    assert verify(TAGS, ours=True, **{"unfinished/x": 1}) == []


@pytest.mark.parametrize("content", [b"", b"\n".join(TAGS[layout.TAG_MANIFEST].splitlines()[:1]) + b"\n"])
def test_a_tag_manifest_of_ours_that_states_too_little_is_damage_to_an_audit_as_to_a_lookup(content: bytes) -> None:
    tags = TAGS | {layout.TAG_MANIFEST: content}
    unstated = 4 - len(content.splitlines())
    assert verify(tags, ours=True) == [("malformed", layout.TAG_MANIFEST)] * unstated
    assert len(find_damage(LISTED, tags)) == unstated
    assert verify(tags, ours=False) == [], "the standard lets a tag manifest leave files out"


def test_a_bag_of_ours_that_does_not_state_its_size_is_damage_to_an_audit_as_to_a_lookup() -> None:
    tags = sealed(TAGS | {layout.INFO: b"Bagging-Date: 2026-11-23\n"})
    assert verify(tags, ours=True) == [("miscounted", layout.PAYLOAD)]
    assert find_damage(LISTED, tags)
    assert verify(tags, ours=False) == []


def test_paths_that_other_programs_write_in_another_way_lead_to_the_files_and_ours_never_do() -> None:
    lines = TAGS[layout.MANIFEST].replace(b"  data/", b"  ./data/")
    tags = sealed(TAGS | {layout.MANIFEST: lines})
    assert verify(tags, ours=False) == []
    assert {kind for kind, _ in verify(tags, ours=True)} == {"malformed", "unknown"}
    assert find_damage(LISTED, tags)


def test_what_lies_beside_the_tag_files_of_ours_is_unknown_to_an_audit_and_no_matter_to_a_lookup() -> None:
    assert verify(TAGS, ours=True, **{"stray.txt": 5}) == [("unknown", "stray.txt")]
    assert find_damage(SIZES | {"stray.txt": 5}, TAGS) == []


def test_a_tag_file_that_another_program_has_added_and_stated_is_damage_only_if_it_is_missing() -> None:
    stated = TAGS | {layout.TAG_MANIFEST: TAGS[layout.TAG_MANIFEST] + f"{'0' * 64}  notes/board.txt\n".encode()}
    assert find_damage(SIZES | {"notes/board.txt": 5}, stated) == []
    assert find_damage(SIZES, stated) == ["notes/board.txt is missing"]


def test_manifests_are_found_by_their_names() -> None:
    names = [
        "tagmanifest-sha256.txt",
        "manifest-SHA-512.txt",
        "manifest-blake3.txt",
        "manifest.txt",
        "data/manifest-md5.txt",
    ]
    manifests = {one.name: (one.algorithm, one.of_tags, one.is_known) for one in find_manifests(names)}
    assert manifests == {
        "manifest-SHA-512.txt": ("sha512", False, True),
        "manifest-blake3.txt": ("blake3", False, False),
        "tagmanifest-sha256.txt": ("sha256", True, True),
    }


def test_of_many_findings_the_first_are_kept_and_all_are_counted() -> None:
    findings = Findings(2)
    for number in range(5):
        findings.note("unverifiable", f"manifest-{number}.txt", "one", "another")
    assert (len(findings.kept), findings.count, findings.damaged) == (2, 5, False)
    findings.note("missing", "data/a", "it", "nothing")
    assert findings.damaged


@pytest.mark.parametrize(
    ("info", "other"),
    [(TAGS[layout.INFO], False), (b"", False), (b"Bag-Software-Agent: bagit.py v1.8.1\n", True)],
)
def test_a_bag_says_itself_which_program_made_it(info: bytes, *, other: bool) -> None:
    assert is_of_another_program(info) == other
