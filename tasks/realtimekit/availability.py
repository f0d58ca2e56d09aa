"""Whether an UPLOADED recording can be downloaded, and if not, why, and where else its files may be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.errors import NothingToDownload

if TYPE_CHECKING:
    from tasks.realtimekit.models import Recording


def require_media(recording: Recording, now: datetime | None = None) -> None:
    """Check that an UPLOADED recording can be downloaded at all.

    Args:
        now: the moment to judge its age at; without one, the present.

    Raises:
        NothingToDownload: a file has no usable URL; or none is handed out, and it says whether the seven days are
            over or RealtimeKit's bucket was turned off, which looks the same otherwise.
    """
    if recording.media and not recording.without_url:
        return
    if recording.has_left_the_bucket(now or datetime.now(UTC)):
        raise NothingToDownload(recording.id, "it has left RealtimeKit's bucket, which keeps files for 7 days.")
    if recording.without_url:
        raise NothingToDownload(recording.id, _without_url(recording))
    if recording.has_no_tracks:
        raise NothingToDownload(recording.id, "it is a track recording without tracks, as nobody spoke.")
    raise NothingToDownload(recording.id, f"RealtimeKit's bucket was turned off {_OFF_FOR}, {_whereabouts(recording)}")


_OFF_FOR = "for the app, its meeting or this recording (realtimekit_bucket_config.enabled = false)"


def _whereabouts(recording: Recording) -> str:
    """Return where a recording without any URL may be."""
    if not recording.is_elsewhere:
        return (
            "and the API names no storage of your own. So it was uploaded nowhere, which RealtimeKit calls an invalid "
            "recording; or its URL is late, and the next run finds it. Look into RealtimeKit's dashboard."
        )
    named = [recording.storage_type, recording.storage_bucket and f"bucket {recording.storage_bucket}"]
    taken = ", taken for your own R2 as it names a bucket" if recording.storage_type == "cloudflare" else ""
    return (
        f"so that its files went straight to your own storage ({', '.join(filter(None, named))}{taken}) and have no "
        "download URL. Look for them there."
    )


def require_some_media(recording: Recording) -> None:
    """Check that at least one file of an UPLOADED recording can be downloaded: it is moved, whatever is missing.

    Raises:
        NothingToDownload: none can, see `require_media`.
    """
    if not recording.media:
        require_media(recording)


def require_no_missing_media(recording: Recording, archive_url: str) -> None:
    """Check that the files of an UPLOADED recording that could be moved are all of its files.

    Args:
        recording: whose files with a URL are stored by now.
        archive_url: where.

    Raises:
        NothingToDownload: the API names others, too.
    """
    if recording.without_url:
        count = len(recording.media)
        stored = "1 other file is" if count == 1 else f"{count} other files are"
        raise NothingToDownload(
            recording.id,
            f"{_without_url(recording)} {stored} stored in {archive_url} and kept, but that is no archive without the "
            "rest: run again once the API hands out all. Nothing of what is stored is fetched again. If the rest will "
            "never come, run again with partial (--partial).",
        )


def _without_url(recording: Recording) -> str:
    named = ", ".join(recording.without_url[:5]) + (" and more" if len(recording.without_url) > 5 else "")
    return f"the API names files without a usable URL: {named}."
