"""A program that never becomes an MCP server: ``python mute.py NOTE [TEXT]``.

With TEXT it writes that to standard error and ends. Otherwise it writes its own and a child's process id to NOTE and hangs.
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
