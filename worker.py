"""A worker process: ``python worker.py``. Start as many as there is work for."""

import sys

import runtime.packages  # noqa: F401  # first: it explains missing packages

# isort: split
from runtime.process import leave
from runtime.worker import main

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
