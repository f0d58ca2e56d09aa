"""The doors: what a person, a schedule or another system starts. Each is a command, too: `python -m flows.NAME`."""

import sys

IS_COMMAND = sys.argv[:1] == ["-m"]
"""As Python has it while it looks for the module that it is to run."""

if IS_COMMAND:
    from tasks import process_tuning

    process_tuning.start_quickly()

from tasks import environment  # noqa: E402 - it imports httpx

environment.keep_loopback_direct()  # Prefect makes clients of httpx when it likes
if IS_COMMAND:
    from tasks import cli

    cli.begin()
