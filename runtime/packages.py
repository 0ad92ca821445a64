"""Explains how to run the program if packages are missing, and exits with 2. Import this module before any package."""

import importlib.util
import sys
from pathlib import Path

_SCRIPT = Path(sys.argv[0]).name

if _SCRIPT in {"starter.py", "worker.py"} and importlib.util.find_spec("typer") is None:
    sys.stderr.write(
        f"error: this Python ({sys.executable}) does not have the project's packages. "
        f"Run `. .venv/bin/activate` first, or use `.venv/bin/python {_SCRIPT}`. "
        "If there is no .venv yet, `make demo` creates it.\n"
    )
    sys.exit(2)
