"""A worker that lacks something says so and does not start; a running one reports its health."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from temporalio.client import Client

from runtime.health import Health, serve_health
from runtime.process import UserError
from runtime.worker import build_workers, main, work_until_stopped
from settings import Settings
from tests.conftest import PROJECT, database_away
from tests.workflows.conftest import Server
from tests.workflows.world import World


def settings_of(server: Server, url: str, **changes: object) -> Settings:
    """Settings of a worker that lacks nothing, but for the changes."""
    given: dict[str, object] = {
        "temporal_address": server.client.service_client.config.target_host,
        "database_url": SecretStr(url),
        "openai_api_key": SecretStr("none"),
        "searxng_url": "http://127.0.0.1:9",
    }
    return Settings(_env_file=None, **(given | changes))  # type: ignore[arg-type]


async def refusal(settings: Settings) -> str:
    """Why a worker does not start."""
    with pytest.raises(UserError) as refused:
        await asyncio.wait_for(work_until_stopped(settings), 30)
    return str(refused.value)


def get(port: int, path: str) -> tuple[int, str]:
    """Status and text of a probe."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_a_worker_polls_once_per_queue_for_activities(
    plain_environment: None, dev_server: Server, database_url: str
) -> None:
    settings, world = settings_of(dev_server, database_url), World()
    client = await Client.connect(settings.temporal_address or "")
    for worker in build_workers(client, settings, world.other_activities(), world.agent_calls()):
        assert worker.config()["max_concurrent_activity_task_polls"] == 1, "see ACTIVITY_POLLS"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"openai_api_key": None}, "set OPENAI_API_KEY"),
        ({"searxng_url": None}, "set SEARXNG_URL"),
        ({"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")}, "the database does not answer"),
        ({"mcp_config": Path("/no/such/file.json")}, "/no/such/file.json"),
    ],
    ids=["model", "search", "database", "mcp_file"],
)
async def test_a_worker_does_not_start_without_its(
    plain_environment: None, dev_server: Server, database_url: str, changes: dict[str, object], message: str
) -> None:
    assert message in await refusal(settings_of(dev_server, database_url, **changes))


async def test_a_worker_does_not_start_without_migrations(
    plain_environment: None, dev_server: Server, empty_database_url: str
) -> None:
    assert "run `python starter.py setup`" in await refusal(settings_of(dev_server, empty_database_url))


async def test_a_health_port_that_is_taken_is_named(
    plain_environment: None, dev_server: Server, database_url: str
) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        message = await refusal(settings_of(dev_server, database_url, worker_health_port=port))
    assert f"WORKER_HEALTH_PORT {port} cannot be used" in message


async def test_a_worker_is_ready_while_its_servers_answer(dev_server: Server, empty_database_url: str) -> None:
    health = Health.of_worker(dev_server.client, empty_database_url)
    health.kept_s = 0.0
    with serve_health(0, health) as port:
        assert await asyncio.to_thread(get, port, "/readyz") == (503, "starting\n")
        health.state = ""
        assert await asyncio.to_thread(get, port, "/readyz") == (200, "ok\n")
        async with database_away(empty_database_url):
            unready = await asyncio.to_thread(get, port, "/readyz")
            assert unready[0] == 503 and unready[1].startswith("database does not answer (")
            assert (await asyncio.to_thread(get, port, "/healthz"))[0] == 200, "alive: a restart would not help"
        health.state = "draining"
        assert "draining" in (await asyncio.to_thread(get, port, "/readyz"))[1]
        assert (await asyncio.to_thread(get, port, "/nothing"))[0] == 404


async def test_a_worker_whose_server_is_gone_is_not_ready() -> None:
    async def gone() -> None:
        raise ConnectionRefusedError

    health = Health(asyncio.get_running_loop(), {"temporal": gone}, state="")
    problems = await asyncio.to_thread(health.problems, readiness=True)
    assert problems == ["temporal does not answer (ConnectionRefusedError)"]


async def test_readiness_is_kept_and_its_changes_are_logged() -> None:
    checks = 0

    async def gone() -> None:
        nonlocal checks
        checks += 1
        raise ConnectionRefusedError

    health = Health(asyncio.get_running_loop(), {"temporal": gone}, state="")
    with capture_logs() as logs:
        for _ in range(3):
            problems = await asyncio.to_thread(health.problems, readiness=True)
        assert checks == 1
        health.kept_s = 0.0
        await asyncio.to_thread(health.problems, readiness=True)
    assert checks == 2
    assert [(line["event"], line["failed"]) for line in logs] == [("worker_readiness", problems)]


def test_a_blocked_event_loop_is_not_ready_and_later_not_alive() -> None:
    checked: list[str] = []

    async def check() -> None:
        checked.append("temporal")

    with contextlib.closing(asyncio.new_event_loop()) as blocked:  # it never runs
        health = Health(blocked, {"temporal": check}, state="", timeout_s=0.05)
        assert health.problems(readiness=True) == ["the event loop is blocked"]
        health.ticked_at = time.monotonic() - 29
        assert health.problems(readiness=False) == []
        health.ticked_at = time.monotonic() - 31
        assert health.problems(readiness=False) == ["the event loop is blocked"]
        blocked.run_until_complete(asyncio.sleep(1.1))
        assert health.problems(readiness=False) == [], "the loop runs again"
        assert checked == [], "a probe that timed out is cancelled"


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--workers=2", 2)])
def test_a_worker_takes_no_arguments(capsys: pytest.CaptureFixture[str], argument: str, code: int) -> None:
    assert main([argument]) == code
    assert "usage: python worker.py" in capsys.readouterr().err


def test_a_health_port_is_a_port() -> None:
    with pytest.raises(ValueError, match="worker_health_port"):
        Settings(_env_file=None, worker_health_port=-4)


@pytest.mark.parametrize("script", ["starter.py", "worker.py"])
def test_a_python_without_the_packages_says_how_to_run_it(script: str) -> None:
    # -S leaves out site-packages.
    done = subprocess.run([sys.executable, "-S", script], cwd=PROJECT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert ". .venv/bin/activate" in done.stderr and f".venv/bin/python {script}" in done.stderr
    assert "Traceback" not in done.stderr
