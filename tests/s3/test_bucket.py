"""A bucket's objects come back as they were stored, whatever their keys, and all of them are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.meddling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving

ODD_KEYS = [
    "Bücher/ä.mp4",
    "e\u0301/decomposed.mp4",
    "two  blanks.mp4",
    "100%25.mp4",
    "a+b&c=d?e#f.mp4",
    "'single' \"double\".mp4",
    "🎬/[scene] {1}.mp4",
    "~.hidden..mp4",
    "x" * 200,
]


def test_an_object_comes_back_as_it_was_stored(bench: Archiving) -> None:
    store = bench.run().store
    assert store.put("a/b.mp4", b"bytes", "video/mp4", {"recording-id": "one"})
    found = store.head("a/b.mp4")
    assert found is not None
    assert (found.size, found.content_type, found.metadata) == (5, "video/mp4", {"recording-id": "one"})
    assert store.get("a/b.mp4") == b"".join(store.read(found)) == b"bytes"


def test_what_is_not_there_is_none_and_no_error_to_delete(bench: Archiving) -> None:
    store = bench.run().store
    assert store.head("nothing") is None
    assert store.get("nothing") is None
    store.delete(["nothing"])


def test_an_empty_object_is_read_without_a_request_for_an_impossible_range(bench: Archiving) -> None:
    store = bench.run().store
    store.put("empty", b"", "video/mp4")
    found = store.head("empty")
    assert found is not None
    assert (found.size, list(store.read(found))) == (0, [])


@pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
def test_keys_with_odd_characters_come_back_as_they_are(bench: Archiving, key: str) -> None:
    store = bench.run().store
    store.put(f"odd/{key}", b"x", "video/mp4")
    assert [found.key for found in store.list("odd/")] == [f"odd/{key}"]
    assert store.get(f"odd/{key}") == b"x"
    upload = store.begin_upload(f"odd/{key}", "video/mp4", {})
    assert [(found.key, found.id) for found in store.uploads("odd/")] == [(upload.key, upload.id)]
    store.abort(upload)


def test_a_listing_goes_on_over_all_its_pages(bench: Archiving) -> None:
    def two_at_a_time(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        return bench.s3.list_objects_v2(**request, MaxKeys=2) if method == "list_objects_v2" else send()

    store = bench.run(two_at_a_time).store
    keys = [f"page/{number}" for number in range(5)]
    for key in ["before", *keys, "post"]:
        store.put(key, b"x", "text/plain")
    assert [found.key for found in store.list("page/")] == keys


def test_uploads_and_parts_are_found_over_all_pages_too(bench: Archiving) -> None:
    limits = {"list_multipart_uploads": {"MaxUploads": 2}, "list_parts": {"MaxParts": 2}}

    def two_at_a_time(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        return getattr(bench.s3, method)(**request, **limits[method]) if method in limits else send()

    store = bench.run(two_at_a_time).store
    begun = {store.begin_upload(key, "video/mp4", {}).id for key in ("a/1", "a/2", "a/2", "a/3")}
    assert {upload.id for upload in store.uploads("a/")} == begun
    upload = store.uploads("a/1")[0]
    stored = [store.put_part(upload, number, b"x" * number) for number in (1, 2, 3)]
    assert [part.size for part in store.parts(upload).values()] == [part.size for part in stored]


def test_swift_leaves_an_object_alone_that_is_to_be_written_only_if_absent(swift: Archiving) -> None:
    store = swift.run().store
    assert store.put("marker", b"first", "text/plain", if_absent=True)
    assert not store.put("marker", b"second", "text/plain", if_absent=True)
    assert store.get("marker") == b"first"


def test_a_store_that_cannot_tell_whether_an_object_is_absent_gets_it_anyway(rclone: Archiving) -> None:
    def without_conditions(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "put_object" and "IfNoneMatch" in request:
            raise refusal("NotImplemented", 501)
        return send()

    store = rclone.run(without_conditions).store
    assert store.put("marker", b"first", "text/plain", if_absent=True)
    assert store.get("marker") == b"first"
