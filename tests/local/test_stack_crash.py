"""No child outlives its supervisor, no other process is taken for a child, and a crashed stack starts again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.postgres_home import find_postgres_home
from local.processes import ProcessIdentity, is_alive
from local.stack import LocalStack, running_stack
from local.stack_state import StackRecord, read_record
from tests.local.stack_helpers import (
    DEAF_WORKER,
    PROJECT,
    children_of_stack,
    eventually,
    execute,
    options,
    postgres_only,
    still_running,
    without_servers,
)

STRANGER = (sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)")


@pytest.fixture(autouse=True)
def discarded_directory(tmp_path: Path) -> Iterator[None]:
    """A cluster is 40 MB, and pytest keeps the directories of three runs."""
    yield
    shutil.rmtree(tmp_path)


@contextmanager
def supervisor(directory: Path, *worker: str) -> Iterator[dict[str, Any]]:
    """A stack run by another process: its addresses and, as `process`, the supervisor."""
    command = (sys.executable, "-m", "tests.local.stack_supervisor", str(directory), *worker)
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield {**json.loads(process.stdout.readline()), "process": process}
        finally:
            process.kill()


@contextmanager
def stranger() -> Iterator[subprocess.Popen[str]]:
    """A process that is not a child of a stack."""
    with subprocess.Popen(STRANGER, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"  # before that, it shows no command line
            yield process
        finally:
            process.kill()


async def test_a_leftover_of_an_unknown_kind_is_stopped_too(tmp_path: Path) -> None:
    me = ProcessIdentity.of("supervisor")
    with stranger() as process:
        unknown = ProcessIdentity.of("searxng-1", process.pid)
        gone = ProcessIdentity(name="postgres", pid=process.pid, created_at_s=0)
        record = StackRecord(supervisor=me, children=(gone, unknown))
        (tmp_path / "stack.json").write_text(record.model_dump_json())
        async with LocalStack(without_servers(tmp_path)):
            assert process.wait(10) != 0


async def test_children_end_with_a_killed_supervisor_and_data_stays(tmp_path: Path) -> None:
    with supervisor(tmp_path) as crashed:
        await execute(crashed["database_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
        assert set(children_of_stack(tmp_path)) == {"postgres", "temporal"}
        crashed["process"].kill()
        crashed["process"].wait()
        assert running_stack(tmp_path) is None, "stack.json is there, the supervisor is not"
        gone = await eventually(lambda: children_of_stack(tmp_path) == {}, within_s=5)
        assert gone or not sys.platform.startswith("linux"), children_of_stack(tmp_path)
    async with LocalStack(options(tmp_path)) as again:
        addresses = await again.start_servers()
        assert await execute(addresses.database_url, "SELECT answer FROM kept") == [(42,)]


async def test_the_next_start_kills_a_deaf_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.processes.LEFTOVER_GRACE_S", 0.3)
    with supervisor(tmp_path, sys.executable, "-c", DEAF_WORKER) as crashed:
        crashed["process"].kill()
    leftover = children_of_stack(tmp_path)
    assert "worker-1" in leftover
    async with LocalStack(without_servers(tmp_path)):
        assert still_running(leftover) == []


async def test_a_second_sigterm_does_not_wait_for_a_deaf_worker(tmp_path: Path) -> None:
    with supervisor(tmp_path, sys.executable, "-c", DEAF_WORKER) as running:
        children = children_of_stack(tmp_path)
        assert set(children) == {"postgres", "temporal", "worker-1"}
        running["process"].terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            running["process"].wait(timeout=0.5)
        running["process"].terminate()
        running["process"].wait(timeout=8)
    assert still_running(children) == []


async def test_sigterm_stops_the_whole_stack(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        children = children_of_stack(tmp_path)
        running["process"].terminate()
        running["process"].wait(timeout=10)
    assert still_running(children) == []


def test_a_reused_pid_is_another_process(tmp_path: Path) -> None:
    me = ProcessIdentity.of("supervisor")
    addresses = {"temporal_address": "127.0.0.1:1", "database_url": "postgresql://h/d", "pid": me.pid}
    for created_at_s, runs in ((me.created_at_s, True), (me.created_at_s - 3600, False)):
        record = StackRecord.model_validate(
            {
                "supervisor": {"name": "supervisor", "pid": me.pid, "created_at_s": created_at_s},
                "addresses": {**addresses, "started_at": "2026-01-01T00:00:00Z"},
            }
        )
        (tmp_path / "stack.json").write_text(record.model_dump_json())
        assert (running_stack(tmp_path) is not None) is runs


async def test_a_stale_postmaster_pid_does_not_block_the_start(tmp_path: Path) -> None:
    async with LocalStack(postgres_only(tmp_path)) as first:
        await first.start_servers()
    # As after a power cut: the pid in the file is another program's now. Postgres alone would refuse to start.
    pid_file = find_postgres_home(tmp_path).data / "postmaster.pid"
    with stranger() as process:
        pid_file.write_text(f"{process.pid}\n{pid_file.parent}\n1\n5432\n\n127.0.0.1\n1 1\nready\n")
        async with LocalStack(postgres_only(tmp_path)) as second:
            await second.start_servers()
        assert process.poll() is None


async def test_a_server_that_only_postmaster_pid_knows_is_stopped(tmp_path: Path) -> None:
    with supervisor(tmp_path) as crashed:
        os.kill(crashed["pid"], signal.SIGSTOP)  # now nobody stops its children, not even the kernel
        # What is left of the directory is the data.
        (tmp_path / "stack.json").unlink()
        (tmp_path / "stack.lock").unlink()
        home = find_postgres_home(tmp_path)
        server = psutil.Process(int((home.data / "postmaster.pid").read_text().splitlines()[0]))
        async with LocalStack(postgres_only(tmp_path)) as stack:
            addresses = await stack.start_servers()
            assert not is_alive(server)
            assert await execute(addresses.database_url, "SELECT 1") == [(1,)]


def test_a_damaged_record_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"damaged": true}')
    assert read_record(tmp_path) is None
    assert running_stack(tmp_path) is None
