"""Where things lie in an archive: every key and folder name, and how a key is read. Pure text.

{prefix}/{app_id}/{YYYY}/{MM}/{DD}/{recording_id}/        a recording's bag: UTC day on which it was invoked
    data/video/…  data/audio/…  data/tracks/{layer}/…     its payload
    recording.json  bag-info.txt  manifest-sha256.txt  tagmanifest-sha256.txt
    bagit.txt                                             the marker, written last
    unfinished/…                                          records of uploads under way; gone once it is a bag
{prefix}/{app_id}/…/{recording_id}.description.json       what the media are; derived
{prefix}/{app_id}/…/{recording_id}.vtt  .txt              captions in time with the recording; derived
{prefix}/{app_id}/…/{recording_id}.poster.jpg             a frame of the video; derived
{prefix}/{app_id}/{YYYY}/{MM}/{DD}/session-{session_id}/v0001/    a session's bag: UTC day on which it started
    data/transcript.…  data/chat.…  data/summary.…  data/uploads/…
    data/missing.txt                                      where there is nothing else, as a bag has a payload
    session.json  participants.json                       and the other tag files as above
    unfinished/…                                          claims of runs that write this version
The highest version that has the marker counts; an earlier one is never changed.
{prefix}/_audit/…                                         what was audited when
{prefix}/_catalog/app_id={id}/month={YYYY-MM}/recordings.parquet    the catalog of a month's recordings; derived
{prefix}/_sessions/{app_id}.json                          when sweeps asked for which session's documents; can be lost
{prefix}/_deleted/{app_id}/{YYYY}/{MM}/{DD}/{recording_id}.json    a tombstone: what was deleted on purpose, and why
{prefix}/_deleted/{app_id}/{YYYY}/{MM}/{DD}/session-{session_id}.json    the same of a session's documents
{prefix}/_deleted/_begun/{app_id}/…                       names the tombstones of deletions that are not finished
{prefix}/_retention/policy.toml                           how long recordings are kept; an operator writes it
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from tasks.app_ids import APP_ID
from tasks.documents import count_removed, without_signatures

if TYPE_CHECKING:
    from tasks.realtimekit import MeetingSession, Recording

PAYLOAD = "data/"
MARKER = "bagit.txt"
DETAILS = "recording.json"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
TAG_FILES = (MARKER, TAG_MANIFEST, MANIFEST, INFO, DETAILS)
SESSION_DETAILS = "session.json"
PARTICIPANTS = "participants.json"
SESSION_TAG_FILES = (MARKER, TAG_MANIFEST, MANIFEST, INFO, SESSION_DETAILS, PARTICIPANTS)
UPLOADS = f"{PAYLOAD}uploads/"
MISSING_FILE = f"{PAYLOAD}missing.txt"
UNFINISHED = "unfinished"
AUDIT = "_audit"
"""What is about the archive and not of a recording; no app has such an id."""
CATALOG = "_catalog"
"""What is derived from all bags of a month; no app has such an id either."""
SESSIONS = "_sessions"
"""What sweeps know of the sessions of the last days; no app has such an id either."""
SESSION_DAYS = (0, -1, -2, 1)
"""From the day of a recording to that of its session."""
DELETED = "_deleted"
"""What was deleted on purpose; no app has such an id either."""
RETENTION = "_retention"
"""How long recordings are kept; no app has such an id either."""
NO_APPS = frozenset({f"{AUDIT}/", f"{CATALOG}/", f"{SESSIONS}/", f"{DELETED}/", f"{RETENTION}/"})
"""Folders in the archive's root that are about the archive, and no app's."""
DESCRIPTION = ".description.json"
CAPTIONS = ".vtt"
TRANSCRIPT_TEXT = ".txt"
POSTER = ".poster.jpg"

_ID = "[0-9a-f-]{36}"
_VERSION = rf"session-{_ID}/v(?P<version>[0-9]{{4,6}})/"
_BAG = rf"(?:{_ID}|session-{_ID}/v[0-9]{{4,6}})/"
_DAY = rf"(?P<app>{APP_ID})/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/"
_FOLDER = re.compile(rf"{_DAY}{_BAG}")
_KEY = re.compile(rf"(?P<folder>{_DAY}{_BAG})(?P<path>.+)", re.DOTALL)
_DESCRIPTION = re.compile(rf"{_DAY}{_ID}{re.escape(DESCRIPTION)}")
_POSTER = re.compile(rf"{_DAY}{_ID}{re.escape(POSTER)}")
_DERIVED = re.compile(rf"{_DAY}{_ID}(?:{'|'.join(map(re.escape, (DESCRIPTION, CAPTIONS, TRANSCRIPT_TEXT, POSTER)))})")
_AT_THE_END = re.compile(rf"(?:^|/){_VERSION}$")


class BagKey(NamedTuple):
    """A key that lies in the folder of a recording, or of a version of a session."""

    folder: str  # below the archive's root, with a slash at its end
    app_id: str
    path: str  # within the folder


def is_app(path: str) -> bool:
    """Tell whether a folder in the archive's root may be an app's.

    Args:
        path: below the archive's root, with a slash at its end.
    """
    return path not in NO_APPS and re.fullmatch(f"{APP_ID}/", path) is not None


def session_looks_key(root: str, app_id: str) -> str:
    """Return the key of what sweeps know of an app's sessions.

    Args:
        root: the archive's key prefix, with a slash at its end, or empty.
        app_id: of the sessions.
    """
    return f"{root}{SESSIONS}/{app_id}.json"


def recording_folder(prefix: str, app_id: str, recording: Recording) -> str:
    """Return the key prefix of a recording's bag, with a slash at its end.

    A recording without any time lies under the year 0000: better found late than not kept.

    Args:
        prefix: the archive's, within the bucket, without slashes at its ends; may be empty.
        app_id: the app of the recording.
        recording: its day and its id name the folder.
    """
    return _folder(prefix, app_id, recording.day, recording.id)


def session_folder(prefix: str, app_id: str, session: MeetingSession) -> str:
    """Return the key prefix of a session's versions, with a slash at its end; arguments as for `recording_folder`."""
    return session_folder_on(prefix, app_id, session.id, session.day)


def session_folder_on(prefix: str, app_id: str, session_id: str, day: date | None) -> str:
    """Return the key prefix of the versions of a session that began on a day in UTC."""
    return _folder(prefix, app_id, day, f"session-{session_id}")


def _folder(prefix: str, app_id: str, day: date | None, name: str) -> str:
    of_day = day.strftime("%Y/%m/%d") if day else "0000/00/00"
    return "/".join(part for part in (prefix, app_id, of_day, name) if part) + "/"


def session_days(day: date) -> list[date]:
    """Return the UTC days under one of which the session of a recording lies, the likeliest first.

    A session may have begun long before its recording, and the recording may have been invoked before its session.

    Args:
        day: under which the recording lies.
    """
    near = (day.toordinal() + days for days in SESSION_DAYS)
    return [date.fromordinal(of_session) for of_session in near if 1 <= of_session <= date.max.toordinal()]


def version_folder(folder: str, version: int) -> str:
    """Return the key prefix of a version's bag, with a slash at its end.

    Args:
        folder: of the session, with a slash at its end.
        version: from 1.
    """
    return f"{folder}v{version:04}/"


def version_of(folder: str) -> int:
    """Return the version whose folder this is; 0 if it is not the folder of a session's version.

    Args:
        folder: with a slash at its end, and with anything before the session's own name.
    """
    match = _AT_THE_END.search(folder)
    return int(match["version"]) if match else 0


def session_of(folder: str) -> str:
    """Return the folder of the session that a version's folder lies in; empty if it is not the folder of a version.

    Args:
        folder: with a slash at its end, and with anything before the session's own name.
    """
    return folder.rstrip("/").rpartition("/")[0] + "/" if version_of(folder) else ""


def is_session_folder(folder: str, app_id: str) -> bool:
    """Tell whether a folder is that of one session of an app.

    Args:
        folder: below the archive's root, with a slash at its end.
        app_id: of the app.
    """
    bag = version_folder(folder, 1)
    return parse_folder(bag) == app_id and session_of(bag) == folder


def tag_files(folder: str) -> tuple[str, ...]:
    """Return the names of the tag files that a bag of ours has: a session's has others than a recording's."""
    return SESSION_TAG_FILES if version_of(folder) else TAG_FILES


def document_name(path: str) -> str:
    """Return which document of a session a payload file is: one takes the place of another with this name.

    Args:
        path: within the bag, such as `data/transcript.csv`.
    """
    return path if path.startswith(UPLOADS) else path.removeprefix(PAYLOAD).partition(".")[0]


def document_path(kind: str, extension: str) -> str:
    """Return the path of a session's document within the bag, such as `data/transcript.csv`."""
    return f"{PAYLOAD}{kind}.{extension}"


def upload_path(url: str, extension: str) -> str:
    """Return the path of a file that a chat links to, within the bag.

    Nothing of the name that a stranger gave it is used. A URL that is signed anew leads to the same path, and so does
    the URL as the archived chat has it. Of a URL without a signature, the query may be all that tells two files apart.

    Args:
        url: of the file.
        extension: plain letters and digits.
    """
    cleaned = without_signatures(url.encode(errors="replace"))
    named = re.split(rb"[?#]" if count_removed(cleaned) else rb"#", cleaned, maxsplit=1)[0]
    return f"{UPLOADS}{hashlib.sha256(named).hexdigest()[:32]}.{extension}"


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


def captions_key(folder: str) -> str:
    """Return the key of the captions of a recording, beside its bag."""
    return folder.rstrip("/") + CAPTIONS


def transcript_text_key(folder: str) -> str:
    """Return the key of the transcript of a recording as plain text, beside its bag."""
    return folder.rstrip("/") + TRANSCRIPT_TEXT


def poster_key(folder: str) -> str:
    """Return the key of a frame of a recording's video, beside its bag."""
    return folder.rstrip("/") + POSTER


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


def parse_key(path: str) -> BagKey | None:
    """Read a key; None if it lies in no folder of a recording or of a session's version.

    Args:
        path: the key below the archive's root.
    """
    match = _KEY.fullmatch(path)
    return BagKey(match["folder"], match["app"], match["path"]) if match else None


def parse_folder(folder: str) -> str:
    """Return the app id that a folder names; empty if it is that of no recording and of no session's version.

    Args:
        folder: below the archive's root, with a slash at its end.
    """
    match = _FOLDER.fullmatch(folder)
    return match["app"] if match else ""


def is_derived(path: str) -> bool:
    """Tell whether a key is that of what was made from a recording, such as its description or its captions.

    Args:
        path: the key below the archive's root.
    """
    return _DERIVED.fullmatch(path) is not None


def is_description(path: str) -> bool:
    """Tell whether a key is that of a recording's description.

    Args:
        path: the key below the archive's root.
    """
    return _DESCRIPTION.fullmatch(path) is not None


def is_poster(path: str) -> bool:
    """Tell whether a key is that of a frame of a recording's video.

    Args:
        path: the key below the archive's root.
    """
    return _POSTER.fullmatch(path) is not None


def derived_folder(path: str) -> str:
    """Return the folder of the recording that something was made from, with a slash at its end.

    Args:
        path: the key of what was made, which lies beside the folder.
    """
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}/"


def is_unfinished(path: str) -> bool:
    """Tell whether a path in a bag's folder is that of a record of work under way, which comes and goes."""
    return path.startswith(f"{UNFINISHED}/")
