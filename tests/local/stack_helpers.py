"""Small programs to run as workers, and short ways to look at a stack."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from local.processes import is_alive
from local.stack import StackOptions
from local.stack_state import read_record

PROJECT = Path(__file__).resolve().parents[2]

# Writes its name to the database when it gets SIGTERM, as a worker does whose activities end.
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

# Ignores every signal but SIGKILL.
DEAF_WORKER = """
import os, pathlib, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path(os.environ["WORKER_READY_FILE"]).write_text("ready")
while True:
    signal.pause()
"""


def options(directory: Path, **changes: object) -> StackOptions:
    """Postgres and Temporal without the demo and workers."""
    return StackOptions.model_validate(
        {"directory": directory, "demo_web": False, "demo_model": False, "workers": 0, **changes}
    )


def postgres_only(directory: Path) -> StackOptions:
    return options(directory, external_temporal_address="127.0.0.1:1")


def without_servers(directory: Path, **changes: object) -> StackOptions:
    """For tests that concern only the demo or the workers."""
    url = "postgresql://nobody@127.0.0.1:1/none"
    return options(directory, external_temporal_address="127.0.0.1:1", external_database_url=url, **changes)


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


def still_running(children: dict[str, psutil.Process]) -> list[str]:
    return [name for name, process in children.items() if is_alive(process)]


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def set_permissions(path: Path, mode: int) -> None:
    path.chmod(mode)


async def eventually(holds: Callable[[], bool], *, within_s: float) -> bool:
    """Whether it holds within the time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
