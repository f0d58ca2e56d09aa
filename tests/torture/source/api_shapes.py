"""Shapes of a track recording's `download_url`, as documented, as seen, and as nobody has seen yet."""

from __future__ import annotations

import json
import random
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.torture.scenario import Expect
from tests.torture.source.trouble import SourceTrouble, faults_cleared, scenario_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

    Layers = list[dict[str, Any]]

INTACT, REFUSED = Expect.INTACT, Expect.REFUSED
NAMES = {"default": ("user-1_peer-1_audio.webm", "user-2_peer-2_audio.webm"), "screen": ("user-1_peer-1_video.webm",)}
DEEPEST = 6
"""Levels of a made-up shape: the reader looks into more."""


def _files(layers: Layers) -> dict[str, dict[str, str]]:
    """Return the URLs by layer and name."""
    return {
        layer["layer_name"]: {name: entry["download_url"] for name, entry in layer["download_urls"].items()}
        for layer in layers
    }


def _urls(layers: Layers) -> list[str]:
    return [url for files in _files(layers).values() for url in files.values()]


def _without_one(layers: Layers) -> Layers:
    next(iter(layers[0]["download_urls"].values()))["download_url"] = None
    return layers


def _camel_case(layers: Layers) -> object:
    return [
        {"layerName": name, "downloadUrls": {file: {"downloadUrl": url} for file, url in files.items()}}
        for name, files in _files(layers).items()
    ]


def _by_file(layers: Layers) -> object:
    return {f"{layer}/{name}": {"download_url": url} for layer, files in _files(layers).items()
            for name, url in files.items()}  # fmt: skip


def _with_facts(layers: Layers) -> object:
    facts = {"size": None, "codec": "opus", "peer": {"id": "p", "events": []}, "expires": "2026-11-27T10:00:00Z"}
    return [
        layer | {"download_urls": {name: entry | facts for name, entry in layer["download_urls"].items()}}
        for layer in layers
    ]


def _made_up(seed: int, layers: Layers) -> object:
    """Return a shape that a seed has made up: dictionaries, lists and JSON in strings, one in the other."""
    dice, urls = random.Random(seed), _urls(layers)
    dice.shuffle(urls)

    def wrapped(value: object, depth: int) -> object:
        if depth == 0:
            return value
        kinds: list[Callable[[object], object]] = [
            lambda inner: [inner],
            lambda inner: {dice.choice(("links", "files", "x", "a.webm", "download_url", "layers")): inner},
            lambda inner: {"layer_name": "made-up", dice.choice(("downloadUrls", "y")): inner},
            json.dumps,
        ]
        return wrapped(dice.choice(kinds)(value), depth - 1)

    return [wrapped(url, dice.randint(0, DEEPEST)) for url in urls]


SHAPES: Mapping[str, tuple[str, Expect, Callable[[Layers], object]]] = {
    "as-documented": ("a list of layers", INTACT, lambda layers: layers),
    "a-list-of-urls": ("a list of URLs", INTACT, _urls),
    "a-list-of-objects": ("a list of objects", INTACT, lambda layers: [{"url": url} for url in _urls(layers)]),
    "links": ("one key `links`", INTACT, lambda layers: {"links": _urls(layers)}),
    "by-layer": ("a dictionary of layers", INTACT, _files),
    "by-layer-with-urls": (
        "a dictionary of layers with download_urls", INTACT,
        lambda layers: {layer.pop("layer_name"): layer for layer in layers},
    ),
    "by-file": ("a dictionary of files", INTACT, _by_file),
    "urls-alone-by-file": ("a dictionary of URLs", INTACT, lambda layers: dict(_named_by_number(layers))),
    "in-camel-case": ("the documented list in camelCase", INTACT, _camel_case),
    "json-in-a-string": ("JSON in a string", INTACT, json.dumps),
    "json-twice-in-a-string": ("JSON in a string of JSON", INTACT, lambda layers: json.dumps(json.dumps(layers))),
    "with-facts-beside": ("facts beside each URL", INTACT, _with_facts),
    "a-file-without-url": ("one file has no URL", REFUSED, _without_one),
    "no-files-at-all": ("an empty list", REFUSED, lambda _: []),
    "numbers": ("no URL anywhere", REFUSED, lambda _: [1, 2, {"x": None}]),
    "too-deep": ("a URL 40 levels deep", REFUSED, lambda layers: _nested(_urls(layers)[0], 40)),
}  # fmt: skip


def _named_by_number(layers: Layers) -> list[tuple[str, str]]:
    """Return names that are no API's words, and the URLs."""
    return [(f"track-{number}.webm", url) for number, url in enumerate(_urls(layers))]


def _nested(value: object, depth: int) -> object:
    return value if depth == 0 else [_nested(value, depth - 1)]


def _arranged(bench: Archiving, seed: int, shape: Callable[[Layers], object] | None = None) -> StandInRecording:
    sizes = iter(range(1001, 1009))
    tracks = {
        layer: {name: MediaSource(SyntheticContent(size := next(sizes), seed=size), "audio/webm") for name in names}
        for layer, names in NAMES.items()
    }
    shaped: Any = shape or partial(_made_up, seed)
    return bench.add(tracks=tracks, shape=shaped)


def _documented_again(bench: Archiving) -> None:
    faults_cleared(bench)
    for recording in bench.kit.recordings:
        recording.shape = lambda layers: layers


TROUBLES = (
    *(
        SourceTrouble(f"tracks-{name}", what, expect, partial(_arranged, shape=shape), relieve=_documented_again)
        for name, (what, expect, shape) in SHAPES.items()
    ),
    SourceTrouble("tracks-made-up", "a shape that a seed has made up", INTACT, _arranged, relieve=_documented_again),
)
SCENARIOS = tuple(scenario_of(trouble) for trouble in TROUBLES)
