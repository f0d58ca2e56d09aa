"""The tests, whose many processes are not to compile all modules again and again."""

import os
import sys
from pathlib import Path

if sys.dont_write_bytecode:
    # Images of containers like to set it. Compiling takes longer than all else at the start of a process, so let
    # bytecode be kept, though out of the folders that it was to be kept out of.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(sys.prefix, "bytecode"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
