"""Tells a Prefect server of this project: its work pool, its deployments, and an automation.

uv run python -m flows.deploy
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tasks import cli, command
from tasks.arguments import parse_for
from tasks.errors import SettingsInvalid
from tasks.prefect_settings import WORK_POOL

PROJECT = Path(__file__).parents[1]


def deploy() -> int:
    """Make the work pool, all deployments of prefect.yaml, and the automation that ends dead runs, on Prefect's server.

    It may be run again at any time: it brings the deployments up to date, and leaves alone what somebody has paused.
    """
    try:
        _deploy()
    except subprocess.CalledProcessError:
        return cli.FAILED  # Prefect's command has said why
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told, and the exit code says so
        return cli.failed(error)
    return cli.DONE


def _deploy() -> None:
    if not command.is_server_configured():
        raise SettingsInvalid(("PREFECT_API_URL: is missing",))
    from tasks.orchestration import server, silent_runs  # noqa: PLC0415 - imports Prefect, which takes seconds

    with server.prefect_at_hand():
        if not _has_pool():
            _prefect("work-pool", "create", WORK_POOL, "--type", "process")
        _prefect("deploy", "--all")
        silent_runs.ensure_automation()


def _has_pool() -> bool:
    """Tell whether there is the work pool; `create --overwrite` would undo its pause and its limit."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(WORK_POOL)
        except ObjectNotFound:
            return False
        return True


def _prefect(*arguments: str) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    subprocess.run(command, cwd=PROJECT, check=True)  # noqa: S603 - our own words


def main(arguments: list[str] | None = None) -> int:
    """Tell the server.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return deploy(**parse_for(deploy, "python -m flows.deploy", arguments))


if __name__ == "__main__":
    sys.exit(main())
