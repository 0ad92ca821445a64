"""The embedded stack starts, keeps its data and stops in order. Real programs throughout."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import ValidationError
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, ListTaskQueuePartitionsRequest
from temporalio.client import Client

import local.stack
from local.processes import ProcessIdentity, free_ports
from local.stack import LocalStack, StackAddresses, StackAlreadyRunning, StackError, StackOptions, running_stack
from local.stack_state import StackRecord, read_record
from tests.local.stack_helpers import (
    DEAF_WORKER,
    DRAINING_WORKER,
    children_of_stack,
    eventually,
    execute,
    options,
    permissions,
    postgres_only,
    set_permissions,
    still_running,
    without_servers,
)


@pytest.fixture(autouse=True)
def discarded_directory(tmp_path: Path) -> Iterator[None]:
    """A cluster is 40 MB, and pytest keeps the directories of three runs."""
    yield
    shutil.rmtree(tmp_path)


class Running(NamedTuple):
    """A stack for tests that only look at it."""

    directory: Path
    addresses: StackAddresses


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    directory = tmp_path_factory.mktemp("running") / "stack"
    async with LocalStack(options(directory)) as stack:
        yield Running(directory, await stack.start_servers())
    shutil.rmtree(directory)


async def test_data_survives_a_restart_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    set_permissions(tmp_path, 0o755)
    async with LocalStack(options(tmp_path)) as first:
        before = await first.start_servers()
        await execute(before.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        client = await Client.connect(before.temporal_address)
        await client.start_workflow("NobodyRunsThis", id="kept", task_queue="nobody-polls")

    async with LocalStack(options(tmp_path)) as second:
        after = await second.start_servers()
        assert await execute(after.database_url, "SELECT answer FROM kept") == [(42,)]
        client = await Client.connect(after.temporal_address)
        described = await client.get_workflow_handle("kept").describe()
        assert described.status is not None
        assert described.status.value == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
        assert after.temporal_ui_url == before.temporal_ui_url, "links to the Web UI stay valid"
    assert permissions(tmp_path) == 0o755


async def test_the_web_ui_moves_only_when_its_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        record = StackRecord(supervisor=ProcessIdentity.of("supervisor"), ui_port=taken)
        (tmp_path / "stack.json").write_text(record.model_dump_json())
        async with LocalStack(options(tmp_path, external_database_url="postgresql://elsewhere")) as stack:
            addresses = await stack.start_servers()
    assert addresses.temporal_ui_url is not None
    moved_to = urlsplit(addresses.temporal_ui_url).port
    assert moved_to != taken
    record_now = read_record(tmp_path)
    assert record_now is not None
    assert record_now.ui_port == moved_to


async def test_the_web_ui_answers_at_its_address(running: Running) -> None:
    at = urlsplit(running.addresses.temporal_ui_url or "")
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_the_temporal_server_has_our_settings(running: Running) -> None:
    client = await Client.connect(running.addresses.temporal_address)
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert described.config.workflow_execution_retention_ttl.ToTimedelta().days == 30
    assert described.namespace_info.capabilities.worker_poll_complete_on_shutdown
    asked = ListTaskQueuePartitionsRequest(namespace="default", task_queue=TaskQueue(name="any"))
    partitions = await client.workflow_service.list_task_queue_partitions(asked)
    assert len(partitions.activity_task_queue_partitions) == 1


async def test_a_running_stack_can_be_found_until_it_stops(tmp_path: Path) -> None:
    assert running_stack(tmp_path) is None
    async with LocalStack(postgres_only(tmp_path)) as stack:
        assert running_stack(tmp_path) is None, "it is still starting"
        addresses = await stack.start_servers()
        assert running_stack(tmp_path) == addresses
        assert addresses.pid == os.getpid()
    assert running_stack(tmp_path) is None


async def test_a_second_start_in_a_directory_is_refused(running: Running) -> None:
    directory, addresses = running
    with pytest.raises(StackAlreadyRunning, match=str(addresses.pid)) as refused:
        async with LocalStack(options(directory)):
            pass
    assert refused.value.addresses == addresses
    assert await execute(addresses.database_url, "SELECT 1") == [(1,)], "the running stack is not disturbed"
    assert running_stack(directory) == addresses


async def test_two_stacks_run_side_by_side(tmp_path: Path) -> None:
    temporal_port, ui_port, postgres_port = free_ports(3)
    on_ports = options(tmp_path / "b", temporal_port=temporal_port, ui_port=ui_port, postgres_port=postgres_port)
    async with LocalStack(options(tmp_path / "a")) as a, LocalStack(on_ports) as b:
        at_a, at_b = await asyncio.gather(a.start_servers(), b.start_servers())
        await execute(at_a.database_url, "CREATE TABLE only_in_a ()")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await execute(at_b.database_url, "SELECT * FROM only_in_a")
        assert at_a.temporal_address != at_b.temporal_address == f"127.0.0.1:{temporal_port}"
        assert at_b.temporal_ui_url == f"http://127.0.0.1:{ui_port}"
        assert f"@127.0.0.1:{postgres_port}/" in at_b.database_url


@pytest.mark.parametrize("option", ["temporal_port", "ui_port", "postgres_port"])
async def test_a_busy_port_is_named(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port} .*{option}"):
            async with LocalStack(options(tmp_path, **{option: port})) as stack:
                await stack.start_servers()
    assert children_of_stack(tmp_path) == {}, "nothing of a failed start is left"
    assert running_stack(tmp_path) is None


async def test_a_port_lost_in_a_race_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as faster:
        faster.bind(("127.0.0.1", 0))
        faster.listen()
        lost = [faster.getsockname()[1]]

        def first_a_lost_one(count: int) -> list[int]:
            return [lost.pop(), *free_ports(count - 1)] if lost else free_ports(count)

        monkeypatch.setattr("local.postgres.free_ports", first_a_lost_one)
        async with LocalStack(postgres_only(tmp_path)) as stack:
            addresses = await stack.start_servers()
            assert await execute(addresses.database_url, "SELECT 1") == [(1,)]
    assert lost == [], "the lost port was tried"


def test_one_port_for_two_servers_is_refused() -> None:
    with pytest.raises(ValidationError, match="must differ"):
        StackOptions(temporal_port=7233, ui_port=7233)


async def test_the_database_needs_the_password(running: Running) -> None:
    addresses = running.addresses
    password = str(urlsplit(addresses.database_url).password)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await execute(addresses.database_url.replace(password, "guess"), "SELECT 1")
    assert await execute(addresses.database_url, "SHOW unix_socket_directories") == [("",)]
    assert password not in repr(addresses)


async def test_ctrl_c_reaches_only_the_supervisor(running: Running) -> None:
    groups = {os.getpgid(process.pid) for process in children_of_stack(running.directory).values()}
    assert os.getpgrp() not in groups
    assert len(groups) == 2, "each child has a group of its own"


async def test_nothing_in_the_directory_is_readable_by_others(running: Running) -> None:
    for path in (running.directory, *running.directory.rglob("*")):
        assert path.is_symlink() or permissions(path) & 0o007 == 0, path
        if path.is_file():
            assert permissions(path) & 0o077 == 0, path


async def test_a_part_with_an_external_address_is_not_started(tmp_path: Path) -> None:
    external = {"external_temporal_address": "a.example:7233", "external_database_url": "postgresql://b.example/leads"}
    async with LocalStack(options(tmp_path, **external)) as stack:
        addresses = await stack.start_servers()
        assert children_of_stack(tmp_path) == {}
    assert addresses.environment() == {
        "TEMPORAL_ADDRESS": "a.example:7233",
        "DATABASE_URL": "postgresql://b.example/leads",
    }
    assert addresses.temporal_ui_url is None


_WEB = {"WEB_PROXY", "HOST_REQUEST_INTERVAL_S", "MAIL_DNS", "SEARXNG_URL"}
_PRICES = {"MODEL_PRICE_INPUT_USD_PER_MTOK", "MODEL_PRICE_OUTPUT_USD_PER_MTOK"}
_MODEL = {"OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", *_PRICES}


@pytest.mark.parametrize(
    ("web", "model", "variables"), [(True, True, _WEB | _MODEL), (True, False, _WEB), (False, True, _MODEL)]
)
async def test_only_the_wanted_parts_of_the_demo_are_started(
    tmp_path: Path, web: bool, model: bool, variables: set[str]
) -> None:
    async with LocalStack(without_servers(tmp_path, demo_web=web, demo_model=model, demo_seed=7)) as stack:
        environment = (await stack.start_servers()).environment()
        for name in variables & {"WEB_PROXY", "SEARXNG_URL", "OPENAI_BASE_URL"}:
            at = urlsplit(environment[name])
            _, writer = await asyncio.open_connection(at.hostname, at.port)
            writer.close()
    assert set(environment) == variables | {"DEMO_SEED", "TEMPORAL_ADDRESS", "DATABASE_URL"}
    assert environment["DEMO_SEED"] == "7"


async def test_a_demo_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "raise SystemExit('the world is not round')")
    async with LocalStack(without_servers(tmp_path, demo_web=True), demo_command=broken) as stack:
        with pytest.raises(StackError, match=r"demo ended with code 1[\s\S]*the world is not round"):
            await stack.start_servers()


async def test_workers_find_the_servers_and_end_before_them(tmp_path: Path) -> None:
    worker = (sys.executable, "-c", DRAINING_WORKER)
    async with LocalStack(options(tmp_path, workers=2), worker_command=worker) as stack:
        addresses = await stack.start_servers()
        await execute(addresses.database_url, "CREATE TABLE drained (worker text)")
        await stack.start_workers()
        assert set(children_of_stack(tmp_path)) == {"postgres", "temporal", "worker-1", "worker-2"}
    async with LocalStack(postgres_only(tmp_path)) as again:
        addresses = await again.start_servers()
        drained = await execute(addresses.database_url, "SELECT worker FROM drained ORDER BY worker")
    assert drained == [("worker-1",), ("worker-2",)]


async def test_a_deaf_worker_is_killed_after_its_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.stack, "WORKER_GRACE_S", 0.3)
    deaf = (sys.executable, "-c", DEAF_WORKER)
    async with LocalStack(without_servers(tmp_path, workers=1), worker_command=deaf) as stack:
        await stack.start_servers()
        await stack.start_workers()
        children = children_of_stack(tmp_path)
    assert set(children) == {"worker-1"}
    assert still_running(children) == []


async def test_a_worker_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "import sys; sys.exit('no task queue of that name')")
    async with LocalStack(without_servers(tmp_path, workers=1), worker_command=broken) as stack:
        await stack.start_servers()
        with pytest.raises(StackError, match=r"worker-1 ended with code 1[\s\S]*no task queue of that name"):
            await stack.start_workers()


async def test_a_lost_server_is_named_with_its_last_words(tmp_path: Path) -> None:
    async with LocalStack(postgres_only(tmp_path)) as stack:
        await stack.start_servers()
        watch = asyncio.create_task(stack.wait_until_broken())
        await asyncio.wait({watch}, timeout=2 * local.stack.WATCH_INTERVAL_S)
        assert not watch.done(), "nothing is broken yet"
        children_of_stack(tmp_path)["postgres"].kill()
        report = await asyncio.wait_for(watch, timeout=30)
    assert "postgres was ended by SIGKILL" in report
    assert "ready to accept connections" in report


async def test_a_cancelled_start_leaves_nothing_running(tmp_path: Path) -> None:
    async def start() -> None:
        async with LocalStack(options(tmp_path)) as stack:
            await stack.start_servers()

    starting = asyncio.create_task(start())
    assert await eventually(lambda: "temporal" in children_of_stack(tmp_path), within_s=5)
    started = children_of_stack(tmp_path)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert still_running(started) == []
    await start()


async def test_a_big_log_is_rotated_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.processes.LOG_KEPT_BYTES", 100)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "demo.log").write_text("old line\n" * 100)
    async with LocalStack(without_servers(tmp_path, demo_model=True)) as stack:
        await stack.start_servers()
    assert "old line" in (tmp_path / "logs" / "demo.log.1").read_text()
    assert "old line" not in (tmp_path / "logs" / "demo.log").read_text()
