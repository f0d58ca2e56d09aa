"""The doors: what a person, a schedule or another system starts. Each is a command, too: `python -m flows.NAME`."""

import sys

from tasks import environment

environment.keep_loopback_direct()  # Prefect makes clients of httpx when it likes
if sys.argv[:1] == ["-m"]:  # as Python has it while it looks for the module that it is to run
    from tasks import cli

    cli.begin()
