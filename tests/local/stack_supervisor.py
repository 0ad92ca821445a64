"""A command that runs a stack, for tests that kill it: ``python -m tests.local.stack_supervisor DIRECTORY [WORKER…]``.

Prints the addresses as one line of JSON when all is ready, and stops on SIGTERM as the real command does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import structlog

from local.stack import LocalStack
from tests.local.stack_helpers import options


async def main(directory: Path, worker_command: list[str]) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    workers = 1 if worker_command else 0
    async with LocalStack(options(directory, workers=workers), worker_command=worker_command) as stack:
        addresses = await stack.start_servers()
        await stack.start_workers()
        sys.stdout.write(addresses.model_dump_json() + "\n")
        sys.stdout.flush()
        await stack.wait_until_broken()


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):  # SIGTERM is an orderly end
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
