"""Where things lie in an archive: every key and folder name, and how a key is read. Pure text.

{prefix}/{app_id}/{YYYY}/{MM}/{DD}/{recording_id}/        a recording's bag: UTC day on which it was invoked
    data/video/…  data/audio/…  data/tracks/{layer}/…     its payload
    recording.json  bag-info.txt  manifest-sha256.txt  tagmanifest-sha256.txt
    bagit.txt                                             the marker, written last
    unfinished/…                                          records of uploads under way; gone once it is a bag
{prefix}/{app_id}/…/{recording_id}.description.json       what the media are; derived
{prefix}/_audit/…                                         what was audited when
{prefix}/_catalog/app_id={id}/month={YYYY-MM}/recordings.parquet    the catalog of a month's recordings; derived
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tasks.settings import APP_ID

if TYPE_CHECKING:
    from tasks.realtimekit import Recording

PAYLOAD = "data/"
MARKER = "bagit.txt"
DETAILS = "recording.json"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
TAG_FILES = (MARKER, TAG_MANIFEST, MANIFEST, INFO, DETAILS)
UNFINISHED = "unfinished"
AUDIT = "_audit"
"""What is about the archive and not of a recording; no app has such an id."""
CATALOG = "_catalog"
"""What is derived from all bags of a month; no app has such an id either."""
DESCRIPTION = ".description.json"

_DAY = rf"(?P<app>{APP_ID})/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/"
_FOLDER = re.compile(rf"{_DAY}[0-9a-f-]{{36}}/")
_KEY = re.compile(rf"(?P<folder>{_DAY}(?P<id>[0-9a-f-]{{36}})/)(?P<path>.+)", re.DOTALL)
_BESIDE = re.compile(rf"{_DAY}[0-9a-f-]{{36}}{re.escape(DESCRIPTION)}")
_MONTH_FOLDER = re.compile(rf"(?P<app>{APP_ID})/(?P<year>[0-9]{{4}})/(?P<month>[0-9]{{2}})/")
_MONTH = re.compile(rf"{CATALOG}/app_id=(?P<app>{APP_ID})/month=(?P<month>[0-9]{{4}}-[0-9]{{2}})/recordings\.parquet")


class RecordingKey(NamedTuple):
    """A key that lies in the folder of a recording."""

    folder: str  # below the archive's root, with a slash at its end
    app_id: str
    path: str  # within the folder


class Month(NamedTuple):
    """A month of an app's recordings: what one file of the catalog is about."""

    app_id: str
    month: str  # YYYY-MM

    @property
    def folder(self) -> str:
        """Where the month's bags lie, below the archive's root, without a slash at its end."""
        return f"{self.app_id}/{self.month.replace('-', '/')}"

    @property
    def catalog_path(self) -> str:
        """The path of the month's catalog file below the archive's root, as Hive names partitions."""
        return f"{CATALOG}/app_id={self.app_id}/month={self.month}/recordings.parquet"


def is_app(path: str) -> bool:
    """Tell whether a folder in the archive's root may be an app's.

    Args:
        path: below the archive's root, with a slash at its end.
    """
    return path not in {f"{AUDIT}/", f"{CATALOG}/"} and re.fullmatch(f"{APP_ID}/", path) is not None


def is_year(path: str) -> bool:
    """Tell whether a folder is of an app's year.

    Args:
        path: below the archive's root, with a slash at its end.
    """
    return re.fullmatch(f"{APP_ID}/[0-9]{{4}}/", path) is not None


def parse_month(path: str) -> Month | None:
    """Return the month whose folder a path is; None if it is none.

    Args:
        path: below the archive's root, with a slash at its end.
    """
    match = _MONTH_FOLDER.fullmatch(path)
    return Month(match["app"], f"{match['year']}-{match['month']}") if match else None


def month_of(folder: str) -> Month:
    """Return the month of a recording's folder.

    Args:
        folder: below the archive's root.
    """
    app_id, year, month = folder.split("/")[:3]
    return Month(app_id, f"{year}-{month}")


def parse_catalog_path(path: str) -> Month | None:
    """Return the month that a file of the catalog is about; None if it is none of the catalog's files.

    Args:
        path: the key below the archive's root.
    """
    match = _MONTH.fullmatch(path)
    return Month(match["app"], match["month"]) if match else None


def recording_folder(prefix: str, app_id: str, recording: Recording) -> str:
    """Return the key prefix of a recording's bag, with a slash at its end.

    A recording without any time lies under the year 0000: better found late than not kept.

    Args:
        prefix: the archive's, within the bucket, without slashes at its ends; may be empty.
        app_id: the app of the recording.
        recording: its day and its id name the folder.
    """
    day = recording.day.strftime("%Y/%m/%d") if recording.day else "0000/00/00"
    return "/".join(part for part in (prefix, app_id, day, recording.id) if part) + "/"


def unfinished_folder(folder: str) -> str:
    """Return where the records of a recording's uploads lie, with a slash at its end.

    Args:
        folder: of the recording, with a slash at its end.
    """
    return f"{folder}{UNFINISHED}/"


def description_key(folder: str) -> str:
    """Return the key of a recording's description: beside its bag, as a bag is never changed.

    Args:
        folder: of the recording, with a slash at its end.
    """
    return folder.rstrip("/") + DESCRIPTION


def kind_of(path: str) -> str:
    """Return the kind of a payload file: `video`, `audio` or `tracks`.

    Args:
        path: within the bag, such as `data/video/meeting.mp4`.
    """
    return path.split("/")[1]


def identity_of(path: str) -> str:
    """Return what tells a payload file from the others: there is one video and one audio, whatever their names.

    Args:
        path: within the bag.
    """
    return path if kind_of(path) == "tracks" else kind_of(path)


def parse_key(path: str) -> RecordingKey | None:
    """Read a key; None if it lies in no folder of a recording.

    Args:
        path: the key below the archive's root.
    """
    match = _KEY.fullmatch(path)
    return RecordingKey(match["folder"], match["app"], match["path"]) if match else None


def parse_folder(folder: str) -> str:
    """Return the app id that a recording's folder names; empty if it is not the folder of a recording.

    Args:
        folder: below the archive's root, with a slash at its end.
    """
    match = _FOLDER.fullmatch(folder)
    return match["app"] if match else ""


def is_description(path: str) -> bool:
    """Tell whether a key is that of a recording's description.

    Args:
        path: the key below the archive's root.
    """
    return _BESIDE.fullmatch(path) is not None


def described_folder(path: str) -> str:
    """Return the folder of the recording that a description is about, with a slash at its end.

    Args:
        path: the description's key.
    """
    return path.removesuffix(DESCRIPTION) + "/"


def is_unfinished(path: str) -> bool:
    """Tell whether a path in a recording's folder is that of a record of an upload under way, which comes and goes."""
    return path.startswith(f"{UNFINISHED}/")
