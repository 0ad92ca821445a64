"""No child outlives its supervisor, no stranger is taken for a child, and data of a crashed stack is used again."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import local.postgres_home
from local.postgres_home import find_postgres_home
from local.processes import ProcessIdentity, StackError, stop_leftover
from local.stack import LocalStack, running_stack
from local.stack_state import StackRecord, read_record
from tests.local.stack_helpers import (
    DEAF_WORKER,
    PROJECT,
    children_of_stack,
    eventually,
    execute,
    is_gone,
    permissions,
    postgres_only,
    servers_only,
    set_permissions,
)

STRANGER = (sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="concerns a stack that is started by root")


@pytest.fixture(autouse=True)
def discarded_directory(tmp_path: Path) -> Iterator[None]:
    """A cluster is 40 MB, and pytest keeps directories of three runs: the next start removes the data of this one."""
    yield
    shutil.rmtree(tmp_path)


@contextmanager
def supervisor(directory: Path, *worker: str, python: str = sys.executable, **popen: Any) -> Iterator[dict[str, Any]]:
    """A stack run by another process: its addresses and, as `process`, the supervisor."""
    command = (python, "-m", "tests.local.stack_supervisor", str(directory), *worker)
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, **popen) as process:
        assert process.stdout is not None
        try:
            yield {**json.loads(process.stdout.readline()), "process": process}
        finally:
            process.kill()


@contextmanager
def stranger() -> Iterator[subprocess.Popen[str]]:
    """A process that is no child of a stack, once it runs: while it is being executed it shows no command line."""
    with subprocess.Popen(STRANGER, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


async def test_children_end_when_the_supervisor_is_killed_and_the_data_stays(tmp_path: Path) -> None:
    with supervisor(tmp_path) as crashed:
        await execute(crashed["database_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
        children = children_of_stack(tmp_path)
        assert set(children) >= {"postgres", "temporal"}
        crashed["process"].kill()
        crashed["process"].wait()
        assert running_stack(tmp_path) is None, "stack.json is there, the supervisor is not"
        gone = await eventually(lambda: children_of_stack(tmp_path) == {}, within_s=5)
        assert gone or not sys.platform.startswith("linux"), children_of_stack(tmp_path)
    async with LocalStack(servers_only(tmp_path)) as again:
        addresses = await again.start_servers()
        assert await execute(addresses.database_url, "SELECT answer FROM kept") == [(42,)]


async def test_a_child_that_ignores_the_death_of_its_supervisor_is_stopped_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.processes.LEFTOVER_GRACE_S", 0.3)
    with supervisor(tmp_path, sys.executable, "-c", DEAF_WORKER) as crashed:
        crashed["process"].kill()
    leftover = children_of_stack(tmp_path)["worker-1"]
    async with LocalStack(servers_only(tmp_path)) as again:
        await again.start_servers()
        assert is_gone(leftover)


async def test_a_big_log_is_set_aside_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.processes.LOG_KEPT_BYTES", 100)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "temporal.log").write_text("old line\n" * 100)
    async with LocalStack(servers_only(tmp_path)) as stack:
        await stack.start_servers()
    assert "old line" in (tmp_path / "logs" / "temporal.log.1").read_text()
    assert "old line" not in (tmp_path / "logs" / "temporal.log").read_text()


async def test_sigterm_stops_the_whole_stack(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        children = children_of_stack(tmp_path)
        running["process"].terminate()
        running["process"].wait(timeout=10)
    assert [name for name, process in children.items() if not is_gone(process)] == []


async def test_a_second_sigterm_does_not_wait_for_a_deaf_worker(tmp_path: Path) -> None:
    with supervisor(tmp_path, sys.executable, "-c", DEAF_WORKER) as running:
        children = children_of_stack(tmp_path)
        assert "worker-1" in children
        running["process"].terminate()
        await asyncio.sleep(0.5)
        running["process"].terminate()
        running["process"].wait(timeout=8)
    assert [name for name, process in children.items() if not is_gone(process)] == []


async def test_a_process_that_got_the_number_of_a_child_is_left_alone() -> None:
    with stranger() as process:
        started_s = psutil.Process(process.pid).create_time()
        itself = ProcessIdentity(name="temporal", pid=process.pid, created_at_s=started_s, command=STRANGER)
        await stop_leftover(itself.model_copy(update={"created_at_s": started_s - 60}))
        await stop_leftover(itself.model_copy(update={"command": ("temporal", "server", "start-dev")}))
        assert process.poll() is None
        await stop_leftover(itself)
        assert process.wait(timeout=30) == -signal.SIGTERM


def test_a_reused_number_of_a_supervisor_is_no_running_stack(tmp_path: Path) -> None:
    me = ProcessIdentity.of_this_process("supervisor")
    before = me.model_copy(update={"created_at_s": me.created_at_s - 3600})
    addresses = {
        "temporal_address": "127.0.0.1:1",
        "database_url": "postgresql://h/d",
        "pid": me.pid,
        "started_at": "2026-01-01T00:00:00Z",
    }
    for identity, runs in ((me, True), (before, False)):
        record = StackRecord.model_validate({"supervisor": identity.model_dump(), "addresses": addresses})
        (tmp_path / "stack.json").write_text(record.model_dump_json())
        assert (running_stack(tmp_path) is not None) is runs


async def test_a_postmaster_pid_whose_number_is_another_program_is_no_obstacle(tmp_path: Path) -> None:
    async with LocalStack(postgres_only(tmp_path)) as first:
        await first.start_servers()
    # As after a power cut: the number in the file is somebody else's by now. Postgres alone would refuse to start.
    pid_file = find_postgres_home(tmp_path).data / "postmaster.pid"
    with stranger() as process:
        pid_file.write_text(f"{process.pid}\n{pid_file.parent}\n1\n5432\n\n127.0.0.1\n1 1\nready\n")
        async with LocalStack(postgres_only(tmp_path)) as second:
            await second.start_servers()
        assert process.poll() is None


async def test_a_server_that_only_postmaster_pid_knows_is_stopped(tmp_path: Path) -> None:
    with supervisor(tmp_path) as crashed:
        os.kill(crashed["pid"], signal.SIGSTOP)  # it can no more stop its children, nor does the kernel
        (tmp_path / "stack.json").unlink()
        home = find_postgres_home(tmp_path)
        server = psutil.Process(int((home.data / "postmaster.pid").read_text().splitlines()[0]))
        # A directory that lost its lock file and its record: what is left is the data.
        (tmp_path / "stack.lock").unlink()
        async with LocalStack(postgres_only(tmp_path)) as stack:
            addresses = await stack.start_servers()
            assert server.status() == psutil.STATUS_ZOMBIE, "its stopped parent cannot bury it"
            assert await execute(addresses.database_url, "SELECT 1") == [(1,)]


async def test_an_unreadable_record_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"written by": "another version"}')
    assert read_record(tmp_path) is None
    assert running_stack(tmp_path) is None


async def test_data_whose_password_is_gone_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    with pytest.raises(StackError, match=r"holds data, but .*postgres\.password is gone"):
        find_postgres_home(tmp_path)


@as_root
def test_as_root_the_first_stacks_of_a_machine_agree_on_who_postgres_is() -> None:
    name = f"pmtest{os.getpid()}"
    code = (
        f"import local.postgres_home as home; home.SYSTEM_USER = {name!r}; print(home._system_user().uid, flush=True)"
    )
    try:
        stacks = [
            subprocess.Popen((sys.executable, "-c", code), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        told = {stack.communicate(timeout=60)[0].splitlines()[-1] for stack in stacks}
        assert told == {str(pwd.getpwnam(name).pw_uid)}
    finally:
        subprocess.run((shutil.which("userdel") or "userdel", name), check=False)


@as_root
async def test_as_root_postgres_lives_in_the_directory_where_its_user_may_go() -> None:
    with tempfile.TemporaryDirectory() as reachable:
        set_permissions(Path(reachable), 0o755)
        directory = Path(reachable) / "stack"
        async with LocalStack(postgres_only(directory)) as stack:
            await stack.start_servers()
            assert children_of_stack(directory)["postgres"].username() == local.postgres_home.SYSTEM_USER
            assert (directory / "postgres" / "PG_VERSION").exists()


@as_root
async def test_as_root_postgres_lives_elsewhere_where_its_user_may_not_go(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    directory = closed / "stack"
    async with LocalStack(postgres_only(directory)) as stack:
        await stack.start_servers()
        home = find_postgres_home(directory)
        assert not home.data.is_relative_to(tmp_path)
        assert permissions(home.data) & 0o077 == 0
    assert permissions(closed) == 0o700, "no directory of somebody's was opened"
    shutil.rmtree(directory)
    (closed / "other").mkdir()
    find_postgres_home(closed / "other")
    assert not home.data.exists(), "data of a deleted temporary directory goes with the next start"


@as_root
async def test_as_root_data_stays_where_it_is_when_permissions_change(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as parent:
        directory = Path(parent) / "stack"
        for mode in (0o700, 0o755):
            set_permissions(Path(parent), mode)
            async with LocalStack(postgres_only(directory)) as stack:
                addresses = await stack.start_servers()
                if mode == 0o700:
                    await execute(addresses.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
                assert await execute(addresses.database_url, "SELECT answer FROM kept") == [(42,)]
                assert not find_postgres_home(directory).data.is_relative_to(directory)


@as_root
async def test_as_root_binaries_out_of_reach_are_copied_to_where_they_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as base:
        set_permissions(Path(base), 0o755)
        monkeypatch.setattr(local.postgres_home, "STABLE_BASE", Path(base))
        binaries = local.postgres_home._find_binaries()
        site_packages = binaries.parents[2]
        hidden = tmp_path / "hidden"
        hidden.mkdir(mode=0o700)
        for part in (binaries.parents[0], site_packages / f"{local.postgres_home.WHEEL_PACKAGE}.libs"):
            shutil.copytree(part, hidden / part.relative_to(site_packages))
        out_of_reach = hidden / binaries.relative_to(site_packages)
        monkeypatch.setattr(local.postgres_home, "_find_binaries", lambda: out_of_reach)
        async with LocalStack(postgres_only(tmp_path / "stack")) as stack:
            addresses = await stack.start_servers()
            assert await execute(addresses.database_url, "SELECT 1") == [(1,)]
            assert Path(children_of_stack(tmp_path / "stack")["postgres"].exe()).is_relative_to(base)
