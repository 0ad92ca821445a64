"""Run a worker: ``python worker.py``. Start more workers for more throughput."""

import sys

import runtime.packages  # noqa: F401  # first, because it explains missing packages

# isort: split
from runtime.process import leave
from runtime.worker import main

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
