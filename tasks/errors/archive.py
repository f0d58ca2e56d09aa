"""Errors of the archive, and of the runs that look after it."""

from __future__ import annotations

from tasks.errors.base import FinalError, RetryableError


class ArchiveDamaged(FinalError):
    """A committed archive that is not whole."""

    def __init__(self, archive_url: str, findings: tuple[str, ...]) -> None:
        super().__init__(archive_url, findings)
        self.archive_url, self.findings = archive_url, findings

    def _message(self) -> str:
        more = f"; and {len(self.findings) - 10} more" if len(self.findings) > 10 else ""
        return (
            f"{self.archive_url} is committed, but not whole: {'; '.join(self.findings[:10])}{more}. "
            "Run again with overwrite while the recording still exists at its source."
        )


class ReplacementSmaller(FinalError):
    """The archive holds files that the API hands out no more."""

    def __init__(self, archive_url: str, missing: str) -> None:
        super().__init__(archive_url, missing)
        self.archive_url, self.missing = archive_url, missing

    def _message(self) -> str:
        return (
            f"{self.archive_url} holds more than the API hands out now: {self.missing}. To overwrite it would delete "
            "what may be the only copy, so nothing was replaced. If that is what you want, delete the folder first."
        )


class ArchiveLocked(FinalError):
    """The store keeps an archive from being replaced or deleted."""

    def __init__(self, archive_url: str, lock: str) -> None:
        super().__init__(archive_url, lock)
        self.archive_url, self.lock = archive_url, lock

    def _message(self) -> str:
        return (
            f"{self.archive_url} is locked: {self.lock}. Nothing was replaced. Overwrite it after that. If "
            "it is damaged, the locked versions of its files are still in the bucket: delete the versions and delete "
            "markers above them."
        )


class LocksUnsupported(FinalError):
    """Archives are to be locked in a bucket that knows no locks."""

    def __init__(self, bucket_url: str) -> None:
        super().__init__(bucket_url)
        self.bucket_url = bucket_url

    def _message(self) -> str:
        return (
            f"{self.bucket_url} has no Object Lock, and ARCHIVE_OBJECT_LOCK is set: nothing is archived there. Turn "
            "Object Lock on (with most stores, when the bucket is made), or leave ARCHIVE_OBJECT_LOCK empty."
        )


class NotInArchive(FinalError):
    """An address is not that of a recording in the archive: nothing is read or written there."""

    def __init__(self, archive_url: str, root: str, recording_id: str) -> None:
        super().__init__(archive_url, root, recording_id)
        self.archive_url, self.root, self.recording_id = archive_url, root, recording_id

    def _message(self) -> str:
        return (
            f"{self.archive_url[:300]!r} is not where recording {self.recording_id[:80]} could be archived. It must be "
            f"like {self.root}/APP_ID/YYYY/MM/DD/RECORDING_ID/, with ARCHIVE_URL as this run's settings have it."
        )


class NotArchived(FinalError):
    """There is no committed archive at an address."""

    def __init__(self, archive_url: str) -> None:
        super().__init__(archive_url)
        self.archive_url = archive_url

    def _message(self) -> str:
        return f"{self.archive_url} holds no archive: there is no bagit.txt. Archive the recording first."


class DeletedOnPurpose(FinalError):
    """A recording, or what belongs to a session, was deleted on purpose, and is not archived again by itself."""

    def __init__(self, kind: str, its_id: str, when: str, by: str, reason: str) -> None:
        super().__init__(kind, its_id, when, by, reason)
        self.kind, self.its_id, self.when, self.by, self.reason = kind, its_id, when, by, reason

    def _message(self) -> str:
        return (
            f"The {self.kind} {self.its_id} was deleted on purpose on {self.when} by {self.by}: {self.reason}. "
            "It is not archived again, unless a person asks for that with --despite-deletion."
        )


class TombstoneUnreadable(FinalError):
    """The record of a deletion cannot be read, so that nobody knows what was deleted."""

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(target, problem)
        self.target, self.problem = target, problem

    def _message(self) -> str:
        return (
            f"{self.target} is to say what was deleted on purpose, and cannot be read: {self.problem}. Nothing is "
            "archived or deleted there until a person has looked: a newer version of this program may have written it."
        )


class PolicyInvalid(FinalError):
    """The policy of retention is not well-formed, or means something that is not there: nothing is deleted."""

    def __init__(self, target: str, problems: tuple[str, ...]) -> None:
        super().__init__(target, problems)
        self.target, self.problems = target, problems

    def _message(self) -> str:
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"Nothing was deleted, as {self.target} is not to be relied on:\n{listed}"


class PolicyChanged(FinalError):
    """The policy of retention is another one than a run began with: what is left is not deleted by that run."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def _message(self) -> str:
        return (
            f"{self.target} has changed since this run has read it, or is gone: nothing more was deleted. Look at it, "
            "and run the same again."
        )


class RequestUnclear(FinalError):
    """A request for a deletion does not say what it means, or means what is not there: nothing is deleted."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def _message(self) -> str:
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"Nothing was deleted, as the request is not clear:\n{listed}"


class DeletionIncomplete(FinalError):
    """Something that was to be deleted is still there; all else was deleted."""

    def __init__(self, problems: str) -> None:
        super().__init__(problems)
        self.problems = problems

    def _message(self) -> str:
        return f"Not everything was deleted. {self.problems}"


class DamageFound(FinalError):
    """An audit found archives that are no longer what was archived."""

    def __init__(self, summary: str) -> None:
        super().__init__(summary)
        self.summary = summary

    def _message(self) -> str:
        return f"The archive is damaged; the audit has changed nothing. {self.summary}"


class AuditUnfinished(RetryableError):
    """An audit could not read what it was to read: the store, or some of its objects, did not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return (
            f"The audit is unfinished: {self.reason} That is no damage, as far as anybody knows; what was audited is "
            "recorded, and the next run carries on."
        )


class CatalogMissing(FinalError):
    """There is no catalog."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def _message(self) -> str:
        return f"There is no catalog below {self.url}. Make it: uv run python -m flows.update_catalog"


class CatalogNewer(FinalError):
    """A newer version of this program has written the catalog, with columns that this one would drop."""

    def __init__(self, url: str, version: int, known: int) -> None:
        super().__init__(url, version, known)
        self.url, self.version, self.known = url, version, known

    def _message(self) -> str:
        return (
            f"{self.url} has version {self.version} of the catalog's schema; this program knows {self.known}. Nothing "
            "was written. Update this program wherever it updates the catalog."
        )


class CannotHandOut(FinalError):
    """Recordings cannot be handed out as runs of a deployment."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return (
            f"Recordings cannot be handed out to other runs: {self.reason}. Without hand_out, the sweep archives them."
        )


class SweepIncomplete(FinalError):
    """A sweep found, or left, recordings that somebody has to look after."""

    def __init__(self, findings: str) -> None:
        super().__init__(findings)
        self.findings = findings

    def _message(self) -> str:
        return f"The sweep did what it could, but somebody has to look: {self.findings}"
