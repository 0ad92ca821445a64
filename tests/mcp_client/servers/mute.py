"""A program that is configured as an MCP server and never becomes one.

``python mute.py NOTE [TEXT]`` writes its process id and that of a child it starts to NOTE; with a text it says that on standard error
and ends, otherwise it stays, and answers nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

STAYS_S = 3600


def main() -> None:
    note, *text = sys.argv[1:]
    if text:
        sys.stderr.write(f"{text[0]}\n")
        sys.exit(1)
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({STAYS_S})"])
    Path(note).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(STAYS_S)


if __name__ == "__main__":
    main()
