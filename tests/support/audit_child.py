"""A process that audits an archive, and kills itself at a read: `audit_child.py SETUP NUMBER`."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

from tasks.audit import auditor
from tasks.s3.client import new_s3_client
from tests.support.archive_child import die
from tests.support.archiving import Run, Setup
from tests.support.auditing import audited_by
from tests.support.meddling import Meddled

if __name__ == "__main__":
    setup, number = Setup.parsed(sys.argv[1]), int(sys.argv[2])
    reads = count(1)

    def meddle(method: str, _request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and next(reads) == number:
            die()
        return send()

    auditor.WRITTEN_EVERY_S = 0.0
    audited_by(Run(setup, Meddled(new_s3_client(8), meddle)))
