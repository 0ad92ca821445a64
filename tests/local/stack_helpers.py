"""What the tests of the embedded stack share: small programs to run as workers, and short ways to look at a stack."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from local.stack import StackOptions
from local.stack_state import read_record

PROJECT = Path(__file__).resolve().parents[2]

# Ready, then waits for SIGTERM; on it still uses the database, as a worker that lets its activities end does.
DRAINING_WORKER = """
import os, pathlib, signal, psycopg
ready = pathlib.Path(os.environ["WORKER_READY_FILE"])
def drain(*_):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("INSERT INTO drained VALUES (%s)", (ready.stem,))
    raise SystemExit(0)
signal.signal(signal.SIGTERM, drain)
ready.write_text("ready")
while True:
    signal.pause()
"""

# Hears nothing: only SIGKILL ends it.
DEAF_WORKER = """
import os, pathlib, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["WORKER_READY_FILE"]).write_text("ready")
while True:
    signal.pause()
"""


def servers_only(directory: Path, *, workers: int = 0) -> StackOptions:
    """Postgres and Temporal without the demo."""
    return StackOptions(directory=directory, demo_web=False, demo_model=False, workers=workers)


def postgres_only(directory: Path) -> StackOptions:
    """For tests to which a Temporal server would be a second of waiting and nothing else."""
    return servers_only(directory).model_copy(update={"external_temporal_address": "127.0.0.1:1"})


async def execute(database_url: str, query: str) -> list[tuple[object, ...]]:
    """Run one statement; its rows, if it has any."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute(query.encode())
        return await cursor.fetchall() if cursor.description else []


def children_of_stack(directory: Path) -> dict[str, psutil.Process]:
    """The running children that `stack.json` names."""
    record = read_record(directory)
    found = {child.name: child.find() for child in record.children} if record else {}
    return {name: process for name, process in found.items() if process is not None}


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended. A zombie has: it only waits for a parent to take note, which may be nobody of ours."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def permissions(path: Path) -> int:
    """The permission bits of a file or directory."""
    return stat.S_IMODE(path.stat().st_mode)


def set_permissions(path: Path, mode: int) -> None:
    """Change the permission bits of a file or directory."""
    path.chmod(mode)


async def eventually(holds: Callable[[], bool], *, within_s: float) -> bool:
    """Whether it came to hold within the time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
