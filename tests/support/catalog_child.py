"""A process that updates the catalog, and kills itself before a write: `catalog_child.py SETUP NUMBER`."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

from tasks.s3 import new_s3_client
from tests.support.archive_child import die
from tests.support.archiving import Run, Setup
from tests.support.cataloguing import updated_by
from tests.support.meddling import WRITES, Meddled

if __name__ == "__main__":
    setup, number = Setup.parsed(sys.argv[1]), int(sys.argv[2])
    writes = count(1)

    def meddle(method: str, _request: dict[str, Any], send: Any) -> Any:
        if method.startswith(WRITES) and next(writes) == number:
            die()
        return send()

    updated_by(Run(setup, Meddled(new_s3_client(8), meddle)))
