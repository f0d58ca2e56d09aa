"""Who runs: ours, as a person runs it and without Prefect, and what people use today for the same."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.support.measure import measured
from tests.torture.peers.peers import asked
from tests.torture.peers.tools import HTTPX_UPLOAD_FILEOBJ, RCLONE_COPYURL, TOOLS, Tool, leading_to, variables, version

if TYPE_CHECKING:
    from tests.benchmarks.stage import Ground
    from tests.standins.realtimekit import StandInRecording
    from tests.support.measure import Usage

WHOLE = "ours: whole command"
FLOW = "ours: whole command, as a flow"
PLAIN = "ours: transfer only"
LIMIT_S = 900.0


class Contestant(Protocol):
    """One way to bring a recording home."""

    @property
    def name(self) -> str:
        """As the tables call it."""

    def run(self, ground: Ground, recording: StandInRecording, bucket: str) -> Usage:
        """Bring a recording into a bucket."""


@dataclass(frozen=True)
class Ours:
    """This project."""

    name: str
    arguments: tuple[str, ...]
    """For Python; the recording's id follows."""
    settings: tuple[tuple[str, str], ...] = ()
    """What differs from the defaults."""
    server: bool = True
    """Whether a flow finds a Prefect server that runs."""

    def run(self, ground: Ground, recording: StandInRecording, bucket: str) -> Usage:
        """Bring a recording into a bucket."""
        return self.started(ground, bucket, recording.id)

    def started(self, ground: Ground, bucket: str, *arguments: str) -> Usage:
        """Run it with these arguments."""
        environment = ground.settings(bucket, **dict(self.settings))
        if self.server:
            environment["PREFECT_API_URL"] = ground.stage.prefect.api
        return measured(
            [sys.executable, *self.arguments, *arguments], environment, ground.folder, LIMIT_S, ground.began
        )


@dataclass(frozen=True)
class Peer:
    """What people use today; it gets the URL for nothing, where ours asks the API within its time."""

    tool: Tool

    @property
    def name(self) -> str:
        """As the tables call it."""
        return self.tool.name

    def run(self, ground: Ground, recording: StandInRecording, bucket: str) -> Usage:
        """Bring a recording's video into a bucket."""
        told = asked(ground.kit, recording)
        if told is None:
            raise AssertionError
        with tempfile.TemporaryDirectory(dir=ground.folder) as scratch:
            environment = (
                variables(ground.stage.programs, Path(scratch)) | leading_to(ground.store) | ground.trust | told
            )
            if ground.trust:  # over https boto3 sends its own checksums in chunks, which rclone's server refuses
                environment["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
            environment |= {"BUCKET": bucket, "KEY": f"recordings/{recording.id}.mp4"}
            return measured(self.tool.arguments(), environment, Path(scratch), LIMIT_S, ground.began)


def whole() -> Ours:
    """Return ours as a person runs it where no Prefect server is configured."""
    return Ours(WHOLE, ("-m", "flows.archive_recording"), server=False)


def as_flow() -> Ours:
    """Return ours as a person runs it where a Prefect server is configured, and runs already."""
    return Ours(FLOW, ("-m", "flows.archive_recording"))


def plain(**settings: str) -> Ours:
    """Return the pipeline alone: a Python process that runs it once, without what a command needs besides."""
    return Ours(PLAIN, ("-m", "tests.benchmarks.plain"), tuple(settings.items()), server=False)


_KNOWN = {tool.name: tool for tool in TOOLS}
_COPYTO = "rclone copyto :http:"
EIGHT_STREAMS = Tool(
    "rclone copyto :http:, 8 ranges",
    "URL=${URL%%\\?*}; " + _KNOWN[_COPYTO].command.replace("--http-no-head ", ""),
    ("rclone",),
)
"""What rclone can do at its best, with a plain URL: a HEAD tells it the size, which a URL signed for GET refuses."""
PEERS = (
    _KNOWN["curl --fail --retry | aws s3 cp, pipefail"],
    RCLONE_COPYURL,
    _KNOWN[_COPYTO],
    EIGHT_STREAMS,
    _KNOWN["curl --fail --retry | s5cmd pipe, pipefail"],
    HTTPX_UPLOAD_FILEOBJ,
)


def everybody() -> list[Contestant]:
    """Return all who take part, ours first."""
    able = (tool for tool in PEERS if shutil.which(tool.parts[0]) or tool.parts[0] != "curl")
    return [whole(), as_flow(), plain(), *map(Peer, able)]


def versions(programs: Path) -> dict[str, str]:
    """Return the versions of what the peers are made of.

    Args:
        programs: the folder in which they are.
    """
    parts = sorted({part for tool in PEERS for part in tool.parts})
    with tempfile.TemporaryDirectory() as scratch:
        environment = variables(programs, Path(scratch))
        return {part: version(part, environment) or "unknown" for part in parts}
