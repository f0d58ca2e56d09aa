"""Python programs that run in a process of their own, as what they change is for the whole process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def said(program: str, *arguments: str) -> str:
    """Return what a program wrote to stdout.

    Args:
        program: its text.
        arguments: on its command line.

    Raises:
        CalledProcessError: the program failed.
    """
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
