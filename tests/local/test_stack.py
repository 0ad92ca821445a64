"""The embedded stack starts, keeps its data, refuses what cannot be, and stops in order. Real binaries throughout."""

from __future__ import annotations

import asyncio
import json
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
from local.processes import free_ports
from local.stack import LocalStack, StackAddresses, StackAlreadyRunning, StackError, StackOptions, running_stack
from local.temporal_server import DATABASE, ONE_PARTITION, dynamic_config
from tests.local.stack_helpers import (
    DEAF_WORKER,
    DRAINING_WORKER,
    children_of_stack,
    eventually,
    execute,
    is_gone,
    permissions,
    servers_only,
    set_permissions,
)


@pytest.fixture(autouse=True)
def discarded_directory(tmp_path: Path) -> Iterator[None]:
    """A cluster is 40 MB, and pytest keeps directories of three runs: the next start removes the data of this one."""
    yield
    shutil.rmtree(tmp_path)


class Running(NamedTuple):
    """A stack whose servers run, for tests that only look at it."""

    directory: Path
    addresses: StackAddresses


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    directory = tmp_path_factory.mktemp("running") / "stack"
    async with LocalStack(servers_only(directory)) as stack:
        yield Running(directory, await stack.start_servers())
    shutil.rmtree(directory)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[LocalStack]:
    async with LocalStack(servers_only(tmp_path / "stack")) as stack:
        yield stack


async def test_a_row_and_a_workflow_survive_a_restart_and_a_directory_in_use_keeps_its_permissions(
    tmp_path: Path,
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    set_permissions(tmp_path, 0o755)
    async with LocalStack(servers_only(tmp_path)) as first:
        before = await first.start_servers()
        await execute(before.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        client = await Client.connect(before.temporal_address)
        await client.start_workflow("NobodyRunsThis", id="kept", task_queue="nobody-polls")

    async with LocalStack(servers_only(tmp_path)) as second:
        after = await second.start_servers()
        assert await execute(after.database_url, "SELECT answer FROM kept") == [(42,)]
        client = await Client.connect(after.temporal_address)
        described = await client.get_workflow_handle("kept").describe()
        assert described.status is not None
        assert described.status.value == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
        assert after.temporal_ui_url == before.temporal_ui_url, "links to the Web UI hold"
    assert permissions(tmp_path) == 0o755


async def test_the_web_ui_moves_only_when_its_last_port_is_taken(tmp_path: Path) -> None:
    temporal_alone = servers_only(tmp_path).model_copy(update={"external_database_url": "postgresql://elsewhere"})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        (tmp_path / "ui_port").write_text(str(taken))
        async with LocalStack(temporal_alone) as stack:
            addresses = await stack.start_servers()
    assert addresses.temporal_ui_url is not None
    moved_to = urlsplit(addresses.temporal_ui_url).port
    assert moved_to != taken
    assert (tmp_path / "ui_port").read_text() == str(moved_to)


async def test_the_web_ui_answers_on_the_address_that_is_given(running: Running) -> None:
    addresses = running.addresses
    assert addresses.temporal_ui_url is not None
    host, port = addresses.temporal_ui_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_closed_workflows_are_kept_for_a_month(running: Running) -> None:
    addresses = running.addresses
    client = await Client.connect(addresses.temporal_address)
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert described.config.workflow_execution_retention_ttl.ToTimedelta().days == 30


async def test_the_server_ends_the_polls_of_a_worker_that_drains(running: Running) -> None:
    client = await Client.connect(running.addresses.temporal_address)
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert described.namespace_info.capabilities.worker_poll_complete_on_shutdown


async def test_a_new_server_has_one_partition_a_queue_and_data_of_an_earlier_version_keeps_its_several(
    running: Running, tmp_path: Path
) -> None:
    client = await Client.connect(running.addresses.temporal_address)
    asked = ListTaskQueuePartitionsRequest(namespace="default", task_queue=TaskQueue(name="any"))
    partitions = await client.workflow_service.list_task_queue_partitions(asked)
    assert len(partitions.activity_task_queue_partitions) == 1
    assert set(ONE_PARTITION) <= set(dynamic_config(running.directory)), "so it is when it is started again"
    (tmp_path / DATABASE).touch()
    assert set(ONE_PARTITION).isdisjoint(dynamic_config(tmp_path)), "nobody would look for what waits in the others"


async def test_whoever_asks_learns_where_the_running_stack_answers_and_several_stops_are_one(
    stack: LocalStack, tmp_path: Path
) -> None:
    directory = tmp_path / "stack"
    assert running_stack(directory) is None
    addresses = await stack.start_servers()
    assert running_stack(directory) == addresses
    assert addresses.pid == os.getpid()
    await asyncio.gather(stack.stop(), stack.stop())
    await stack.stop()
    assert running_stack(directory) is None
    assert not (directory / "stack.json").exists()


async def test_a_second_start_in_the_same_directory_is_refused_with_the_addresses(running: Running) -> None:
    directory, addresses = running
    with pytest.raises(StackAlreadyRunning) as refused:
        await LocalStack(servers_only(directory)).start_servers()
    assert refused.value.addresses == addresses
    assert str(addresses.pid) in str(refused.value)
    assert await execute(addresses.database_url, "SELECT 1") == [(1,)], "the refused start disturbs nothing"
    assert running_stack(directory) == addresses


async def test_two_stacks_in_different_directories_run_side_by_side_one_on_ports_that_were_asked_for(
    tmp_path: Path,
) -> None:
    temporal_port, ui_port, postgres_port = free_ports(3)
    asked_for = {"temporal_port": temporal_port, "ui_port": ui_port, "postgres_port": postgres_port}
    on_ports = servers_only(tmp_path / "b").model_copy(update=asked_for)
    async with LocalStack(servers_only(tmp_path / "a")) as a, LocalStack(on_ports) as b:
        at_a, at_b = await asyncio.gather(a.start_servers(), b.start_servers())
        await execute(at_a.database_url, "CREATE TABLE only_in_a ()")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await execute(at_b.database_url, "SELECT * FROM only_in_a")
        assert at_a.temporal_address != at_b.temporal_address == f"127.0.0.1:{temporal_port}"
        assert at_b.temporal_ui_url == f"http://127.0.0.1:{ui_port}"
        assert f"@127.0.0.1:{postgres_port}/" in at_b.database_url


@pytest.mark.parametrize("option", ["temporal_port", "ui_port", "postgres_port"])
async def test_a_port_that_was_asked_for_and_is_busy_is_named(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = servers_only(tmp_path).model_copy(update={option: port})
        with pytest.raises(StackError, match=rf"port {port} .*{option}"):
            await LocalStack(options).start_servers()
    assert children_of_stack(tmp_path) == {}, "nothing of a failed start stays behind"
    assert running_stack(tmp_path) is None


async def test_a_port_lost_in_a_race_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as faster:
        faster.bind(("127.0.0.1", 0))
        faster.listen()
        lost = [faster.getsockname()[1]]

        def first_a_lost_one(count: int) -> list[int]:
            return [lost.pop(), *free_ports(count - 1)] if lost else free_ports(count)

        monkeypatch.setattr("local.postgres.free_ports", first_a_lost_one)
        async with LocalStack(servers_only(tmp_path)) as stack:
            addresses = await stack.start_servers()
            assert await execute(addresses.database_url, "SELECT 1") == [(1,)]
    assert lost == [], "the lost port was tried"


def test_one_port_for_two_servers_is_refused() -> None:
    with pytest.raises(ValidationError, match="must differ"):
        StackOptions(temporal_port=7233, ui_port=7233)


async def test_a_database_without_the_password_is_closed(running: Running) -> None:
    addresses = running.addresses
    without = addresses.database_url.replace(addresses.database_url.split(":")[2].split("@")[0], "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await execute(without, "SELECT 1")
    assert await execute(addresses.database_url, "SHOW unix_socket_directories") == [("",)]


async def test_ctrl_c_in_the_terminal_reaches_the_supervisor_alone(running: Running) -> None:
    groups = {os.getpgid(process.pid) for process in children_of_stack(running.directory).values()}
    assert os.getpgrp() not in groups
    assert len(groups) >= 2, "each child has a group of its own"


async def test_nothing_in_the_directory_is_readable_by_others(running: Running) -> None:
    for path in (running.directory, *running.directory.rglob("*")):
        assert permissions(path) & 0o007 == 0, path
        if path.is_file():
            assert permissions(path) & 0o077 == 0, path


async def test_a_part_with_an_external_address_is_not_started(tmp_path: Path) -> None:
    options = StackOptions(
        directory=tmp_path,
        demo_web=False,
        demo_model=False,
        external_temporal_address="temporal.example:7233",
        external_database_url="postgresql://user@db.example/leads",
    )
    async with LocalStack(options) as stack:
        addresses = await stack.start_servers()
        assert children_of_stack(tmp_path) == {}
    assert addresses.environment() == {
        "TEMPORAL_ADDRESS": "temporal.example:7233",
        "DATABASE_URL": "postgresql://user@db.example/leads",
    }
    assert addresses.temporal_ui_url is None


_DEMO_WEB = {"WEB_PROXY", "HOST_REQUEST_INTERVAL_S", "MAIL_DNS", "SEARXNG_URL", "DEMO_SEED"}
_DEMO_MODEL = {"OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "DEMO_SEED"}


@pytest.mark.parametrize(
    ("demo_web", "demo_model", "variables"),
    [
        (True, True, _DEMO_WEB | _DEMO_MODEL),
        (True, False, _DEMO_WEB),
        (False, True, _DEMO_MODEL),
    ],
)
async def test_only_the_wanted_parts_of_the_demo_are_started_and_announced(
    tmp_path: Path, demo_web: bool, demo_model: bool, variables: set[str]
) -> None:
    options = _without_servers(tmp_path).model_copy(
        update={"demo_web": demo_web, "demo_model": demo_model, "demo_seed": 7}
    )
    async with LocalStack(options) as stack:
        environment = (await stack.start_servers()).environment()
        for name in variables & {"WEB_PROXY", "SEARXNG_URL", "OPENAI_BASE_URL"}:
            at = urlsplit(environment[name])
            _, writer = await asyncio.open_connection(at.hostname, at.port)
            writer.close()
    prices = {"MODEL_PRICE_INPUT_USD_PER_MTOK", "MODEL_PRICE_OUTPUT_USD_PER_MTOK"} if demo_model else set()
    assert set(environment) == variables | prices | {"TEMPORAL_ADDRESS", "DATABASE_URL"}
    assert environment["DEMO_SEED"] == "7"


async def test_a_demo_that_does_not_start_is_shown_with_its_last_words(tmp_path: Path) -> None:
    options = _without_servers(tmp_path).model_copy(update={"demo_web": True})
    broken = (sys.executable, "-c", "raise SystemExit('the world is not round')")
    with pytest.raises(StackError, match=r"demo ended with code 1[\s\S]*the world is not round"):
        await LocalStack(options, demo_command=broken).start_servers()


async def test_workers_find_the_servers_and_end_before_them(tmp_path: Path) -> None:
    worker = (sys.executable, "-c", DRAINING_WORKER)
    async with LocalStack(servers_only(tmp_path, workers=2), worker_command=worker) as stack:
        addresses = await stack.start_servers()
        await execute(addresses.database_url, "CREATE TABLE drained (worker text)")
        await stack.start_workers()
        assert set(children_of_stack(tmp_path)) == {"postgres", "temporal", "worker-1", "worker-2"}
    async with LocalStack(servers_only(tmp_path)) as again:
        addresses = await again.start_servers()
        drained = await execute(addresses.database_url, "SELECT worker FROM drained ORDER BY worker")
    assert drained == [("worker-1",), ("worker-2",)]


async def test_a_worker_that_does_not_drain_is_killed_after_its_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.stack, "WORKER_GRACE_S", 0.3)
    options = _without_servers(tmp_path).model_copy(update={"workers": 1})
    async with LocalStack(options, worker_command=(sys.executable, "-c", DEAF_WORKER)) as stack:
        await stack.start_servers()
        await stack.start_workers()
        worker = children_of_stack(tmp_path)["worker-1"]
    assert is_gone(worker)


async def test_a_worker_that_cannot_start_is_shown_with_its_last_words(tmp_path: Path) -> None:
    options = _without_servers(tmp_path).model_copy(update={"workers": 1})
    broken = (sys.executable, "-c", "import sys; sys.exit('no task queue of that name')")
    async with LocalStack(options, worker_command=broken) as stack:
        await stack.start_servers()
        with pytest.raises(StackError, match=r"worker-1 ended with code 1[\s\S]*no task queue of that name"):
            await stack.start_workers()


async def test_workers_before_servers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="start_servers first"):
        await LocalStack(servers_only(tmp_path)).start_workers()


async def test_the_first_child_that_dies_is_named_with_its_last_words(stack: LocalStack, tmp_path: Path) -> None:
    await stack.start_servers()
    watch = asyncio.create_task(stack.wait_until_broken())
    await asyncio.sleep(0.5)
    assert not watch.done(), "a whole stack is not broken"
    children_of_stack(tmp_path / "stack")["postgres"].kill()
    report = await asyncio.wait_for(watch, timeout=30)
    assert "postgres was ended by SIGKILL" in report
    assert "ready to accept connections" in report


async def test_a_cancelled_start_leaves_nothing_running(tmp_path: Path) -> None:
    stack = LocalStack(servers_only(tmp_path))
    start = asyncio.create_task(stack.start_servers())
    assert await eventually(lambda: "temporal" in children_of_stack(tmp_path), within_s=5)
    started = children_of_stack(tmp_path)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert [name for name, process in started.items() if not is_gone(process)] == []
    async with LocalStack(servers_only(tmp_path)) as again:
        await again.start_servers()


def test_addresses_do_not_show_the_password_when_printed(tmp_path: Path) -> None:
    values = {"temporal_address": "127.0.0.1:1", "database_url": "postgresql://u:secret@h/d", "pid": 1}
    addresses = StackAddresses.model_validate_json(json.dumps({**values, "started_at": "2026-01-01T00:00:00Z"}))
    assert "secret" not in repr(addresses)


def _without_servers(directory: Path) -> StackOptions:
    return StackOptions(
        directory=directory,
        workers=0,
        demo_web=False,
        demo_model=False,
        external_temporal_address="127.0.0.1:1",
        external_database_url="postgresql://nobody@127.0.0.1:1/none",
    )
