"""What people use today to bring a file from a presigned URL into a bucket: each way as its users would write it.

A way gets the URL, the bucket, the key and the size that the API names as environment variables. What has a time-out of
its own is told ten seconds: the defaults go up to five minutes, and no verdict may hang on our own patience.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.standins.stores import rclone_executable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.standins.stores import Store

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = ROOT / ".venv-peers"
"""Apart from ours: their packages want other versions of the same libraries than we do."""
VERSIONS: Mapping[str, str] = {
    "rclone": "rclone version | sed -n 's/^rclone v//p'",
    "curl": "curl --version | sed -n 's/^curl \\([^ ]*\\).*/\\1/p'",
    "wget": "wget --version | sed -n 's/^GNU Wget \\([^ ]*\\).*/\\1/p'",
    "aws": "aws --version 2>&1 | sed -n 's/^aws-cli.\\([^ ]*\\).*/\\1/p'",
    "s5cmd": "s5cmd version | sed -n 's/^v\\([^-]*\\).*/\\1/p'",
    "aria2c": "aria2c --version | sed -n 's/^aria2 version //p'",
}
"""How each program tells its version; all else is a Python package."""
_PACKAGE_VERSION = "python -c 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))' "


@dataclass(frozen=True)
class Tool:
    """One way to bring a file home."""

    name: str
    command: str
    """What is run, word for word: a line for bash, or a Python program."""
    parts: tuple[str, ...]
    """The programs and Python packages that it is made of."""
    language: Literal["bash", "python"] = "bash"

    def arguments(self) -> list[str]:
        """Return the command line as a scheduler would run it."""
        return [self.language, "-c", self.command]


def variables(programs: Path, scratch: Path) -> dict[str, str]:
    """Return the environment variables that all tools run with: nothing of this machine's own settings is in them.

    Args:
        programs: the folder in which Python and the tools are.
        scratch: an empty folder, as home and for files in passing.
    """
    folders = [programs, rclone_executable().parent, *os.environ["PATH"].split(os.pathsep)]
    path = os.pathsep.join(str(folder) for folder in folders)
    return {"PATH": path, "HOME": str(scratch), "TMPDIR": str(scratch), "RCLONE_CONFIG": ""}


def leading_to(store: Store) -> dict[str, str]:
    """Return the environment variables that lead all tools to a store."""
    rclone = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENV_AUTH": "true",
        "ENDPOINT": store.endpoint_url,
        "REGION": store.region,
    }
    return {
        **store.environment(),
        "AWS_DEFAULT_REGION": store.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_ENDPOINT_URL": store.endpoint_url,  # s5cmd's name for it
        **{f"RCLONE_CONFIG_STORE_{name}": value for name, value in rclone.items()},
    }


def installed(folder: Path = ENVIRONMENT) -> Path:
    """Install the tools that come as wheels, in the versions of `uv.lock`, and return the folder of their programs.

    Args:
        folder: of their virtual environment, which is made if it is not there.

    Raises:
        subprocess.CalledProcessError: uv could not; it says why on stderr.
    """
    settings = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder)}
    command = ["uv", "sync", "--quiet", "--frozen", "--only-group", "peers", "--project", str(ROOT)]
    subprocess.run(command, env=settings, check=True)
    return folder / Path(sys.executable).parent.name


def version(part: str, environment: Mapping[str, str]) -> str | None:
    """Return the version of a program or a Python package, or None if it is not here."""
    command = VERSIONS.get(part, _PACKAGE_VERSION + part)
    answer = subprocess.run(["/bin/bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


_CURL = 'curl -fsSL --retry 5 --retry-delay 1 --speed-limit 1 --speed-time 10 "$URL"'
_WGET = 'wget -q --tries=5 --waitretry=1 --timeout=10 "$URL"'
_TO_AWS = 'aws s3 cp - "s3://$BUCKET/$KEY"'
_FILE_TO_AWS = 'aws s3 cp file "s3://$BUCKET/$KEY"'

_HEAD = """\
import os, boto3, {module}
url, bucket, key = (os.environ[name] for name in ("URL", "BUCKET", "KEY"))
"""
# `upload_fileobj` takes a short read for the end, so that an iterator of chunks needs this much at least.
_AS_FILE = """\
import io
class AsFile(io.RawIOBase):
    def __init__(self, chunks):
        self.chunks, self.rest = iter(chunks), b""
    def readable(self):
        return True
    def readinto(self, buffer):
        self.rest = self.rest or next(self.chunks, b"")
        count = min(len(buffer), len(self.rest))
        buffer[:count], self.rest = self.rest[:count], self.rest[count:]
        return count
"""
_REQUESTS = _HEAD.format(module="requests")
_COPY = """\
import os, shutil, {module}
url, bucket, key = (os.environ[name] for name in ("URL", "BUCKET", "KEY"))
with {source} as source, {module}.open(f"s3://{{bucket}}/{{key}}", "wb") as target:
    shutil.copyfileobj(source, target)
"""
HTTPX_UPLOAD_FILEOBJ = Tool(
    "httpx → upload_fileobj",
    _HEAD.format(module="httpx") + _AS_FILE + """\
with httpx.stream("GET", url, follow_redirects=True, timeout=10) as answer:
    answer.raise_for_status()
    boto3.client("s3").upload_fileobj(io.BufferedReader(AsFile(answer.iter_bytes())), bucket, key)
""",
    ("httpx", "boto3"),
    "python",
)  # fmt: skip
RCLONE_COPYURL = Tool("rclone copyurl", 'rclone copyurl "$URL" "store:$BUCKET/$KEY" --timeout 10s', ("rclone",))
TOOLS: tuple[Tool, ...] = (
    RCLONE_COPYURL,
    # A HEAD is refused: the URL is signed for GET alone. Without a size, rclone uses a single stream nevertheless.
    Tool(
        "rclone copyto :http:",
        'rclone copyto --http-url "$ORIGIN" --http-no-head --http-no-escape --multi-thread-streams 8'
        ' --multi-thread-cutoff 1Mi --timeout 10s ":http:${URL#$ORIGIN/}" "store:$BUCKET/$KEY"',
        ("rclone",),
    ),
    Tool("curl | rclone rcat", f'set -o pipefail; {_CURL} | rclone rcat "store:$BUCKET/$KEY"', ("curl", "rclone")),
    Tool("curl | aws s3 cp", f'curl -sL "$URL" | {_TO_AWS}', ("curl", "aws")),
    Tool("curl --fail --retry | aws s3 cp, pipefail", f"set -o pipefail; {_CURL} | {_TO_AWS}", ("curl", "aws")),
    Tool("curl --fail --retry | s5cmd pipe, pipefail",
         f'set -o pipefail; {_CURL} | s5cmd pipe "s3://$BUCKET/$KEY"', ("curl", "s5cmd")),
    Tool("wget | aws s3 cp, pipefail", f"set -o pipefail; {_WGET} -O - | {_TO_AWS}", ("wget", "aws")),
    Tool("curl -o && aws s3 cp", f'curl -sL -o file "$URL" && {_FILE_TO_AWS}', ("curl", "aws")),
    Tool("curl --fail --retry -o && aws s3 cp", f"{_CURL} --retry-all-errors -o file && {_FILE_TO_AWS}",
         ("curl", "aws")),
    Tool(
        "curl --fail --retry -o && size as the API says && aws s3 cp",
        f'{_CURL} --retry-all-errors -o file && [ "$(stat -c %s file)" = "$SIZE" ] && {_FILE_TO_AWS}',
        ("curl", "aws"),
    ),
    Tool(
        "curl --fail -C - in a loop && aws s3 cp",
        'n=0; until curl -fsSL -C - --speed-limit 1 --speed-time 10 -o file "$URL"; do'
        f" [ $((n += 1)) -lt 6 ] || exit 1; sleep 1; done; {_FILE_TO_AWS}",
        ("curl", "aws"),
    ),
    Tool("wget -O && aws s3 cp", f"{_WGET} -O file && {_FILE_TO_AWS}", ("wget", "aws")),
    Tool(
        "aria2c -x8 && aws s3 cp",
        'aria2c -q -x8 -s8 -k1M --max-tries=5 --retry-wait=1 --timeout=10 -o file "$URL" && ' + _FILE_TO_AWS,
        ("aria2c", "aws"),
    ),
    HTTPX_UPLOAD_FILEOBJ,
    Tool("requests .raw → upload_fileobj", _REQUESTS + """\
with requests.get(url, stream=True, timeout=10) as answer:
    answer.raise_for_status()
    boto3.client("s3").upload_fileobj(answer.raw, bucket, key)
""", ("requests", "boto3"), "python"),
    Tool("requests iter_content → upload_fileobj", _REQUESTS + _AS_FILE + """\
with requests.get(url, stream=True, timeout=10) as answer:
    answer.raise_for_status()
    chunks = answer.iter_content(1 << 20)
    boto3.client("s3").upload_fileobj(io.BufferedReader(AsFile(chunks)), bucket, key)
""", ("requests", "boto3"), "python"),
    Tool("requests .content → put_object", _REQUESTS + """\
answer = requests.get(url, timeout=10)
answer.raise_for_status()
boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=answer.content)
""", ("requests", "boto3"), "python"),
    Tool("urlopen → upload_fileobj", _HEAD.format(module="urllib.request") + """\
with urllib.request.urlopen(url, timeout=10) as answer:
    boto3.client("s3").upload_fileobj(answer, bucket, key)
""", ("boto3",), "python"),
    Tool("smart_open", _COPY.format(
        module="smart_open", source='smart_open.open(url, "rb", transport_params={"timeout": 10})'
    ), ("smart-open", "boto3"), "python"),
    Tool("fsspec, s3fs", _COPY.format(module="fsspec", source='fsspec.open(url, "rb")'), ("fsspec", "s3fs"), "python"),
)  # fmt: skip
"""Where a way is known both bare and with the care that its manual asks for, both are here."""
